package cli

import (
	"fmt"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/security"
)

// ticks is USER_HZ of the kernel's interface, the same on every architecture
// that rl is for (sysconf(3), proc_pid_stat(5)).
const ticks = 100

// descriptor is a column of top.
type descriptor struct {
	head  string
	value func(topRow) string
}

// topColumns are podman's descriptors (podman-top(1)).
var topColumns = map[string]descriptor{
	"user":    {"USER", func(r topRow) string { return named(r.User.UID, r.uids) }},
	"ruser":   {"RUSER", func(r topRow) string { return named(r.User.RealUID, r.uids) }},
	"group":   {"GROUP", func(r topRow) string { return named(r.User.GID, r.gids) }},
	"rgroup":  {"RGROUP", func(r topRow) string { return named(r.User.RealGID, r.gids) }},
	"groups":  {"GROUPS", func(r topRow) string { return allNamed(r.Groups, r.gids) }},
	"uid":     {"UID", func(r topRow) string { return fmt.Sprint(r.User.UID) }},
	"huser":   {"HUSER", func(r topRow) string { return named(r.HostUser.UID, r.hostUIDs) }},
	"hgroup":  {"HGROUP", func(r topRow) string { return named(r.HostUser.GID, r.hostGIDs) }},
	"hgroups": {"HGROUPS", func(r topRow) string { return allNamed(r.HostGroups, r.hostGIDs) }},
	"pid":     {"PID", func(r topRow) string { return fmt.Sprint(r.Inside) }},
	"hpid":    {"HPID", func(r topRow) string { return fmt.Sprint(r.PID) }},
	"ppid":    {"PPID", func(r topRow) string { return fmt.Sprint(r.Parent) }},
	"pgid":    {"PGID", func(r topRow) string { return fmt.Sprint(r.Group) }},
	"state":   {"STATE", func(r topRow) string { return string(r.State) }},
	"stime":   {"STIME", func(r topRow) string { return r.began().Format("2006-01-02 15:04:05 -0700 MST") }},
	"etime":   {"ELAPSED", func(r topRow) string { return r.age().String() }},
	"time":    {"TIME", func(r topRow) string { return r.used().String() }},
	"pcpu":    {"%CPU", topRow.cpu},
	"tty":     {"TTY", topRow.tty},
	"nice":    {"NI", func(r topRow) string { return fmt.Sprint(r.Nice) }},
	"comm":    {"COMMAND", func(r topRow) string { return r.Comm }},
	"args":    {"COMMAND", func(r topRow) string { return r.Args }},
	"vsz":     {"VSZ", func(r topRow) string { return fmt.Sprint(r.VSize >> 10) }},
	"rss":     {"RSS", func(r topRow) string { return fmt.Sprint(r.resident() >> 10) }},
	"label":   {"LABEL", topRow.label},
	"seccomp": {"SECCOMP", topRow.seccomp},
	"capamb":  {"AMBIENT CAPS", func(r topRow) string { return r.caps("CapAmb") }},
	"capbnd":  {"BOUNDING CAPS", func(r topRow) string { return r.caps("CapBnd") }},
	"capeff":  {"EFFECTIVE CAPS", func(r topRow) string { return r.caps("CapEff") }},
	"capinh":  {"INHERITED CAPS", func(r topRow) string { return r.caps("CapInh") }},
	"capprm":  {"PERMITTED CAPS", func(r topRow) string { return r.caps("CapPrm") }},
}

// aixColumns are the descriptors of ps(1), section AIX FORMAT DESCRIPTORS.
var aixColumns = map[string]string{
	"%C": "pcpu", "%G": "group", "%P": "ppid", "%U": "user", "%a": "args", "%c": "comm", "%g": "rgroup", "%n": "nice",
	"%p": "pid", "%r": "pgid", "%t": "etime", "%u": "ruser", "%x": "time", "%y": "tty", "%z": "vsz",
}

var topDefault = []string{"user", "pid", "ppid", "pcpu", "etime", "tty", "time", "args"}

// topRow is a process, and what its numbers mean.
type topRow struct {
	container.Proc
	up                 time.Duration
	uids, gids         map[uint32]string // the container's names
	hostUIDs, hostGIDs map[uint32]string
}

// named gives a name, or the number.
func named(id uint32, names map[uint32]string) string {
	if name, ok := names[id]; ok {
		return name
	}
	return fmt.Sprint(id)
}

func allNamed(ids []uint32, names map[uint32]string) string {
	var list []string
	for _, id := range ids {
		list = append(list, named(id, names))
	}
	return strings.Join(list, ",")
}

