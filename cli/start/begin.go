package start

import (
	"errors"
	"os"

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
	if len(args) < 3 || args[1] != "run" || !self.IsCommandLine(args[0]) {
		return nil
	}
	set := flags.New("run")
	set.SetInterspersed(false)
	run := New(set)
	if set.Parse(args[2:]) != nil {
		return nil
	}
	streams := Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	running, err := run.Start(streams, set.Args(), nil)
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
	os.Exit(Fail(streams.Err, err))
	return nil
}
