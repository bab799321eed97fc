package cli

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"containers/rl/cli/flags"
	"containers/rl/cli/units"
	"containers/rl/container"
)

// podUnit is what units of a pod's containers have to know of the pod's.
type podUnit struct{ unit string }

func (u *podUnit) idFile() string  { return "%t/" + u.unit + ".pod-id" }
func (u *podUnit) pidFile() string { return "%t/" + u.unit + ".pid" }

// podAndContainers gives the pod's unit first.
func (g *generation) podAndContainers(s Streams, p *container.Pod) ([]*units.Service, error) {
	if g.template {
		return nil, errors.New("--template is not supported for pods")
	}
	infra := p.InfraContainer()
	if infra == nil {
		return nil, fmt.Errorf("generating systemd unit files: Pod %q has no infra container", p.Name)
	}
	_, unit := g.called(g.podPrefix, p.ID, p.Name)
	limit := g.limit(infra.Options.StopTimeout)
	u := g.service(unit, limit)
	list := []*units.Service{u}
	mine := &podUnit{unit}
	for _, i := range p.Containers {
		if infra == i || i.Options.Pod.Infra {
			continue
		}
		one, err := g.container(s, i, mine)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
		u.Before = append(u.Before, one.Name+".service")
	}
	if g.fresh {
		return list, g.renewPod(u, p, mine, limit)
	}
	called, _ := g.called("", infra.ID, infra.Name())
	g.existing(u, called, limit, infra)
	return list, nil
}

// renewPod makes a pod as it was made, and removes it at the end.
func (g *generation) renewPod(u *units.Service, p *container.Pod, mine *podUnit, limit int) error {
	if len(p.Command) < 3 {
		return fmt.Errorf("cannot use --new on pod %q: no create command found", p.ID)
	}
	set := flags.New("pod create")
	podCreateFlags(set)
	uses, rest, err := usesOf(set, p.Command[3:])
	if err != nil {
		return fmt.Errorf("cannot use --new on pod %q: %w", p.ID, err)
	}
	pidFile, idFile := mine.pidFile(), mine.idFile()
	words := []string{"pod create", "--infra-conmon-pidfile " + pidFile, "--pod-id-file " + idFile}
	named := len(rest) > 0
	for _, use := range uses {
		switch name := use.names[0]; name {
		case "pod-id-file", "infra-conmon-pidfile", "replace":
			continue
		case "name":
			named = true
		}
		words = append(words, quoted(use.words)...)
	}
	if named {
		words = append(words, "--replace")
	}
	u.StartPre = [][]string{{"/bin/rm", "-f", pidFile, idFile}, g.words(append(words, quoted(rest)...)...)}
	u.Start = g.words("pod start", "--pod-id-file "+idFile)
	u.Stop = g.words("pod stop", "--ignore", "--pod-id-file "+idFile, "-t "+strconv.Itoa(limit))
	u.PostRun = g.words("pod rm", "--ignore", "-f", "--pod-id-file "+idFile)
	u.PIDFile = pidFile
	return nil
}

// monitorFile holds the number of a container's monitor for PIDFile= of
// systemd.service(5). It is written where systemd starts the container.
func monitorFile(i *container.Info) string { return path.Join(i.Dir, "monitor.pid") }

// unitVariable tells us that a unit starts a container.
const unitVariable = "PODMAN_SYSTEMD_UNIT"

// tellUnit writes what a unit of type forking waits for.
func tellUnit(host container.Host, i *container.Info) error {
	if os.Getenv(unitVariable) == "" {
		return nil
	}
	return writeMonitor(host, i.ID, monitorFile(i))
}

// tellPod is for --infra-conmon-pidfile.
func tellPod(host container.Host, p *container.Pod) error {
	infra := p.InfraContainer()
	if p.PIDFile == "" || infra == nil {
		return nil
	}
	return writeMonitor(host, infra.ID, p.PIDFile)
}

// writeMonitor writes the number of the monitor that a container has by now.
func writeMonitor(host container.Host, id, file string) error {
	now, err := container.Find(host.Dirs, id)
	if err == nil {
		err = os.WriteFile(file, []byte(strconv.Itoa(now.State.Monitor.PID)+"\n"), 0o644)
	}
	if err != nil {
		return fmt.Errorf("writing the number of the monitor of container %.12s: %w", id, err)
	}
	return nil
}

// withoutUnit is for what is started beside the container that a unit is for.
func withoutUnit(environ []string) []string {
	return slices.DeleteFunc(environ, func(v string) bool {
		return strings.HasPrefix(v, "NOTIFY_SOCKET=") || strings.HasPrefix(v, unitVariable+"=")
	})
}
