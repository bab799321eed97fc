package start

import (
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"containers/rl/container"
	"containers/rl/userns"
)

// RoleMonitor is the name of the process that stays with a container that the
// user's shell does not wait for.
const RoleMonitor = container.RoleMonitor

// report is where the monitor says that the container runs; it writes the id.
const report = 3

// Detach starts a monitor for the command line and returns when its container
// runs, or with what became of it. Until then the monitor dies with us, and
// its messages go to our streams.
func Detach(s Streams, args []string) error {
	id, err := monitor(args)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.Out, id)
	if err == nil {
		warnOfLogout(s)
		err = container.Exit{Code: 0}
	}
	return err
}

// Revive starts a container that was made before, and returns when it runs.
func Revive(s Streams, host container.Host, info *container.Info) error {
	err := container.AgainAway(host, info, func(r *container.Running) error { return notice(s, r) })
	switch {
	case errors.Is(err, container.ErrMonitor):
		_, err = monitor([]string{"start", info.ID})
	case errors.Is(err, container.ErrStarted):
		err = nil
	}
	return err
}

func notice(s Streams, running *container.Running) error {
	if running.Notice != "" {
		fmt.Fprintf(s.Err, "rl: %s\n", running.Notice)
	}
	return nil
}

// monitor is Detach without a word: it gives the container's id.
func monitor(args []string) (id string, err error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return "", fmt.Errorf("making a pipe: %w", err)
	}
	reader := os.NewFile(uintptr(pipe[0]), "report")
	defer reader.Close()
	process, err := userns.Session(RoleMonitor, args, pipe[1])
	unix.Close(pipe[1])
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(reader)
	if err != nil || len(text) > 0 {
		return string(text), err
	}
	err = process.Wait() // it has said why
	var exit *userns.ExitError
	if errors.As(err, &exit) && exit.Status.Exited() {
		return "", container.Exit{Code: exit.Status.ExitStatus()}
	}
	return "", errors.Join(errors.New("the monitor ended before its container ran"), err)
}

// Leave is the monitor's side: the container runs, so nothing of the user's
// shell is kept, neither its streams nor its directory nor its life.
func Leave(id string) error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("clearing the parent-death signal: %w", err)
	}
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&monitorName[0])), 0, 0, 0) // for top(1) and pgrep(1)
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening %s: %w", os.DevNull, err)
	}
	for fd := range 3 {
		if err := unix.Dup3(null, fd, 0); err != nil {
			return fmt.Errorf("letting go of descriptor %d: %w", fd, err)
		}
	}
	unix.Close(null)
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("leaving the directory: %w", err)
	}
	_, _ = unix.Write(report, []byte(id)) // whoever waited for it may be gone
	return unix.Close(report)
}

var monitorName = [...]byte{'r', 'l', '-', 'm', 'o', 'n', 'i', 't', 'o', 'r', 0}

// Again starts a container that was made before, in its monitor. byPolicy: the
// monitor is there, and left everything long ago.
func Again(s Streams, id string, byPolicy bool) (*container.Running, error) {
	host, err := OpenHost()
	if err != nil {
		return nil, err
	}
	info, err := container.Find(host.Dirs, id)
	if err != nil {
		return nil, err
	}
	if byPolicy {
		return container.Again(host, info, true, nil)
	}
	running, err := container.Again(host, info, false, func(r *container.Running) error {
		return errors.Join(notice(s, r), Leave(info.ID))
	})
	if errors.Is(err, container.ErrStarted) {
		return nil, errors.Join(Leave(info.ID), container.Exit{})
	}
	return running, err
}

// policyWord is what a monitor says to itself when it starts a container again.
const policyWord = "again"

// Done ends a command. A monitor whose container is to be started again
// executes itself: the same process, as small as at its start.
func Done(s Streams, err error) int {
	var again *container.Restart
	if !errors.As(err, &again) {
		return Fail(s.Err, err)
	}
	if !again.Wait() {
		return 0
	}
	_ = unix.Exec("/proc/self/exe", []string{RoleMonitor, "start", again.ID, policyWord}, os.Environ())
	return 125
}
