package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
)

// eventColumns are podman's (podman-events(1), --format).
var eventColumns = map[string]column[container.Event]{
	"Time": {"TIME", func(e container.Event) any { return e.Time }}, "Type": {"TYPE", func(e container.Event) any { return e.Type }},
	"Status": {"STATUS", func(e container.Event) any { return e.Status }}, "Action": {"ACTION", func(e container.Event) any { return e.Status }},
	"ID": {"ID", func(e container.Event) any { return e.ID }}, "Name": {"NAME", func(e container.Event) any { return e.Name }},
	"Image": {"IMAGE", func(e container.Event) any { return e.Image }}, "Attributes": {"ATTRIBUTES", func(e container.Event) any { return e.Attributes }},
	"ContainerExitCode": {"EXIT CODE", func(e container.Event) any { return attribute(e, "exitCode") }},
}

func attribute(e container.Event, name string) string {
	for _, a := range e.Attributes {
		if value, ok := strings.CutPrefix(a, name+"="); ok {
			return value
		}
	}
	return ""
}

type eventJSON struct {
	ID         string            `json:"ID"`
	Image      string            `json:"Image"`
	Name       string            `json:"Name"`
	Status     string            `json:"Status"`
	Time       string            `json:"Time"`
	TimeNano   int64             `json:"timeNano"`
	Type       string            `json:"Type"`
	Attributes map[string]string `json:"Attributes"`
}

func eventsFlags(f *flags.Set) func(Streams, []string) error {
	since := f.String("since", "", "begin with what is younger: a time, or a duration before now")
	until := f.String("until", "", "end with what is older; one in the future is waited for")
	stream := f.Bool("stream", true, "go on with what happens from now on")
	format := f.String("format", "", "json, or a template")
	long := f.Bool("no-trunc", true, "show whole ids")
	var filters []string
	f.StringArrayVarP(&filters, "filter", "f", nil, "event|container|image|label|type=VALUE")
	return func(s Streams, args []string) error {
		now := time.Now()
		bad := func(err error) error { return usageError{Text: err.Error(), Command: "events"} }
		if len(args) > 0 {
			return bad(fmt.Errorf("events takes no argument"))
		}
		from, err := parseTime(*since, now)
		if err != nil {
			return bad(fmt.Errorf("--since: %w", err))
		}
		to, err := parseTime(*until, now)
		if err != nil {
			return bad(fmt.Errorf("--until: %w", err))
		}
		if *since == "" && *stream && (to.IsZero() || to.After(now)) {
			from = now // as docker: what was is shown only when asked for
		}
		test, err := eventFilters(filters)
		if err != nil {
			return bad(err)
		}
		show, err := eventPrinter(s, *format, *long)
		if err != nil {
			return err
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		follow := *stream && (to.IsZero() || to.After(now))
		return container.Events(host.Dirs, from, to, follow, func(e container.Event) error {
			if !test(e) {
				return nil
			}
			return show(e)
		})
	}
}

func eventPrinter(s Streams, format string, long bool) (func(container.Event) error, error) {
	switch format {
	case "":
		return func(e container.Event) error {
			words := append([]string{"image=" + e.Image, "name=" + e.Name}, e.Attributes...)
			id := e.ID
			if !long {
				id = short(id)
			}
			_, err := fmt.Fprintf(s.Out, "%s %s %s %s (%s)\n", e.Time.Format("2006-01-02 15:04:05.999999999 -0700 MST"), e.Type, e.Status, id, strings.Join(words, ", "))
			return err
		}, nil
	case "json":
		one, err := parseTemplate("{{json .}}")
		return func(e container.Event) error {
			v := eventJSON{e.ID, e.Image, e.Name, e.Status, e.Time.Format(time.RFC3339Nano), e.Time.UnixNano(), e.Type, map[string]string{}}
			for _, a := range e.Attributes {
				name, value, _ := strings.Cut(a, "=")
				v.Attributes[name] = value
			}
			return execute(s.Out, one, v)
		}, err
	}
	one, err := parseTemplate(format)
	l := listing[container.Event]{columns: eventColumns}
	return func(e container.Event) error { return l.each(s.Out, one, format, []container.Event{e}) }, err
}

// eventFilters: several of one key are alternatives, different keys must all hold.
func eventFilters(texts []string) (func(container.Event) bool, error) {
	byKey := map[string][]string{}
	for _, text := range texts {
		key, value, ok := strings.Cut(text, "=")
		if !ok || !slices.Contains([]string{"event", "status", "container", "image", "label", "type"}, key) {
			return nil, fmt.Errorf("--filter %s: event, container, image, label or type=VALUE", text)
		}
		byKey[key] = append(byKey[key], value)
	}
	return func(e container.Event) bool {
		for key, values := range byKey {
			if !slices.ContainsFunc(values, func(value string) bool { return eventMatches(e, key, value) }) {
				return false
			}
		}
		return true
	}, nil
}

func eventMatches(e container.Event, key, value string) bool {
	switch key {
	case "event", "status":
		docker := map[string]string{"die": "died", "destroy": "remove"}
		return e.Status == value || e.Status == docker[value]
	case "container":
		return e.Name == value || strings.HasPrefix(e.ID, value)
	case "image":
		repository, _ := splitTag(e.Image)
		return e.Image == value || repository == value
	case "label":
		name, want, valued := strings.Cut(value, "=")
		return slices.ContainsFunc(e.Attributes, func(a string) bool {
			n, v, _ := strings.Cut(a, "=")
			return n == name && (!valued || v == want)
		})
	}
	return e.Type == value
}
