package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
)

// eventColumns are podman's (podman-events(1), --format), and docker's.
var eventColumns = map[string]column[container.Event]{
	"Time": {"TIME", func(e container.Event) any { return e.Time }}, "TimeNano": {"TIME NANO", func(e container.Event) any { return e.Time.UnixNano() }},
	"Type":   {"TYPE", func(e container.Event) any { return e.Type }},
	"Status": {"STATUS", func(e container.Event) any { return e.Status }}, "Action": {"ACTION", func(e container.Event) any { return e.Status }},
	"ID": {"ID", func(e container.Event) any { return e.ID }}, "Name": {"NAME", func(e container.Event) any { return e.Name }},
	"Image": {"IMAGE", func(e container.Event) any { return e.Image }}, "From": {"FROM", func(e container.Event) any { return e.Image }},
	"Attributes": {"ATTRIBUTES", func(e container.Event) any { return attributes(e) }}, "Details": {"DETAILS", func(e container.Event) any { return eventDetails{e.ID, attributes(e)} }},
	"ContainerExitCode": {"CONTAINER EXIT CODE", func(e container.Event) any { return exitCodeOf(e) }},
	"HealthStatus":      {"HEALTH STATUS", func(e container.Event) any { return attribute(e, healthAttribute) }},
	"Network":           {"NETWORK", func(e container.Event) any { return networkOf(e) }}, "PodID": {"POD ID", func(e container.Event) any { return attribute(e, container.PodAttribute) }},
	"Actor": {"ACTOR", actorOf}, "Scope": {"SCOPE", func(container.Event) any { return "local" }},
}

const healthAttribute = "health_status"

// eventDetails is podman's Details.
type eventDetails struct {
	ID         string
	Attributes map[string]string
}

func attribute(e container.Event, name string) string {
	for _, a := range e.Attributes {
		if value, ok := strings.CutPrefix(a, name+"="); ok {
			return value
		}
	}
	return ""
}

// attributes are all but the pod, which has a field of its own.
func attributes(e container.Event) map[string]string {
	m := map[string]string{}
	for _, a := range e.Attributes {
		if name, value, _ := strings.Cut(a, "="); name != container.PodAttribute {
			m[name] = value
		}
	}
	return m
}

func exitCodeOf(e container.Event) int {
	n, _ := strconv.Atoi(attribute(e, "exitCode"))
	return n
}

func networkOf(e container.Event) string {
	if e.Type == "network" {
		return e.Name
	}
	return ""
}

// actorOf is docker's: name and image are attributes there.
func actorOf(e container.Event) any {
	m := attributes(e)
	m["name"] = e.Name
	if e.Image != "" {
		m["image"] = e.Image
	}
	return eventDetails{e.ID, m}
}

// eventJSON is podman's line of --format json.
type eventJSON struct {
	ContainerExitCode int               `json:"ContainerExitCode,omitempty"`
	ID                string            `json:"ID,omitempty"`
	Image             string            `json:"Image,omitempty"`
	Name              string            `json:"Name,omitempty"`
	Network           string            `json:"Network,omitempty"`
	Status            string            `json:"Status"`
	Time              string            `json:"Time"`
	TimeNano          int64             `json:"timeNano"`
	Type              string            `json:"Type"`
	HealthStatus      string            `json:"health_status,omitempty"`
	PodID             string            `json:"PodID,omitempty"`
	Attributes        map[string]string `json:"Attributes"`
}

func (e *eventJSON) fill(from container.Event) {
	*e = eventJSON{exitCodeOf(from), from.ID, from.Image, from.Name, networkOf(from), from.Status, from.Time.Format(time.RFC3339Nano), from.Time.UnixNano(), from.Type,
		attribute(from, healthAttribute), attribute(from, container.PodAttribute), attributes(from)}
}

// eventsCommand are the flags of events as they were typed.
type eventsCommand struct {
	since, until, format string
	stream, long         bool
	filters              []string
}

func eventsFlags(f *flags.Set) func(Streams, []string) error {
	c := &eventsCommand{}
	f.StringVar(&c.since, "since", "", "begin with what is younger: a time, or a duration before now")
	f.StringVar(&c.until, "until", "", "end with what is older: a time, or a duration from now on; one in the future is waited for")
	f.BoolVar(&c.stream, "stream", true, "go on with what happens from now on")
	f.StringVar(&c.format, "format", "", "json, or a template")
	f.BoolVar(&c.long, "no-trunc", true, "show whole ids")
	f.StringArrayVarP(&c.filters, "filter", "f", nil, "container|event|image|label|network|pod|secret|type|volume=VALUE")
	return func(s Streams, args []string) error {
		if len(args) > 0 {
			return usageError{Text: "`rl events` takes no arguments", Command: "events"}
		}
		return c.run(s, time.Now())
	}
}

func (c *eventsCommand) run(s Streams, now time.Time) error {
	from, to, err := c.span(now)
	if err != nil {
		return usageError{Text: err.Error(), Command: "events"}
	}
	test, err := eventFilters(c.filters)
	if err != nil {
		return usageError{Text: err.Error(), Command: "events"}
	}
	show, err := eventPrinter(s, c.format, c.long)
	if err != nil {
		return err
	}
	host, err := start.OpenHost()
	if err != nil {
		return err
	}
	follow := c.stream && (to.IsZero() || to.After(now))
	return container.Events(host.Dirs, from, to, follow, func(e container.Event) error {
		if !test(e) {
			return nil
		}
		return show(e)
	})
}

// span: what was is shown when it is asked for, and all of it when nothing else
// says from when on. A duration until the end is one from now on, as podman has it.
func (c *eventsCommand) span(now time.Time) (from, to time.Time, err error) {
	if from, err = parseTime(c.since, now); err != nil {
		return from, to, fmt.Errorf("--since: %w", err)
	}
	if to, err = parseTime(c.until, now); err != nil {
		return from, to, fmt.Errorf("--until: %w", err)
	}
	if d, failed := time.ParseDuration(c.until); failed == nil && !to.IsZero() {
		to = now.Add(d)
	}
	if c.since == "" && c.until == "" && c.stream {
		from = now
	}
	return from, to, nil
}

func eventPrinter(s Streams, format string, long bool) (func(container.Event) error, error) {
	switch format {
	case "":
		return func(e container.Event) error {
			_, err := fmt.Fprintln(s.Out, eventLine(e, long))
			return err
		}, nil
	case "json":
		one, err := parseTemplate("{{json .}}")
		return func(e container.Event) error {
			var v eventJSON
			v.fill(e)
			return execute(s.Out, one, v)
		}, err
	}
	one, err := parseTemplate(format)
	l := listing[container.Event]{columns: eventColumns}
	return func(e container.Event) error { return l.each(s.Out, one, format, []container.Event{e}) }, err
}

// eventLine is podman's: only what happens to containers and pods has more than a name.
func eventLine(e container.Event, long bool) string {
	id := e.ID
	if !long {
		id = short(id)
	}
	line := fmt.Sprintf("%s %s %s", e.Time.Format("2006-01-02 15:04:05.999999999 -0700 MST"), e.Type, e.Status)
	switch e.Type {
	case "container", "pod":
		words := append([]string{"image=" + e.Image, "name=" + e.Name}, e.Attributes...)
		return line + " " + id + " (" + strings.Join(words, ", ") + ")"
	case "volume":
		return line + " " + e.Name
	case "system":
		return line
	}
	return line + " " + id + " " + e.Name
}
