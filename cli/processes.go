package cli

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
)

// ticks is USER_HZ of the kernel's interface, the same on every architecture
// that rl is for (sysconf(3), proc_pid_stat(5)).
const ticks = 100

// topColumns are podman's descriptors (podman-top(1)).
var topColumns = map[string]struct {
	head  string
	value func(topRow) string
}{
	"user":  {"USER", func(r topRow) string { return named(r.UID, r.uids) }},
	"group": {"GROUP", func(r topRow) string { return named(r.GID, r.gids) }},
	"uid":   {"UID", func(r topRow) string { return fmt.Sprint(r.UID) }},
	"huser": {"HUSER", func(r topRow) string { return fmt.Sprint(r.HostUID) }}, "hgroup": {"HGROUP", func(r topRow) string { return fmt.Sprint(r.HostGID) }},
	"pid": {"PID", func(r topRow) string { return fmt.Sprint(r.Inside) }}, "hpid": {"HPID", func(r topRow) string { return fmt.Sprint(r.PID) }},
	"ppid": {"PPID", func(r topRow) string { return fmt.Sprint(r.Parent) }}, "state": {"STATE", func(r topRow) string { return string(r.State) }},
	"pcpu": {"%CPU", topRow.cpu}, "etime": {"ELAPSED", func(r topRow) string { return r.age().Truncate(time.Millisecond).String() }},
	"time": {"TIME", func(r topRow) string { return r.used().String() }}, "tty": {"TTY", topRow.tty}, "nice": {"NI", func(r topRow) string { return fmt.Sprint(r.Nice) }},
	"comm": {"COMMAND", func(r topRow) string { return r.Comm }}, "args": {"COMMAND", func(r topRow) string { return r.Args }},
	"vsz": {"VSZ", func(r topRow) string { return fmt.Sprint(r.VSize >> 10) }}, "rss": {"RSS", func(r topRow) string { return fmt.Sprint(r.RSS << 2) }},
}

var topDefault = []string{"user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args"}

type topRow struct {
	container.Proc
	up         time.Duration
	uids, gids map[uint32]string
}

// named gives a name of the container, or its number.
func named(id uint32, names map[uint32]string) string {
	if name, ok := names[id]; ok {
		return name
	}
	return fmt.Sprint(id)
}

func (r topRow) age() time.Duration  { return r.up - time.Duration(r.Start)*time.Second/ticks }
func (r topRow) used() time.Duration { return time.Duration(r.UTime+r.STime) * time.Second / ticks }

func (r topRow) cpu() string {
	return fmt.Sprintf("%.3f", 100*r.used().Seconds()/max(r.age().Seconds(), 0.01))
}

// tty: major 136 are the terminals of devpts (devices.txt).
func (r topRow) tty() string {
	if r.TTY == 0 {
		return "?"
	}
	return fmt.Sprintf("pts/%d", r.TTY&0xff)
}

