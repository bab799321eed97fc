package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/storage"
)

// podCommands are the rows of pods (podman-pod(1)).
func podCommands() []Command {
	return []Command{
		{"pod create", "[FLAGS] [NAME]", "Make a pod: containers that share namespaces", podCreateFlags},
		{"pod clone", "[FLAGS] POD [NAME]", "Make a pod like another one, and its containers", podCloneFlags},
		{"pod start", "[FLAGS] POD...", "Start the containers of pods", podStartFlags},
		{"pod stop", "[FLAGS] POD...", "Stop the containers of pods", podStopFlags},
		{"pod restart", "[FLAGS] POD...", "Stop the containers of pods and start them again", podRestartFlags},
		{"pod kill", "[FLAGS] POD...", "Send a signal to the containers of pods", podKillFlags},
		{"pod pause", "[FLAGS] POD...", "Stop all processes of pods for a while", podPauseFlags},
		{"pod unpause", "[FLAGS] POD...", "Let them go on", podUnpauseFlags},
		{"pod rm", "[FLAGS] POD...", "Remove pods and their containers", podRmFlags},
		{"pod prune", "[FLAGS]", "Remove all pods that do not run", podPruneFlags},
		{"pod ps", "[FLAGS]", "List pods", podPsFlags},
		{"pod inspect", "[FLAGS] POD...", "Show all that is known of pods", podInspectFlags},
		{"pod exists", "POD", "Tell by the status whether a pod is there", podExistsFlags},
		{"pod logs", "[FLAGS] POD", "Show what the containers of a pod wrote", podLogsFlags},
		{"pod top", "[FLAGS] POD [COLUMN...]", "List the processes of a pod", podTopFlags},
		{"pod stats", "[FLAGS] [POD...]", "Show what the containers of pods use", podStatsFlags},
	}
}

// podSelection are the flags of commands that act on several pods.
type podSelection struct {
	command             string
	all, latest, ignore bool
	idFiles             []string
	// broken is done to one that cannot be read; nil: that is an error.
	broken func(container.Host, *container.Broken) error
}

// flags declares them; which is a list of the rarer ones that a command has.
func (sel *podSelection) flags(f *flags.Set, which ...string) {
	f.BoolVarP(&sel.all, "all", "a", false, "all pods")
	f.BoolVarP(&sel.latest, "latest", "l", false, "the pod that was made last")
	if slices.Contains(which, "ignore") {
		f.BoolVarP(&sel.ignore, "ignore", "i", false, "do not mind a pod that is not there")
	}
	if slices.Contains(which, "pod-id-file") {
		f.StringArrayVar(&sel.idFiles, "pod-id-file", nil, "read the pod's id from a file")
	}
}

func (sel *podSelection) check(args []string) error {
	named := len(args) + len(sel.idFiles)
	switch {
	case sel.all && sel.latest:
		return errors.New("--all and --latest cannot be used together")
	case sel.all && named > 0:
		return errors.New("no arguments are needed with --all")
	case sel.latest && named > 0:
		return errors.New("--latest and pods cannot be used together")
	case named == 0 && !sel.all && !sel.latest:
		return errors.New("you must provide at least one name or id")
	}
	return nil
}

// each does something to all pods that were selected, and prints their ids.
func (sel *podSelection) each(s Streams, args []string, do func(container.Host, *container.Pod) error) error {
	if err := sel.check(args); err != nil {
		return usageError{Text: err.Error(), Command: sel.command}
	}
	host, err := start.OpenHost()
	if err != nil {
		return err
	}
	refs, err := sel.refs(host, args)
	if err != nil {
		return err
	}
	var failed []error
	for _, ref := range refs {
		pod, err := container.FindPod(host.Dirs, ref)
		if broken := container.AllBroken(err); len(broken) == 1 && sel.broken != nil {
			pod, err = &container.Pod{PodRecord: container.PodRecord{ID: broken[0].ID}}, sel.broken(host, broken[0])
		} else if err == nil {
			err = do(host, pod)
		}
		switch {
		case errors.Is(err, storage.ErrNoPod) && (sel.ignore || sel.all):
		case err != nil:
			failed = append(failed, err)
		default:
			fmt.Fprintln(s.Out, pod.ID)
		}
	}
	return errors.Join(failed...)
}

