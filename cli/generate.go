package cli

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"containers/rl/cli/flags"
	"containers/rl/cli/self"
	"containers/rl/cli/start"
	"containers/rl/cli/units"
	"containers/rl/container"
	"containers/rl/storage"
)

// generation are the flags of generate systemd (podman-generate-systemd(1)).
type generation struct {
	names, fresh, files, noHeader, template bool
	format, policy                          string
	startTimeout, stopTimeout, restartSec   string
	containerPrefix, podPrefix, separator   string
	after, wants, requires, env, locations  []string
	flags                                   *flags.Set
	host                                    container.Host
	program                                 string
}

// generateFlags writes units of systemd's user manager that start a container,
// or a pod, at boot, given `loginctl enable-linger`.
func generateFlags(f *flags.Set) func(Streams, []string) error {
	g := &generation{flags: f}
	f.BoolVarP(&g.names, "name", "n", false, "call containers and pods by their names, not their ids")
	f.BoolVar(&g.fresh, "new", false, "make a new container or pod at each start, and remove it")
	f.BoolVarP(&g.files, "files", "f", false, "write files in the working directory, and print their paths")
	f.StringVar(&g.format, "format", "", "json")
	f.BoolVar(&g.noHeader, "no-header", false, "leave out who made the unit, and when")
	f.BoolVar(&g.template, "template", false, "make a template, for services NAME@INSTANCE; it is --new")
	f.StringVar(&g.policy, "restart-policy", "on-failure", "no, on-success, on-failure, on-abnormal, on-watchdog, on-abort or always: systemd's")
	f.StringVar(&g.restartSec, "restart-sec", "", "seconds before systemd restarts it")
	f.StringVar(&g.startTimeout, "start-timeout", "", "seconds that the start may take")
	f.StringVarP(&g.stopTimeout, "stop-timeout", "t", "", "seconds until KILL when the unit stops (default: the container's --stop-timeout)")
	f.Alias("time", "stop-timeout")
	f.StringVar(&g.containerPrefix, "container-prefix", "container", "what the names of units of containers begin with")
	f.StringVar(&g.podPrefix, "pod-prefix", "pod", "what the names of units of pods begin with")
	f.StringVar(&g.separator, "separator", "-", "between the prefix and the name")
	f.StringArrayVar(&g.after, "after", nil, "a unit that this one is started after")
	f.StringArrayVar(&g.wants, "wants", nil, "a unit that is started with this one")
	f.StringArrayVar(&g.requires, "requires", nil, "a unit that this one cannot do without")
	f.StringArrayVarP(&g.env, "env", "e", nil, "variable of the unit: NAME=VALUE, or NAME or PREFIX* to take ours")
	return g.run
}

func (g *generation) run(s Streams, args []string) error {
	if len(args) != 1 {
		return usageError{Text: fmt.Sprintf("accepts 1 arg(s), received %d", len(args)), Command: "generate systemd"}
	}
	err := g.check()
	if err != nil {
		return err
	}
	if g.host, err = start.OpenHost(); err != nil {
		return err
	}
	if g.program, err = os.Executable(); err != nil {
		return fmt.Errorf("finding our own binary: %w", err)
	}
	g.locate()
	list, err := g.find(s, args[0])
	if err != nil {
		return err
	}
	return g.write(s, list)
}

// check reads the flags.
func (g *generation) check() error {
	if g.template && !g.fresh {
		if g.flags.Changed("new") {
			return errors.New("--template cannot be set with --new=false")
		}
		g.fresh = true
	}
	if g.format != "" && g.format != "json" {
		return fmt.Errorf("unknown --format argument: %s", g.format)
	}
	if !slices.Contains([]string{"no", "on-success", "on-failure", "on-abnormal", "on-watchdog", "on-abort", "always"}, g.policy) {
		return fmt.Errorf("%s is not a valid restart policy", g.policy)
	}
	for _, flag := range []struct{ name, value string }{{"restart-sec", g.restartSec}, {"start-timeout", g.startTimeout}, {"stop-timeout", g.stopTimeout}} {
		if _, err := strconv.ParseUint(flag.value, 10, 31); flag.value != "" && err != nil {
			return usageError{Text: fmt.Sprintf("invalid argument %q for \"--%s\" flag: a number of seconds", flag.value, flag.name), Command: "generate systemd"}
		}
	}
	for _, unit := range slices.Concat(g.after, g.wants, g.requires, []string{g.containerPrefix, g.podPrefix, g.separator}) {
		if strings.ContainsAny(unit, " \t\n/\x00%\"'\\") {
			return fmt.Errorf("%q is not a name of a unit", unit)
		}
	}
	g.env = ownVariables(g.env, os.Environ())
	return nil
}

// ownVariables replaces names, and beginnings with *, by what we have of these.
func ownVariables(texts, environ []string) (list []string) {
	for _, text := range texts {
		if strings.Contains(text, "=") {
			list = append(list, text)
			continue
		}
		prefix, many := strings.CutSuffix(text, "*")
		for _, v := range environ {
			if name, _, _ := strings.Cut(v, "="); name == text || many && strings.HasPrefix(name, prefix) {
				list = append(list, v)
			}
		}
	}
	return list
}

