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

// selection are the flags of commands that act on several containers.
type selection struct {
	command     string
	all         bool
	ignore      bool // a container that is not there is no error
	runningOnly bool // --all means those that run
}

func (sel *selection) flags(f *flags.Set, ignore bool) {
	letter := "a"
	if sel.command == "start" {
		letter = "" // it is --attach there
	}
	f.BoolVarP(&sel.all, "all", letter, false, "all containers")
	if ignore {
		f.BoolVarP(&sel.ignore, "ignore", "i", false, "do not mind a container that is not there")
	}
}

// each does something to all that were named, and goes on after an error, as
// docker does. What was done to is printed as it was typed.
func (sel *selection) each(s Streams, args []string, do func(container.Host, *container.Info) error) error {
	if sel.all && len(args) > 0 {
		return usageError{Text: "--all and names of containers cannot be used together", Command: sel.command}
	}
	if !sel.all && len(args) == 0 {
		return usageError{Text: sel.command + " needs a container", Command: sel.command}
	}
	host, err := start.OpenHost()
	if err != nil {
		return err
	}
	if sel.all {
		if args, err = allContainers(host, sel.runningOnly); err != nil {
			return err
		}
	}
	var failed []error
	for _, ref := range args {
		info, err := container.Find(host.Dirs, ref)
		if err == nil {
			err = do(host, info)
		}
		switch {
		case errors.Is(err, storage.ErrNoContainer) && (sel.ignore || sel.all):
		case err != nil:
			failed = append(failed, err)
		default:
			fmt.Fprintln(s.Out, ref)
		}
	}
	return errors.Join(failed...)
}

// one does something to a container.
func (sel *selection) one(ref string, do func(container.Host, *container.Info) error) error {
	host, err := start.OpenHost()
	if err != nil {
		return err
	}
	info, err := container.Find(host.Dirs, ref)
	if err != nil {
		return err
	}
	return do(host, info)
}

func allContainers(host container.Host, running bool) (ids []string, err error) {
	list, err := container.List(host.Dirs)
	for _, i := range list {
		if !running || i.Running() {
			ids = append(ids, i.ID)
		}
	}
	return ids, err
}

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
		running, err := exec.Start(s, args)
		if err != nil {
			return err
		}
		return running.Finish(nil)
	}
}

func startFlags(f *flags.Set) func(Streams, []string) error {
	sel := &selection{command: "start"}
	sel.flags(f, false)
	attach := f.BoolP("attach", "a", false, "show what the container writes, and end with its status")
	interactive := f.BoolP("interactive", "i", false, "type to the container")
	a := &attachment{}
	f.BoolVar(&a.sigProxy, "sig-proxy", true, "pass signals on to the container")
	f.StringVar(&a.keys, "detach-keys", "ctrl-p,ctrl-q", "keys that leave the container alone")
	return func(s Streams, args []string) error {
		if *attach || *interactive {
			if len(args) != 1 || sel.all {
				return usageError{Text: "you can only attach to one container", Command: "start"}
			}
			a.noStdin = !*interactive
			return sel.one(args[0], func(host container.Host, i *container.Info) error { return a.start(s, host, i) })
		}
		return sel.each(s, args, func(_ container.Host, i *container.Info) error {
			if i.Running() || i.Status == container.StatusRestarting {
				return nil
			}
			_, err := start.Monitor([]string{"start", i.ID})
			return err
		})
	}
}

// seconds reads a time-out: none is the container's own.
func seconds(text string, own time.Duration) (time.Duration, error) {
	if text == "" {
		return own, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < -1 {
		return 0, fmt.Errorf("--time %s: a number of seconds, or -1 to wait for ever", text)
	}
	return time.Duration(n) * time.Second, nil
}

func stopFlags(f *flags.Set) func(Streams, []string) error {
	sel := &selection{command: "stop", runningOnly: true}
	sel.flags(f, true)
	limit := f.StringP("time", "t", "", "seconds until KILL (default: the container's --stop-timeout)")
	name := f.StringP("signal", "s", "", "signal to send (default: the container's --stop-signal)")
	return func(s Streams, args []string) error {
		return sel.each(s, args, func(host container.Host, i *container.Info) error { return stop(host, i, *name, *limit) })
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
	sel.flags(f, false)
	limit := f.StringP("time", "t", "", "seconds until KILL (default: the container's --stop-timeout)")
	return func(s Streams, args []string) error {
		return sel.each(s, args, func(host container.Host, i *container.Info) error {
			if err := stop(host, i, "", *limit); err != nil {
				return err
			}
			_, err := start.Monitor([]string{"start", i.ID})
			if err == nil {
				i.Emit(host.Dirs, "restart")
			}
			return err
		})
	}
}

func killFlags(f *flags.Set) func(Streams, []string) error {
	sel := &selection{command: "kill", runningOnly: true}
	sel.flags(f, false)
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

func rmFlags(f *flags.Set) func(Streams, []string) error {
	sel := &selection{command: "rm"}
	sel.flags(f, true)
	force := f.BoolP("force", "f", false, "kill what runs; do not mind a container that is not there")
	limit := f.StringP("time", "t", "", "with --force: seconds until KILL (default 0)")
	f.BoolP("volumes", "v", false, "remove its anonymous volumes too")
	return func(s Streams, args []string) error {
		sel.ignore = sel.ignore || *force
		err := sel.each(s, args, func(host container.Host, i *container.Info) error {
			if *force && *limit != "" {
				if err := stop(host, i, "", *limit); err != nil {
					return err
				}
			}
			return container.Delete(host, i, *force)
		})
		return removalCode(err, storage.ErrNoContainer, container.ErrRunning)
	}
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

func waitFlags(f *flags.Set) func(Streams, []string) error {
	ignore := f.Bool("ignore", false, "do not mind a container that is not there: its status is -1")
	return func(s Streams, args []string) error {
		if len(args) == 0 {
			return usageError{Text: "wait needs a container", Command: "wait"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		var failed []error
		for _, ref := range args {
			info, err := container.Find(host.Dirs, ref)
			ended := container.Ended{Code: -1}
			if err == nil {
				ended, _, err = info.Wait(-1)
			} else if *ignore && errors.Is(err, storage.ErrNoContainer) {
				err = nil
			}
			if err != nil {
				failed = append(failed, err)
				continue
			}
			fmt.Fprintln(s.Out, ended.Code)
		}
		return errors.Join(failed...)
	}
}

// healthcheckFlags: 0 is healthy, 1 is not (podman-healthcheck-run(1)).
func healthcheckFlags(*flags.Set) func(Streams, []string) error {
	return func(s Streams, args []string) error {
		if len(args) != 1 {
			return usageError{Text: "healthcheck run needs a container", Command: "healthcheck run"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		info, err := container.Find(host.Dirs, args[0])
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