func (r topRow) age() time.Duration  { return max(0, r.up-time.Duration(r.Start)*time.Second/ticks) }
func (r topRow) began() time.Time    { return time.Now().Add(-r.age()) }
func (r topRow) used() time.Duration { return time.Duration(r.UTime+r.STime) * time.Second / ticks }
func (r topRow) resident() uint64    { return r.RSS * uint64(os.Getpagesize()) }

func (r topRow) share() float64 { return 100 * r.used().Seconds() / max(r.age().Seconds(), 0.01) }
func (r topRow) cpu() string    { return fmt.Sprintf("%.3f", r.share()) }

// tty: major 136 are the terminals of devpts (devices.txt).
func (r topRow) tty() string {
	if r.TTY == 0 {
		return "?"
	}
	return fmt.Sprintf("pts/%d", r.TTY&0xff|r.TTY>>12&0xfff00)
}

func (r topRow) label() string {
	if text := r.Label(); text != "" {
		return text
	}
	return "?"
}

func (r topRow) seccomp() string {
	modes := []string{"disabled", "strict", "filter"} // seccomp(2)
	if r.Seccomp < len(modes) {
		return modes[r.Seccomp]
	}
	return strconv.Itoa(r.Seccomp)
}

// caps are their names without CAP_; none and full are said so.
func (r topRow) caps(set string) string {
	mask := r.Caps[set]
	all := security.AllCapabilities()
	var list []string
	for n, name := range all {
		if mask&(1<<n) != 0 {
			list = append(list, strings.TrimPrefix(name, "CAP_"))
		}
	}
	switch len(list) {
	case 0:
		return "none"
	case len(all):
		return "full"
	}
	slices.Sort(list)
	return strings.Join(list, ",")
}

func topFlags(f *flags.Set) func(Streams, []string) error {
	latest := latestFlag(f)
	return func(s Streams, args []string) error {
		if len(args) == 0 && !*latest {
			return usageError{Text: "you must provide the name or id of a running container", Command: "top"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		if args, err = withLatest(host, *latest, args); err != nil {
			return err
		}
		columns, err := topNames(args[1:])
		if err != nil {
			return usageError{Text: err.Error(), Command: "top"}
		}
		info, err := container.Find(host.Dirs, args[0])
		if err != nil {
			return fmt.Errorf("unable to look up requested container: %w", err)
		}
		if !info.Running() {
			return fmt.Errorf("top can only be used on running containers: container %s is %s: %w", info.Name(), info.Status, container.ErrNotRunning)
		}
		return showProcesses(s, []*container.Info{info}, columns)
	}
}

// showProcesses shows those of one container after the other, in one table.
func showProcesses(s Streams, containers []*container.Info, columns []descriptor) error {
	w := tabwriter.NewWriter(s.Out, 0, 8, 2, ' ', 0)
	line := func(cell func(descriptor) string) {
		var cells []string
		for _, c := range columns {
			cells = append(cells, cell(c))
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	line(func(c descriptor) string { return c.head })
	hostUIDs, hostGIDs := container.HostNames()
	for _, info := range containers {
		list, err := info.Processes()
		if err != nil {
			return err
		}
		sort.Slice(list, func(i, j int) bool { return list[i].Inside < list[j].Inside })
		uids, gids := info.Names()
		up := container.Uptime()
		for _, p := range list {
			line(func(c descriptor) string { return c.value(topRow{p, up, uids, gids, hostUIDs, hostGIDs}) })
		}
	}
	return w.Flush()
}

// topNames: docker hands options to ps(1), such as -ef; podman takes names of
// columns, as words or as one list.
func topNames(words []string) ([]descriptor, error) {
	if len(words) == 0 {
		words = topDefault
	} else if strings.HasPrefix(words[0], "-") || slices.Contains(psWords, words[0]) {
		return psNames(words)
	}
	var columns []descriptor
	for _, name := range strings.FieldsFunc(strings.Join(words, ","), func(r rune) bool { return r == ',' || r == ' ' }) {
		if full, ok := aixColumns[name]; ok {
			name = full
		}
		c, ok := topColumns[name]
		if !ok {
			return nil, fmt.Errorf("unknown descriptor %q: there are %s, and options of ps such as -ef", name, strings.Join(sortedKeys(topColumns), ", "))
		}
		columns = append(columns, c)
	}
	return columns, nil
}

func sortedKeys[T any](m map[string]T) (list []string) {
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}
