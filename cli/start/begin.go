package start

import (
	"errors"
	"os"
	"runtime"
	"strings"

	"containers/rl/cli/flags"
	"containers/rl/cli/self"
	"containers/rl/container"
)

// Begun is a container that runs and needs the network stack, or nil: then
// nothing was done.
var Begun = begin(os.Args)

// begin runs `rl run` as far as this package can. A container that asks for
// nothing more ends the process here.
func begin(args []string) *container.Running {
	monitor := args[0] == RoleMonitor
	second := monitor || args[0] == RoleTerminal
	if second {
		runtime.LockOSThread() // the one thread that stays must be the one that clears the parent-death signal
	}
	if len(args) < 3 || !second && !self.IsCommandLine(args[0]) {
		return nil
	}
	streams := Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	var running *container.Running
	var err error
	switch {
	case args[1] == "run":
		running, err = beginRun(args, streams, second)
	case args[1] == "exec" && !monitor:
		running, err = beginExec(args, streams, second)
	case strings.HasPrefix(args[1], container.ResumeWord) && monitor && len(args) > 3:
		running, err = resume(args[2], args[3], args[1][len(container.ResumeWord):])
	case args[1] == "start" && monitor:
		running, err = Again(streams, args[2], len(args) > 3 && args[3] == policyWord)
	default:
		return nil
	}
	var usage UsageError
	if errors.Is(err, errCold) || errors.As(err, &usage) {
		return nil // to be said, or done, by the whole command
	}
	if err == nil {
		var ended bool
		if ended, err = running.Idle(); err == nil && !ended {
			return running
		}
		err = running.Finish(nil)
	}
	os.Exit(Done(streams, err))
	return nil
}

func beginRun(args []string, s Streams, second bool) (*container.Running, error) {
	set := flags.New("run")
	set.SetInterspersed(false)
	run := New(set)
	switch err := set.Parse(args[2:]); {
	case err != nil:
		return nil, errCold
	case !second:
		if run.RemovesImage() {
			return nil, errCold
		}
		if done, err := run.Apart(s, set.Args(), args[2:], nil); done {
			return nil, err
		}
	}
	return run.Start(s, set.Args(), nil)
}

// resume goes on where the waiter was.
func resume(id, there, quiets string) (*container.Running, error) {
	host, err := findHost()
	if err != nil {
		return nil, err
	}
	return container.Resume(host, id, there, quiets)
}
