package start

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"containers/rl/container"
	"containers/rl/userns"
)

// RoleTerminal is the name under which rl starts again for a command that the
// user can leave by keys. Who waits for the command waits for the first
// process, which does nothing but wait; the second one does all, and stays with
// the container when the user leaves. Until then it dies with the first.
const RoleTerminal = "rl-terminal"

// leavable says whether a command can be left by keys: they are typed.
func leavable(tty, interactive, detached bool, keys string) bool {
	return tty && interactive && !detached && keys != "" && term.IsTerminal(0)
}

// Front starts the second process and waits for its end, or for its leaving.
func Front(args []string, keep int) error {
	report, process, err := reported(func(report int) (*userns.Process, error) {
		return userns.Beside(RoleTerminal, args, report, keep)
	})
	if err != nil {
		return err
	}
	defer report.Close()
	if err := process.Forward(passedOn()...); err != nil {
		return err
	}
	_, err = awaitReport(report, process)
	var exit *userns.ExitError
	switch {
	case err == nil: // the user left, or the command ended with 0
		return container.Exit{Code: 0}
	case errors.As(err, &exit) && exit.Status.Signaled():
		return container.Exit{Code: 128 + int(exit.Status.Signal())}
	}
	return err
}

// Apart runs a command in a process beside ours, if it is one for that: one
// that is not waited for, or one that can be left. words are the command line
// without the command.
func (o *Run) Apart(s Streams, args, words []string, cold *Cold) (done bool, err error) {
	if o.Detached {
		return true, o.Away(s, args, words, cold)
	}
	if !o.rare.sigProxy || o.RemovesImage() || !leavable(o.TTY, o.Interactive, o.Detached, o.rare.detachKeys) {
		return false, nil
	}
	keep, _, _, err := descriptors(o.rare.preserve)
	if err != nil {
		return true, UsageError{err.Error(), "run"}
	}
	return true, Front(append([]string{"run"}, words...), keep)
}

// Unproxied says whether signals to us are not the container's. It then lives
// apart from us, as one of start --attach.
func (o *Run) Unproxied() bool { return !o.rare.sigProxy && !o.Detached }

// RemovesImage says that the image is to be removed after the container.
func (o *Run) RemovesImage() bool { return o.rare.removeImage && !o.Detached }

// DetachKeys are those of --detach-keys.
func (o *Run) DetachKeys() string { return o.rare.detachKeys }

// passedOn are the signals that the second process is to have: not those of the
// terminal's size and job control, which it gets from the terminal itself.
func passedOn() []unix.Signal {
	return []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGCONT}
}

// isTerminal says whether we are the second process.
func isTerminal() bool { return os.Args[0] == RoleTerminal }
