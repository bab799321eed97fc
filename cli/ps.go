package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
)

// psRow is a container as ps shows it.
type psRow struct {
	info *container.Info
	long bool
}

// psJSON is a container as `ps --format json` shows it.
type psJSON struct {
	ID         string `json:"Id"`
	Names      []string
	Image      string
	ImageID    string
	Command    []string
	Created    int64
	CreatedAt  string
	State      string
	Status     string
	Pid        int
	ExitCode   int
	Exited     bool
	ExitedAt   int64
	StartedAt  int64
	AutoRemove bool
	Labels     map[string]string
	Mounts     []string
	Ports      []string
	Networks   []string
}

// psColumns are what a template of --format can name (podman-ps(1),
// docker-ps(1)).
var psColumns = map[string]column[psRow]{
	"ID": {"CONTAINER ID", func(r psRow) any { return r.id() }}, "Names": {"NAMES", func(r psRow) any { return r.info.Name() }},
	"Image": {"IMAGE", func(r psRow) any { return r.info.Image }}, "ImageID": {"IMAGE ID", func(r psRow) any { return r.info.ImageID }},
	"Command": {"COMMAND", func(r psRow) any { return r.command() }}, "CreatedAt": {"CREATED AT", func(r psRow) any { return r.info.Created.Local().String() }},
	"Created": {"CREATED", psRow.age}, "CreatedHuman": {"CREATED", psRow.age}, "RunningFor": {"CREATED", psRow.age},
	"Status": {"STATUS", func(r psRow) any { return r.status() }}, "State": {"STATE", func(r psRow) any { return string(r.info.Status) }},
	"Ports": {"PORTS", func(psRow) any { return "" }}, "Labels": {"LABELS", func(r psRow) any { return r.labels() }},
	"Pid": {"PID", func(r psRow) any { return r.json().Pid }}, "ExitCode": {"EXIT CODE", func(r psRow) any { return r.info.Ended.Code }},
	"Exited": {"EXITED", func(r psRow) any { return r.exited() }}, "ExitedAt": {"EXITED", func(r psRow) any { return r.json().ExitedAt }},
	"StartedAt": {"STARTED", func(r psRow) any { return r.json().StartedAt }}, "AutoRemove": {"AUTOREMOVE", func(r psRow) any { return r.info.Options.Remove }},
	"Mounts":   {"MOUNTS", func(r psRow) any { return strings.Join(r.json().Mounts, ",") }},
	"Networks": {"NETWORKS", func(r psRow) any { return strings.Join(r.json().Networks, ",") }},
}

const psTable = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"

func (r psRow) id() string {
	if r.long {
		return r.info.ID
	}
	return short(r.info.ID)
}

func (r psRow) command() string {
	text := strings.Join(r.info.Command, " ")
	if !r.long && len(text) > 20 {
		return text[:17] + "..."
	}
	return text
}

func (r psRow) age() any     { return ago(r.info.Created) }
func (r psRow) exited() bool { return r.info.Status == container.StatusExited }

func (r psRow) labels() string {
	var list []string
	for name, value := range r.info.Options.Labels {
		list = append(list, name+"="+value)
	}
	sort.Strings(list)
	return strings.Join(list, ",")
}

// status is docker's column.
func (r psRow) status() string {
	switch i := r.info; i.Status {
	case container.StatusPaused:
		return "Up " + duration(time.Since(i.State.Started)) + " (Paused)"
	case container.StatusRunning:
		up := "Up " + duration(time.Since(i.State.Started))
		if i.Options.Health.Checked() {
			up += " (" + i.Health().Status + ")"
		}
		return up
	case container.StatusRestarting:
		return fmt.Sprintf("Restarting (%d) %s", i.Ended.Code, ago(i.Ended.Finished))
	case container.StatusExited:
		if i.Ended.Finished.IsZero() {
			return fmt.Sprintf("Exited (%d)", i.Ended.Code)
		}
		return fmt.Sprintf("Exited (%d) %s", i.Ended.Code, ago(i.Ended.Finished))
	}
	return "Created"
}

func (r psRow) json() psJSON {
	i := r.info
	row := psJSON{ID: i.ID, Names: []string{i.Name()}, Image: i.Image, ImageID: i.ImageID, Command: i.Command, Created: i.Created.Unix(),
		CreatedAt: ago(i.Created), State: string(i.Status), Status: r.status(), AutoRemove: i.Options.Remove, Labels: i.Options.Labels,
		Exited: r.exited(), ExitCode: i.Ended.Code, StartedAt: unixOr(i.State.Started), ExitedAt: unixOr(i.Ended.Finished), Ports: []string{}}
	if i.Running() {
		row.Pid = i.State.Init.PID
	}
	for _, m := range i.Options.Mounts {
		row.Mounts = append(row.Mounts, m.Destination)
	}
	row.Networks = []string{i.Options.Network.String()}
	return row
}