func (sel *podSelection) refs(host container.Host, args []string) ([]string, error) {
	for _, name := range sel.idFiles {
		text, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) && sel.ignore {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading pod ID file: %w", err)
		}
		id, _, _ := strings.Cut(string(text), "\n")
		args = append(args, id)
	}
	if !sel.all && !sel.latest {
		return args, nil
	}
	list, err := container.Pods(host.Dirs)
	if sel.broken != nil && sel.all {
		for _, b := range container.AllBroken(err) {
			if err = nil; b.Pod {
				args = append(args, b.ID)
			}
		}
	}
	if sel.latest {
		if err == nil && len(list) == 0 {
			err = fmt.Errorf("--latest: there are no pods: %w", storage.ErrNoPod)
		}
		list = list[:min(1, len(list))]
	}
	for _, p := range list {
		args = append(args, p.ID)
	}
	return args, err
}

// onePod finds the pod of a command that takes one, by its name or --latest.
func onePod(host container.Host, command string, latest bool, args []string) (pod *container.Pod, rest []string, err error) {
	sel := &podSelection{command: command, latest: latest}
	if !latest && len(args) == 0 {
		return nil, nil, usageError{Text: command + " needs a pod", Command: command}
	}
	if !latest {
		args, rest = args[:1], args[1:]
	} else {
		args, rest = nil, args
	}
	if args, err = sel.refs(host, args); err != nil {
		return nil, nil, err
	}
	pod, err = container.FindPod(host.Dirs, args[0])
	return pod, rest, err
}

// podMembers are the containers of a pod, and at last the infra container: it has
// what the others need.
func podMembers(p *container.Pod) (list []*container.Info) {
	for _, i := range p.Containers {
		if !infra(i) {
			list = append(list, i)
		}
	}
	if i := p.InfraContainer(); i != nil {
		list = append(list, i)
	}
	return list
}