func topFlags(f *flags.Set) func(Streams, []string) error {
	return func(s Streams, args []string) error {
		if len(args) == 0 {
			return usageError{Text: "top needs a container", Command: "top"}
		}
		columns, err := topNames(args[1:])
		if err != nil {
			return usageError{Text: err.Error(), Command: "top"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		info, err := container.Find(host.Dirs, args[0])
		if err != nil {
			return err
		}
		return showProcesses(s, []*container.Info{info}, columns)
	}
}

// showProcesses shows those of one container after the other, in one table.
func showProcesses(s Streams, containers []*container.Info, columns []string) error {
	w := tabwriter.NewWriter(s.Out, 0, 8, 2, ' ', 0)
	var heads []string
	for _, c := range columns {
		heads = append(heads, topColumns[c].head)
	}
	fmt.Fprintln(w, strings.Join(heads, "\t"))
	for _, info := range containers {
		list, err := info.Processes()
		if err != nil {
			return err
		}
		sort.Slice(list, func(i, j int) bool { return list[i].Inside < list[j].Inside })
		uids, gids := info.Names()
		up := container.Uptime()
		for _, p := range list {
			row, cells := topRow{p, up, uids, gids}, []string{}
			for _, c := range columns {
				cells = append(cells, topColumns[c].value(row))
			}
			fmt.Fprintln(w, strings.Join(cells, "\t"))
		}
	}
	return w.Flush()
}

// topNames: docker hands options to ps(1), such as -ef; podman takes names of columns.
func topNames(words []string) ([]string, error) {
	if len(words) == 0 || strings.HasPrefix(words[0], "-") || slices.Equal(words, []string{"aux"}) {
		return topDefault, nil
	}
	names := strings.FieldsFunc(strings.Join(words, ","), func(r rune) bool { return r == ',' || r == ' ' })
	for _, name := range names {
		if _, ok := topColumns[name]; !ok {
			return nil, fmt.Errorf("top: unknown column %q", name)
		}
	}
	return names, nil
}

func pauseFlags(f *flags.Set) func(Streams, []string) error {
	sel := &selection{command: "pause", with: func(i *container.Info) bool { return i.Status == container.StatusRunning }}
	sel.flags(f, "cidfile", "filter")
	return func(s Streams, args []string) error {
		return sel.each(s, args, func(host container.Host, i *container.Info) error {
			err := i.Pause()
			if err == nil {
				i.Emit(host.Dirs, "pause")
			}
			return err
		})
	}
}

func unpauseFlags(f *flags.Set) func(Streams, []string) error {
	sel := &selection{command: "unpause", with: func(i *container.Info) bool { return i.Status == container.StatusPaused }}
	sel.flags(f, "cidfile", "filter")
	return func(s Streams, args []string) error {
		return sel.each(s, args, func(host container.Host, i *container.Info) error {
			err := i.Unpause()
			if err == nil {
				i.Emit(host.Dirs, "unpause")
			}
			return err
		})
	}
}

func renameFlags(f *flags.Set) func(Streams, []string) error {
	return func(_ Streams, args []string) error {
		if err := exactly("rename", args, 2); err != nil {
			return err
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		info, err := container.Find(host.Dirs, args[0])
		if err != nil {
			return err
		}
		if err := info.Rename(host.Dirs, args[1]); err != nil {
			return err
		}
		info.Options.Name = args[1]
		info.Emit(host.Dirs, "rename", "oldName="+args[0])
		return nil
	}
}

func pruneFlags(f *flags.Set) func(Streams, []string) error {
	force := f.BoolP("force", "f", false, "do not ask")
	var filters []string
	f.StringArrayVar(&filters, "filter", nil, "label=NAME[=VALUE]")
	return func(s Streams, args []string) error {
		if err := exactly("container prune", args, 0); err != nil {
			return err
		}
		if !*force && !confirm(s, "WARNING! This will remove all non running containers.") {
			return nil
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		return pruneContainers(s, host, filters)
	}
}

func pruneContainers(s Streams, host container.Host, filters []string) error {
	list, err := container.List(host.Dirs)
	if err != nil {
		return err
	}
	tests, err := psFilters(filters, list)
	if err != nil {
		return usageError{Text: err.Error(), Command: "container prune"}
	}
	var failed []error
	for _, i := range list {
		if i.Status != container.StatusExited && i.Status != container.StatusCreated || infra(i) || !allHold(tests, i) {
			continue
		}
		if err := container.Delete(host, i, false); err != nil {
			failed = append(failed, err)
			continue
		}
		fmt.Fprintln(s.Out, i.ID)
	}
	return errors.Join(failed...)
}

// confirm asks; no answer is no.
func confirm(s Streams, warning string) bool {
	fmt.Fprintf(s.Out, "%s\nAre you sure you want to continue? [y/N] ", warning)
	var answer string
	_, _ = fmt.Fscanln(s.In, &answer)
	return strings.HasPrefix(strings.ToLower(answer), "y")
}

func existsFlags(f *flags.Set) func(Streams, []string) error {
	return func(_ Streams, args []string) error {
		if err := exactly("container exists", args, 1); err != nil {
			return err
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		if _, err := host.Dirs.FindContainer(args[0]); err != nil {
			return container.Exit{Code: 1}
		}
		return nil
	}
}

func imageExistsFlags(f *flags.Set) func(Streams, []string) error {
	return func(_ Streams, args []string) error {
		if len(args) != 1 {
			return usageError{Text: "image exists needs an image", Command: "image exists"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		img, err := host.Dirs.Lookup(args[0])
		if err != nil {
			return container.Exit{Code: 1}
		}
		return img.Close()
	}
}