// unixOr: the zero time is podman's least.
func unixOr(t time.Time) int64 {
	if t.IsZero() {
		return -62135596800
	}
	return t.Unix()
}

func psFlags(f *flags.Set) func(Streams, []string) error {
	all := f.BoolP("all", "a", false, "show those too that do not run")
	quiet := f.BoolP("quiet", "q", false, "show ids alone")
	long := f.Bool("no-trunc", false, "show whole ids and commands")
	latest := f.BoolP("latest", "l", false, "show the one that was made last")
	last := f.StringP("last", "n", "", "show so many that were made last")
	format := f.String("format", "", "json, [table] TEMPLATE, or nothing for a table")
	f.Bool("external", false, "accepted for podman's sake: rl has no others")
	noHeader := f.Bool("noheading", false, "leave out the head of the table")
	order := f.String("sort", "created", "command|created|id|image|names|runningfor|status")
	var filters []string
	f.StringArrayVarP(&filters, "filter", "f", nil, "id|name|status|label|ancestor|exited|before|since=VALUE")
	return func(s Streams, args []string) error {
		if len(args) > 0 {
			return usageError{Text: "ps takes no argument", Command: "ps"}
		}
		list, err := listContainers()
		if err != nil {
			return err
		}
		number := 0
		if *last != "" {
			if number, err = strconv.Atoi(*last); err != nil || number < 1 {
				return usageError{Text: fmt.Sprintf("--last %s: a number of containers", *last), Command: "ps"}
			}
		} else if *latest {
			number = 1
		}
		tests, err := psFilters(filters, list)
		if err != nil {
			return usageError{Text: err.Error(), Command: "ps"}
		}
		if !*all && number == 0 && !slices.ContainsFunc(filters, func(f string) bool { return strings.HasPrefix(f, "status=") || strings.HasPrefix(f, "exited=") }) {
			tests = append(tests, (*container.Info).Running)
		}
		list = slices.DeleteFunc(list, func(i *container.Info) bool {
			return slices.ContainsFunc(tests, func(test func(*container.Info) bool) bool { return !test(i) })
		})
		if number > 0 {
			list = list[:min(number, len(list))]
		}
		if err := psSort(list, *order); err != nil {
			return usageError{Text: err.Error(), Command: "ps"}
		}
		return psPrint(s.Out, list, *format, *long, *quiet, *noHeader)
	}
}

func psPrint(w io.Writer, list []*container.Info, format string, long, quiet, noHeader bool) error {
	rows, whole := []psRow{}, []psJSON{}
	for _, i := range list {
		row := psRow{i, long}
		rows = append(rows, row)
		if format == "json" {
			whole = append(whole, row.json())
		}
	}
	l := listing[psRow]{table: psTable, columns: psColumns, noHead: noHeader, labels: func(r psRow) map[string]string { return r.info.Options.Labels }}
	if quiet {
		if format != "" {
			return errors.New("quiet and format cannot be used together")
		}
		format = "{{.ID}}"
	}
	return l.print(w, format, rows, whole)
}

// listContainers gives all, the newest first.
func listContainers() ([]*container.Info, error) {
	host, err := start.OpenHost()
	if err != nil {
		return nil, err
	}
	list, err := container.List(host.Dirs)
	sort.Slice(list, func(i, j int) bool { return list[i].Created.After(list[j].Created) })
	return list, err
}

func psSort(list []*container.Info, order string) error {
	keys := map[string]func(*container.Info) string{
		"id": func(i *container.Info) string { return i.ID }, "image": func(i *container.Info) string { return i.Image },
		"names":   func(i *container.Info) string { return i.Name() },
		"status":  func(i *container.Info) string { return psRow{info: i}.status() },
		"command": func(i *container.Info) string { return strings.Join(i.Command, " ") },
		"created": nil, "runningfor": nil,
	}
	key, ok := keys[order]
	if !ok {
		return fmt.Errorf("--sort %s: command, created, id, image, names, runningfor or status", order)
	}
	if key != nil {
		sort.SliceStable(list, func(i, j int) bool { return key(list[i]) < key(list[j]) })
	}
	return nil
}
