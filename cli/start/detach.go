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
// Descriptors that the container is to have come before it.
const report = 3

// Detach starts a monitor for the command line and returns when its container
// runs, or with what became of it. Until then the monitor dies with us, and
// its messages go to our streams.
func Detach(s Streams, args []string, keep int) error {
	id, err := monitor(args, keep)
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
	return ReviveSeen(s, host, info, func() {})
}

// ReviveSeen is Revive. seen is called when the container can be found by others
// and cannot be gone yet, unless that is known to its monitor alone.
func ReviveSeen(s Streams, host container.Host, info *container.Info, seen func()) error {
	if err := prepareAgain(s, host, info); err != nil {
		return err
	}
	err := container.AgainAway(host, info, func(r *container.Running) error { seen(); return notice(s, r) })
	switch {
	case errors.Is(err, container.ErrMonitor):
		_, err = monitor([]string{"start", info.ID}, 0)
	case errors.Is(err, container.ErrStarted):
		err = nil
	}
	return err
}

// prepareAgain is what a container needs before it is started again.
func prepareAgain(s Streams, host container.Host, info *container.Info) error {
	info.Options.NotifySocket = notifySocket(info.Options)
	return startRequired(s, host, info.Options)
}

func notice(s Streams, running *container.Running) error {
	if running.Notice != "" {
		fmt.Fprintf(s.Err, "rl: %s\n", running.Notice)
	}
	return nil
}

// monitor is Detach without a word: it gives the container's id.
func monitor(args []string, keep int) (id string, err error) {
	reader, process, err := reported(func(report int) (*userns.Process, error) { return userns.Session(RoleMonitor, args, report, keep) })
	if err != nil {
		return "", err
	}
	defer reader.Close()
	if id, err = awaitReport(reader, process); err == nil && id == "" {
		err = errTooSoon
	}
	return id, err
}

var errTooSoon = errors.New("the monitor ended before its container ran")

// reported starts a process that reports to us.
func reported(begin func(report int) (*userns.Process, error)) (*os.File, *userns.Process, error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, fmt.Errorf("making a pipe: %w", err)
	}
	reader := os.NewFile(uintptr(pipe[0]), "report")
	process, err := begin(pipe[1])
	unix.Close(pipe[1])
	if err != nil {
		reader.Close()
	}
	return reader, process, err
}

// awaitReport gives what was reported, or how the process ended without.
func awaitReport(reader io.Reader, process *userns.Process) (id string, err error) {
	text, err := io.ReadAll(reader)
	if err != nil || len(text) > 0 {
		return string(text), err
	}
	err = process.Wait() // it has said why
	var exit *userns.ExitError
	switch {
	case err == nil:
		return "", nil
	case errors.As(err, &exit) && exit.Status.Exited():
		return "", container.Exit{Code: exit.Status.ExitStatus()}
	}
	return "", errors.Join(errTooSoon, err)
}

// Leave is the monitor's side: the container runs, so nothing of the user's
// shell is kept, neither its streams nor its directory nor its life.
func Leave(id string, kept int) error {
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
	_, _ = unix.Write(report+kept, []byte(id)) // whoever waited for it may be gone
	return unix.Close(report + kept)
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
	if err := prepareAgain(s, host, info); err != nil {
		return nil, err
	}
	if byPolicy {
		return container.Again(host, info, true, nil)
	}
	running, err := container.Again(host, info, false, func(r *container.Running) error {
		return errors.Join(notice(s, r), Leave(info.ID, 0))
	})
	if errors.Is(err, container.ErrStarted) {
		return nil, errors.Join(Leave(info.ID, 0), container.Exit{})
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
