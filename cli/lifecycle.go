package cli

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/storage"
)

func createFlags(f *flags.Set) func(Streams, []string) error {
	run := start.New(f)
	return func(s Streams, args []string) error {
		id, err := run.Create(s, args, cold)
		if err == nil {
			_, err = fmt.Fprintln(s.Out, id)
		}
		return err
	}
}

// execFlags is the command exec, when package start could not begin it.
func execFlags(f *flags.Set) func(Streams, []string) error {
	exec := start.NewExec(f)
	return func(s Streams, args []string) error {
		if done, err := exec.Apart(append([]string{"exec"}, f.Raw()...)); done {
			return err
		}
		running, err := exec.Start(s, args)
		if err != nil {
			return err
		}
		return running.Finish(nil)
	}
}

func startFlags(f *flags.Set) func(Streams, []string) error {
	sel := &selection{command: "start", with: func(i *container.Info) bool { return !i.Running() }}
	sel.flags(f, "filter")
	f.String("checkpoint", "", "refused: there are no checkpoints")
	f.String("checkpoint-dir", "", "refused: there are no checkpoints")
	attach := f.BoolP("attach", "a", false, "show what the container writes, and end with its status")
	interactive := f.BoolP("interactive", "i", false, "type to the container")
	a := &attachment{}
	f.BoolVar(&a.sigProxy, "sig-proxy", true, "pass signals on to the container")
	f.StringVar(&a.keys, "detach-keys", "ctrl-p,ctrl-q", "keys that leave the container alone")
	return func(s Streams, args []string) error {
		if err := refuse(f, map[string]string{"checkpoint": "there are no checkpoints", "checkpoint-dir": "there are no checkpoints"}); err != nil {
			return err
		}
		if *attach || *interactive && len(args) == 1 {
			a.noStdin = !*interactive
			return sel.attached(s, args, a)
		}
		return sel.each(s, args, func(host container.Host, i *container.Info) error {
			if !active(i) {
				if err := startContainer(s, host, i); err != nil {
					return err
				}
			}
			return tellUnit(host, i)
		})
	}
}

// attached starts one container and stays with it.
func (sel *selection) attached(s Streams, args []string, a *attachment) error {
	if err := sel.check(args); err != nil {
		return usageError{Text: err.Error(), Command: sel.command}
	}
	if len(args) > 1 || sel.all {
		return usageError{Text: "you cannot start and attach multiple containers at once", Command: sel.command}
	}
	host, err := start.OpenHost()
	if err != nil {
		return err
	}
	info, err := oneContainer(host, sel.command, sel.latest, args)
	if err != nil {
		return err
	}
	return a.start(s, host, info)
}