// locate: the user's manager finds the data directory by HOME alone.
func (g *generation) locate() {
	if usual := path.Join(os.Getenv("HOME"), ".local/share/rl"); g.host.Dirs.Data != usual {
		g.locations = []string{storage.RootVariable + "=" + g.host.Dirs.Data}
	}
}

// find gives the units: that of a container, or those of a pod.
func (g *generation) find(s Streams, ref string) ([]*units.Service, error) {
	info, err := container.Find(g.host.Dirs, ref)
	if err == nil {
		unit, err := g.container(s, info, nil)
		return []*units.Service{unit}, err
	}
	if !errors.Is(err, storage.ErrNoContainer) {
		return nil, err
	}
	missing := err
	pod, err := container.FindPod(g.host.Dirs, ref)
	if errors.Is(err, storage.ErrNoPod) {
		return nil, fmt.Errorf("%s does not refer to a container or pod: %w: %w", ref, err, missing)
	}
	if err != nil {
		return nil, err
	}
	return g.podAndContainers(s, pod)
}

// called is the name or the id, and unit the name of the unit.
func (g *generation) called(prefix, id, name string) (called, unit string) {
	called = id
	if g.names {
		called = name
	}
	if prefix == "" {
		return called, called
	}
	return called, prefix + g.separator + called
}

// service is what all units have.
func (g *generation) service(name string, limit int) *units.Service {
	u := &units.Service{Name: name, Description: "rl " + name + ".service", Unit: "%n", Mounts: g.mounts(), Restart: g.policy, RestartSec: g.restartSec,
		StartTimeout: g.startTimeout, StopTimeout: limit + 60, After: g.after, Wants: g.wants, Requires: g.requires, Env: slices.Concat(g.locations, g.env)}
	if !g.noHeader {
		u.Made = "# autogenerated by rl " + self.Version + "\n# " + time.Now().Format(time.UnixDate)
	}
	return u
}

// mounts: with --new a unit is not of this machine alone.
func (g *generation) mounts() string {
	if rest, ok := strings.CutPrefix(g.host.Dirs.Data, os.Getenv("HOME")+"/"); ok && g.fresh && os.Getenv("HOME") != "" {
		if text := units.Setting(rest); text[0] != '"' {
			return "%h/" + text
		}
	}
	return units.Setting(g.host.Dirs.Data)
}

// words are a command line of ours.
func (g *generation) words(words ...string) []string {
	return append([]string{units.Word(g.program)}, words...)
}

func (g *generation) limit(own int) int {
	if n, err := strconv.Atoi(g.stopTimeout); err == nil {
		return n
	}
	return max(own, 0) // one that waits for ever is not for systemd
}

// container makes the unit of a container; pod is the name of the unit of its pod, when that is asked for.
func (g *generation) container(s Streams, i *container.Info, pod *podUnit) (*units.Service, error) {
	called, name := g.called(g.containerPrefix, i.ID, i.Name())
	limit := g.limit(i.Options.StopTimeout)
	u := g.service(name, limit)
	if pod != nil {
		u.BindsTo = append(g.required(i), pod.unit+".service")
	}
	if g.fresh {
		return u, g.renew(u, i, pod, limit)
	}
	if policy := restartPolicy(i); policy != container.RestartNo {
		fmt.Fprintf(s.Err, "rl: container %s has restart policy %q which can lead to issues on shutdown: consider recreating the container without a restart policy and use systemd's restart mechanism instead\n", i.ID, policy)
	}
	g.existing(u, called, limit, i)
	return u, nil
}

// existing starts and stops a container that is there.
func (g *generation) existing(u *units.Service, called string, limit int, i *container.Info) {
	u.Start = g.words("start", units.Word(called))
	u.Stop = g.words("stop", "-t "+strconv.Itoa(limit), units.Word(called))
	u.PostRun = u.Stop
	u.PIDFile = units.Path(monitorFile(i))
}

// required are the units of what has to run before a container.
func (g *generation) required(i *container.Info) (list []string) {
	if i.Options.Rare == nil {
		return nil
	}
	for _, id := range i.Options.Rare.Requires {
		if other, err := container.Find(g.host.Dirs, id); err == nil {
			_, unit := g.called(g.containerPrefix, other.ID, other.Name())
			list = append(list, unit+".service")
		}
	}
	return list
}

// renew makes a container as it was made, and removes it at the end.
func (g *generation) renew(u *units.Service, i *container.Info, pod *podUnit, limit int) error {
	r, err := recreate(i.CreateCommand, pod)
	if err != nil {
		return fmt.Errorf("cannot use --new on container %q: %w", i.ID, err)
	}
	if !g.flags.Changed("restart-policy") && r.restart != "" {
		if u.Restart, u.StartLimit, err = r.policy(); err != nil {
			return err
		}
	}
	if g.template {
		u.Description, u.Name, u.Unit = u.Description+" for %I", u.Name+"@", "%n-%i"
		r.template()
	}
	const file = "--cidfile=%t/%n.ctr-id"
	wait := "-t " + strconv.Itoa(limit)
	u.StartPre = [][]string{{"/bin/rm", "-f", "%t/%n.ctr-id"}}
	u.Start = g.words(append([]string{"run", file}, r.words()...)...)
	u.Stop = g.words("stop", "--ignore "+wait, file)
	u.PostRun = g.words("rm", "-f", "--ignore "+wait, file)
	return nil
}