// eachMember goes on after an error, so that the rest of the pod is done too.
func eachMember(p *container.Pod, do func(*container.Info) error) error {
	var failed []error
	for _, i := range podMembers(p) {
		if err := do(i); err != nil && !errors.Is(err, storage.ErrNoContainer) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// emitting is eachMember for what is an event of the pod too.
func emitting(host container.Host, p *container.Pod, status string, do func(*container.Info) error) error {
	err := eachMember(p, do)
	if err == nil {
		p.Emit(host.Dirs, status)
	}
	return err
}

func podStartFlags(f *flags.Set) func(Streams, []string) error {
	sel := &podSelection{command: "pod start"}
	sel.flags(f, "pod-id-file")
	return func(s Streams, args []string) error {
		return sel.each(s, args, func(host container.Host, p *container.Pod) error { return startPod(s, host, p) })
	}
}

// startPod: the infra container first.
func startPod(s Streams, host container.Host, p *container.Pod) error {
	if len(p.Containers) == 0 {
		return fmt.Errorf("no containers in pod %s have no dependencies, cannot start pod: %w", p.ID, storage.ErrNoContainer)
	}
	list := p.Containers
	if i := p.InfraContainer(); i != nil {
		list = append([]*container.Info{i}, list...)
	}
	var failed []error
	for n, i := range list {
		if active(i) || n > 0 && infra(i) {
			continue
		}
		if err := start.Revive(s, host, i); err != nil {
			failed = append(failed, err)
		}
	}
	err := errors.Join(failed...)
	if err == nil {
		err = tellPod(host, p)
	}
	if err == nil {
		p.Emit(host.Dirs, "start")
	}
	return err
}

// startContainer starts a container, and before it what has its pod's namespaces.
func startContainer(s Streams, host container.Host, i *container.Info) error {
	return startSeen(s, host, i, func() {})
}

func startSeen(s Streams, host container.Host, i *container.Info, seen func()) error {
	if i.Options.Pod != nil && !infra(i) {
		pod, err := container.FindPod(host.Dirs, i.Options.Pod.ID)
		if err == nil {
			err = startInfra(host, pod)
		}
		if err != nil {
			return err
		}
	}
	return start.ReviveSeen(s, host, i, seen)
}

func podStopFlags(f *flags.Set) func(Streams, []string) error {
	sel := &podSelection{command: "pod stop"}
	sel.flags(f, "ignore", "pod-id-file")
	limit := timeFlag(f, "seconds until KILL (default: each container's --stop-timeout)")
	return func(s Streams, args []string) error {
		if _, err := seconds(*limit, 0); err != nil {
			return usageError{Text: err.Error(), Command: sel.command}
		}
		return sel.each(s, args, func(host container.Host, p *container.Pod) error { return stopPod(host, p, *limit) })
	}
}

// stopPod stops its containers at once, and then the infra container.
func stopPod(host container.Host, p *container.Pod, limit string) error {
	list := podMembers(p)
	stopped := atOnce(len(list), func(n int) error {
		if i := list[n]; active(i) && !infra(i) {
			return stop(host, i, "", limit)
		}
		return nil
	})
	ends := map[*container.Info]error{}
	for n, i := range list {
		ends[i] = stopped(n)
	}
	err := eachMember(p, func(i *container.Info) error {
		if infra(i) && active(i) {
			return stop(host, i, "", limit)
		}
		return ends[i]
	})
	if err == nil {
		p.Emit(host.Dirs, "stop")
	}
	return err
}

func podRestartFlags(f *flags.Set) func(Streams, []string) error {
	sel := &podSelection{command: "pod restart"}
	sel.flags(f)
	return func(s Streams, args []string) error {
		return sel.each(s, args, func(host container.Host, p *container.Pod) error {
			err := stopRetained(host, p)
			if err == nil {
				p, err = container.FindPod(host.Dirs, p.ID)
			}
			if err != nil {
				return err
			}
			return startPod(s, host, p)
		})
	}
}

// stopRetained stops a pod, and none of its containers is removed by that, as
// --rm has it. One that cannot be kept is found before any is stopped.
func stopRetained(host container.Host, p *container.Pod) error {
	var releases []func()
	defer func() {
		for _, release := range releases {
			release()
		}
	}()
	err := eachMember(p, func(i *container.Info) error {
		release, err := i.Retain()
		if err == nil {
			releases = append(releases, release)
		}
		return err
	})
	if err != nil {
		return err
	}
	return stopPod(host, p, "")
}

func podKillFlags(f *flags.Set) func(Streams, []string) error {
	sel := &podSelection{command: "pod kill"}
	sel.flags(f)
	name := f.StringP("signal", "s", "KILL", "signal to send")
	return func(s Streams, args []string) error {
		signal, err := container.ParseSignal(*name)
		if err != nil {
			return usageError{Text: err.Error(), Command: sel.command}
		}
		return sel.each(s, args, func(host container.Host, p *container.Pod) error {
			p.Emit(host.Dirs, "kill")
			return eachMember(p, func(i *container.Info) error { return killMember(host, i, signal) })
		})
	}
}

func killMember(host container.Host, i *container.Info, signal unix.Signal) error {
	if !i.Running() {
		return nil
	}
	i.Emit(host.Dirs, "kill", fmt.Sprintf("signal=%d", signal)) // before its end is told
	err := i.Signal(signal)
	if errors.Is(err, container.ErrNotRunning) { // ended with one before it
		return nil
	}
	if err == nil && signal == unix.SIGKILL {
		_, _, err = i.Wait(-1)
	}
	return err
}

func podPauseFlags(f *flags.Set) func(Streams, []string) error {
	sel := &podSelection{command: "pod pause"}
	sel.flags(f)
	return func(s Streams, args []string) error {
		return sel.each(s, args, func(host container.Host, p *container.Pod) error {
			return emitting(host, p, "pause", func(i *container.Info) error {
				if i.Status != container.StatusRunning {
					return nil
				}
				err := i.Pause()
				if err == nil {
					i.Emit(host.Dirs, "pause")
				}
				return err
			})
		})
	}
}

func podUnpauseFlags(f *flags.Set) func(Streams, []string) error {
	sel := &podSelection{command: "pod unpause"}
	sel.flags(f)
	return func(s Streams, args []string) error {
		return sel.each(s, args, func(host container.Host, p *container.Pod) error {
			return emitting(host, p, "unpause", func(i *container.Info) error {
				if i.Status != container.StatusPaused {
					return nil
				}
				err := i.Unpause()
				if err == nil {
					i.Emit(host.Dirs, "unpause")
				}
				return err
			})
		})
	}
}

func podRmFlags(f *flags.Set) func(Streams, []string) error {
	sel := &podSelection{command: "pod rm"}
	sel.flags(f, "ignore", "pod-id-file")
	force := f.BoolP("force", "f", false, "stop what runs; do not mind a pod that is not there")
	limit := timeFlag(f, "with --force: seconds until KILL (default: each container's --stop-timeout)")
	return func(s Streams, args []string) error {
		if _, err := seconds(*limit, 0); err != nil {
			return usageError{Text: err.Error(), Command: sel.command}
		}
		if *force {
			sel.ignore = true
			sel.broken = func(host container.Host, b *container.Broken) error { return b.Delete(host) }
		}
		err := sel.each(s, args, func(host container.Host, p *container.Pod) error { return removePod(host, p, *force, *limit) })
		return removalCode(err, storage.ErrNoPod, container.ErrRunning)
	}
}

// removePod: with an infra container alone nothing of the user's runs in it.
func removePod(host container.Host, p *container.Pod, force bool, limit string) error {
	unlock, err := host.Dirs.LockPod(p.Entry(), true)
	if err != nil {
		return err
	}
	defer unlock()
	if p, err = container.FindPod(host.Dirs, p.ID); err != nil { // with those that were added meanwhile
		return err
	}
	if len(p.Containers) == 1 && infra(p.Containers[0]) {
		force = true
	}
	for _, i := range p.Containers {
		if active(i) && !force {
			return fmt.Errorf("pod %s has containers that are not ready to be removed: cannot remove container %s as it is %s - %w", p.ID, i.ID, i.Status, container.ErrRunning)
		}
	}
	if err := stopPod(host, p, limit); err != nil {
		return err
	}
	if err := eachMember(p, func(i *container.Info) error { return container.Delete(host, i, true) }); err != nil {
		return err
	}
	return container.RemovePod(host, p)
}

func podPruneFlags(f *flags.Set) func(Streams, []string) error {
	force := f.BoolP("force", "f", false, "do not ask")
	return func(s Streams, args []string) error {
		if err := exactly("pod prune", args, 0); err != nil {
			return err
		}
		if !*force && !confirm(s, "WARNING! This will remove all stopped/exited pods..") {
			return nil
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		return prunePods(s, host)
	}
}

func prunePods(s Streams, host container.Host) error {
	list, err := container.Pods(host.Dirs)
	if err != nil {
		return err
	}
	var failed []error
	for _, p := range list {
		if state := p.State(); state != container.PodStopped && state != container.PodExited {
			continue
		}
		if err := removePod(host, p, false, ""); err != nil {
			failed = append(failed, err)
			continue
		}
		fmt.Fprintln(s.Out, p.ID)
	}
	return errors.Join(failed...)
}

func podExistsFlags(*flags.Set) func(Streams, []string) error {
	return func(_ Streams, args []string) error {
		if err := exactly("pod exists", args, 1); err != nil {
			return err
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		_, err = host.Dirs.FindPod(args[0])
		if errors.Is(err, storage.ErrNoPod) {
			return container.Exit{Code: 1}
		}
		return err
	}
}