// seconds reads a time-out: none is the container's own.
func seconds(text string, own time.Duration) (time.Duration, error) {
	if text == "" {
		return own, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < -1 {
		return 0, fmt.Errorf("invalid argument %q for \"-t, --time\" flag: a number of seconds, or -1 to wait for ever", text)
	}
	return time.Duration(n) * time.Second, nil
}

// timeFlag is podman's --time, and docker's newer --timeout.
func timeFlag(f *flags.Set, usage string) *string {
	limit := f.StringP("time", "t", "", usage)
	f.StringVar(limit, "timeout", "", "the same")
	return limit
}

// active: its processes are there, or will be at once.
func active(i *container.Info) bool {
	return i.Running() || i.Status == container.StatusRestarting
}

func stopFlags(f *flags.Set) func(Streams, []string) error {
	sel := &selection{command: "stop", with: active}
	sel.flags(f, "ignore", "cidfile", "filter")
	limit := timeFlag(f, "seconds until KILL (default: the container's --stop-timeout)")
	name := f.StringP("signal", "s", "", "signal to send (default: the container's --stop-signal)")
	return func(s Streams, args []string) error {
		if _, err := seconds(*limit, 0); err != nil {
			return usageError{Text: err.Error(), Command: "stop"}
		}
		sel.ahead = func(host container.Host, i *container.Info) error { return stop(host, i, *name, *limit) }
		return sel.each(s, args, nil)
	}
}

func stop(host container.Host, i *container.Info, name, text string) error {
	limit, err := seconds(text, i.StopTimeout())
	if err != nil {
		return usageError{Text: err.Error(), Command: "stop"}
	}
	signal := i.StopSignal()
	if name != "" {
		if signal, err = container.ParseSignal(name); err != nil {
			return err
		}
	}
	ran := i.Running()
	err = i.Stop(signal, limit)
	if err == nil && ran {
		i.Emit(host.Dirs, "stop")
	}
	return err
}

func restartFlags(f *flags.Set) func(Streams, []string) error {
	sel := &selection{command: "restart"}
	sel.flags(f, "cidfile", "filter")
	limit := timeFlag(f, "seconds until KILL (default: the container's --stop-timeout)")
	signal := f.StringP("signal", "s", "", "signal to stop with (default: the container's --stop-signal)")
	running := f.Bool("running", false, "those that run")
	return func(s Streams, args []string) error {
		if _, err := seconds(*limit, 0); err != nil {
			return usageError{Text: err.Error(), Command: "restart"}
		}
		if *running && len(args) == 0 {
			sel.all, sel.with = true, active
		}
		sel.ahead = func(host container.Host, i *container.Info) error {
			release, err := i.Retain()
			if err == nil {
				defer release()
				err = stop(host, i, *signal, *limit)
			}
			return err
		}
		return sel.each(s, args, func(host container.Host, i *container.Info) error {
			now, err := container.Find(host.Dirs, i.ID)
			if err == nil {
				err = startContainer(s, host, now)
			}
			if err == nil {
				i.Emit(host.Dirs, "restart")
			}
			return err
		})
	}
}

func killFlags(f *flags.Set) func(Streams, []string) error {
	sel := &selection{command: "kill", with: (*container.Info).Running}
	sel.flags(f, "cidfile")
	name := f.StringP("signal", "s", "KILL", "signal to send")
	return func(s Streams, args []string) error {
		signal, err := container.ParseSignal(*name)
		if err != nil {
			return usageError{Text: err.Error(), Command: "kill"}
		}
		return sel.each(s, args, func(host container.Host, i *container.Info) error {
			if !i.Running() {
				return fmt.Errorf("can only kill running containers. %s is in state %s: container state improper", i.ID, i.Status)
			}
			i.Emit(host.Dirs, "kill", fmt.Sprintf("signal=%d", signal)) // before its end is told
			if err := i.Signal(signal); err != nil || signal != unix.SIGKILL {
				return err
			}
			_, _, err := i.Wait(10 * time.Second)
			return err
		})
	}
}

// removal are the flags of rm.
type removal struct {
	selection
	force, volumes, depend bool
	limit                  *string
}

func rmFlags(f *flags.Set) func(Streams, []string) error {
	r := &removal{selection: selection{command: "rm", with: func(i *container.Info) bool { return !infra(i) }}}
	r.flags(f, "ignore", "cidfile", "filter")
	f.BoolVarP(&r.force, "force", "f", false, "kill what runs; do not mind a container that is not there")
	r.limit = timeFlag(f, "with --force: seconds until KILL (default 0)")
	f.BoolVarP(&r.volumes, "volumes", "v", false, "remove its anonymous volumes too")
	f.BoolVar(&r.depend, "depend", false, "remove those first that are in its namespaces")
	f.Bool("link", false, "refused: there are no links")
	return func(s Streams, args []string) error {
		if err := refuse(f, map[string]string{"link": "there are no links; containers of one network know each other by name"}); err != nil {
			return err
		}
		if _, err := seconds(*r.limit, 0); err != nil {
			return usageError{Text: err.Error(), Command: "rm"}
		}
		if *r.limit != "" && !r.force {
			return usageError{Text: "--force option must be specified to use the --time option", Command: "rm"}
		}
		r.ignore = r.ignore || r.force
		if r.force && *r.limit != "" {
			r.ahead = r.stop
		}
		if r.force {
			r.broken = func(host container.Host, b *container.Broken) error { return b.Delete(host) }
		}
		err := r.each(s, args, func(host container.Host, i *container.Info) error {
			if err := r.dependents(s, host, i); err != nil {
				return err
			}
			return r.one(host, i)
		})
		return removalCode(err, storage.ErrNoContainer, container.ErrRunning)
	}
}

// dependents removes those of a container when that was asked for, and prints
// their ids.
func (r *removal) dependents(s Streams, host container.Host, i *container.Info) error {
	if !r.depend {
		return nil
	}
	all, err := container.List(host.Dirs)
	if err != nil {
		return err
	}
	for _, d := range dependents(all, i.ID) {
		if r.ahead != nil {
			err = r.ahead(host, d)
		}
		if err == nil {
			err = r.one(host, d)
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(s.Out, d.ID)
	}
	return nil
}

// stop is for --force with --time.
func (r *removal) stop(host container.Host, i *container.Info) error {
	if infra(i) {
		return nil // refused by one
	}
	err := stop(host, i, "", *r.limit)
	if errors.Is(err, storage.ErrNoContainer) {
		return nil // with --rm its end was its removal
	}
	return err
}

func (r *removal) one(host container.Host, i *container.Info) error {
	if infra(i) {
		return fmt.Errorf("container %s is the infra container of pod %s and cannot be removed without removing the pod: rl pod rm %[3]s", i.ID, i.Options.Pod.ID, i.Options.Pod.Name)
	}
	err := container.Delete(host, i, r.force)
	if err == nil && r.volumes {
		err = i.RemoveVolumes(host)
	}
	return err
}

// removalCode is podman-rm(1)'s and podman-rmi(1)'s: 1 when all that is wrong
// is that something is not there, 2 when something is in use.
func removalCode(err, missing, used error) error {
	if err == nil {
		return nil
	}
	list := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	code := 1
	for _, e := range list {
		switch {
		case errors.Is(e, used):
			code = 2
		case !errors.Is(e, missing):
			return err
		}
	}
	return &start.CodeError{Err: err, Code: code}
}

// healthcheckFlags: 0 is healthy, 1 is not (podman-healthcheck-run(1)).
func healthcheckFlags(*flags.Set) func(Streams, []string) error {
	return func(s Streams, args []string) error {
		if err := exactly("healthcheck run", args, 1); err != nil {
			return err
		}
		host, info, err := openContainer(args[0])
		if err != nil {
			return err
		}
		state, err := info.CheckHealth(host)
		if err != nil {
			return err
		}
		last := state.Log[len(state.Log)-1]
		if last.ExitCode == 0 {
			return nil
		}
		if state.Status != container.HealthHealthy {
			fmt.Fprintln(s.Out, state.Status)
		}
		return container.Exit{Code: 1}
	}
}
