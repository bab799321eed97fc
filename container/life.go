package container

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"containers/rl/cgroups"
	"containers/rl/storage"
)

// ParseSignal reads a signal as kill(1) does: KILL, SIGKILL, 9.
func ParseSignal(text string) (unix.Signal, error) {
	name := strings.ToUpper(text)
	if n, err := strconv.Atoi(name); err == nil && n > 0 && n <= lastSignal {
		return unix.Signal(n), nil
	}
	name = strings.TrimPrefix(name, "SIG")
	if s := unix.SignalNum("SIG" + name); s != 0 {
		return s, nil
	}
	if s := realTime(name); s != 0 {
		return s, nil
	}
	return 0, fmt.Errorf("invalid signal: %s", text)
}

// realTime reads RTMIN, RTMIN+3 or RTMAX-1. The C library keeps two signals
// below its RTMIN for itself (signal(7)).
func realTime(name string) unix.Signal {
	const first, last = 34, 64
	for _, base := range []struct {
		name string
		at   int
	}{{"RTMIN", first}, {"RTMAX", last}} {
		rest, ok := strings.CutPrefix(name, base.name)
		if !ok {
			continue
		}
		n := 0
		if rest != "" {
			var err error
			if n, err = strconv.Atoi(rest); err != nil || rest[0] != '+' && rest[0] != '-' {
				return 0
			}
		}
		if s := base.at + n; s >= first && s <= last {
			return unix.Signal(s)
		}
	}
	return 0
}

// ErrNotRunning says that a container has no process to do it to.
var ErrNotRunning = errors.New("container is not running")

// Signal sends a signal to the container's first process.
func (i *Info) Signal(s unix.Signal) error {
	if !i.Running() || !i.State.Init.alive() {
		return fmt.Errorf("signalling container %s: %w", i.Name(), ErrNotRunning)
	}
	if s == unix.SIGKILL {
		if err := i.markStopped(); err != nil {
			return err
		}
	}
	if err := i.State.Init.send(s); err != nil {
		return fmt.Errorf("signalling container %s: %w", i.Name(), err)
	}
	return nil
}

// Wait waits until the container has ended and its rl with it. A negative limit
// is none; false says that the limit was reached.
func (i *Info) Wait(limit time.Duration) (Ended, bool, error) {
	file, err := i.OpenEnd()
	if err != nil {
		return Ended{}, false, err
	}
	defer file.Close()
	return i.WaitWith(file, limit)
}

// OpenEnd opens what will tell the container's end. With --rm it is removed
// before the monitor ends.
func (i *Info) OpenEnd() (*os.File, error) {
	if !i.Running() {
		return nil, nil
	}
	file, err := os.Open(path.Join(i.Dir, exitFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("waiting for container %s: %w", i.Name(), err)
	}
	return file, nil
}

// WaitWith is Wait with what OpenEnd gave, which the caller closes.
func (i *Info) WaitWith(file *os.File, limit time.Duration) (Ended, bool, error) {
	if !i.Running() {
		return i.Ended, true, nil
	}
	over, err := i.State.Init.wait(limit)
	if err != nil || !over {
		return Ended{}, false, err
	}
	// The monitor still has to write it, unless it was killed. With a restart
	// policy it lives on.
	for i.State.Monitor.alive() && empty(file) {
		time.Sleep(time.Millisecond)
	}
	ended := Ended{Code: Killed, Error: "rl was killed"}
	if text, err := io.ReadAll(file); err == nil && len(text) > 0 {
		if err := decode(text, &ended); err != nil {
			return ended, true, fmt.Errorf("reading how container %s ended: %w", i.Name(), err)
		}
	}
	return ended, true, nil
}

func empty(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Size() == 0
}

// wait waits for the end of a process that is not our child.
func (p Process) wait(limit time.Duration) (over bool, err error) {
	fd, err := p.pidfd()
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("waiting for process %d: %w", p.PID, err)
	}
	defer unix.Close(fd)
	return poll(fd, limit)
}

func poll(fd int, limit time.Duration) (ready bool, err error) {
	end := time.Now().Add(limit)
	for {
		left := -1
		if limit >= 0 {
			left = int(max(0, time.Until(end)+time.Millisecond-1) / time.Millisecond)
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, left)
		if !errors.Is(err, unix.EINTR) {
			return n > 0, err
		}
	}
}

// Stop asks the container to end, and makes it after a while. A negative limit
// waits for ever.
func (i *Info) Stop(s unix.Signal, limit time.Duration) error {
	if err := i.markStopped(); err != nil {
		return err
	}
	// Between two runs its monitor finds the mark, before or after it has begun
	// the next one.
	for i.Status == StatusRestarting {
		if _, err := i.State.Monitor.wait(firstDelay); err != nil {
			return err
		}
		now, err := look(i.Entry)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		i = now
	}
	if !i.Running() {
		return nil
	}
	if err := i.Signal(s); err != nil && !errors.Is(err, ErrNotRunning) {
		return err
	}
	if i.Status == StatusPaused { // it finds the signal when it goes on
		if err := i.Unpause(); err != nil && i.State.Init.alive() {
			return err
		}
	}
	over, err := i.State.Init.wait(limit)
	if err != nil {
		return err
	}
	if !over {
		if err := i.Signal(unix.SIGKILL); err != nil && !errors.Is(err, ErrNotRunning) {
			return err
		}
	}
	if _, _, err = i.Wait(-1); err == nil {
		// What is asked of the container next finds it let go, or removed.
		_, err = i.State.Monitor.wait(patience)
	}
	return err
}

// StopSignal is the container's own, or TERM.
func (i *Info) StopSignal() unix.Signal {
	if s, err := ParseSignal(i.Options.StopSignal); err == nil {
		return s
	}
	return unix.SIGTERM
}

// StopTimeout is how long the container may take to stop.
func (i *Info) StopTimeout() time.Duration { return time.Duration(i.Options.StopTimeout) * time.Second }

// Rename gives a container another name. Its rl, which may be running, finds
// that at its end.
func (i *Info) Rename(d storage.Dirs, name string) error {
	return i.unlessRemoved(claiming(d, name, func() error {
		return d.Rename(i.Entry, name, func() (storage.Renaming, error) {
			now, err := look(i.Entry)
			if err != nil {
				return storage.Renaming{}, gone(err, i.Name())
			}
			r := storage.Renaming{From: now.Options.Name, File: storage.RecordFile}
			now.Options.Name = name
			if now.spec != nil { // it is known by its join file alone
				r.File, r.Text = joinFile, encodeJoin(now, now.spec, now.ids)
			} else {
				r.Text = encode(now.Record)
			}
			return r, nil
		})
	}))
}

// unlessRemoved is the error of a change of what is kept of a container: that
// it was removed meanwhile says more than what was missing then.
func (i *Info) unlessRemoved(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		if _, looked := look(i.Entry); errors.Is(looked, os.ErrNotExist) {
			return storage.NoContainer(i.Name())
		}
	}
	return err
}

// claiming tries again when the name was taken by a container that has another
// one: a rename was killed.
func claiming(d storage.Dirs, name string, claim func() error) error {
	err := claim()
	if !errors.Is(err, storage.ErrNameTaken) {
		return err
	}
	released, failed := d.ReleaseStale(name, func(e storage.Entry) bool {
		holder, err := look(e)
		return err == nil && holder.Options.Name != name
	})
	if failed != nil || !released {
		return err
	}
	return claim()
}

// ErrRunning says that a container must not run for this.
var ErrRunning = errors.New("running or paused containers cannot be removed without force: container state improper")

// Delete removes a container. One that runs is killed first when force says so.
func Delete(h Host, i *Info, force bool) error {
	c, err := i.holdDead(h.Dirs, force)
	if errors.Is(err, storage.ErrNoContainer) && force {
		return nil // with --rm its own rl was faster
	}
	if err != nil {
		return err
	}
	if i.State.Cgroup != "" {
		(&cgroups.Group{Dir: i.State.Cgroup}).Remove() // left by an rl that was killed
	}
	if remove(c, h, &err); err == nil {
		i.Emit(h.Dirs, "remove")
		if i.Options.Remove {
			err = i.RemoveVolumes(h)
		}
	}
	return err
}

// holdDead locks a container that does not run, and kills it before if need be.
// It may have been started since it was looked at.
func (i *Info) holdDead(d storage.Dirs, force bool) (c *storage.Container, err error) {
	for {
		if i.busy() {
			if !force {
				return nil, fmt.Errorf("cannot remove container %s as it is running - %w", i.ID, ErrRunning)
			}
			if err := i.Stop(unix.SIGKILL, -1); err != nil {
				return nil, err
			}
		}
		if c, err = hold(d, i, nil, i.startedSince); !errors.Is(err, ErrStarted) {
			return c, err
		}
		if i, err = look(i.Entry); err != nil {
			return nil, gone(err, i.Name())
		}
	}
}

// startedSince says that the container runs, and not as when it was looked at.
// One that did not run then may have had its new processes in its state already,
// beside the exit of its last run.
func (i *Info) startedSince() bool {
	now, err := look(i.Entry)
	return err == nil && now.busy() && (!i.busy() || now.State.Init != i.State.Init)
}

func (i *Info) busy() bool { return i.Running() || i.Status == StatusRestarting }

// ErrStarted says that another command was faster in starting a container.
var ErrStarted = errors.New("container was started by another command")

// hold waits a little for an rl that is about to end, unless the container is
// started by another meanwhile.
func hold(d storage.Dirs, i *Info, img *storage.Image, started func() bool) (c *storage.Container, err error) {
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		c, err = d.HoldContainer(i.Entry, i.Options.Name, img)
		if errors.Is(err, storage.ErrHeld) && started() {
			return nil, ErrStarted
		}
		if errors.Is(err, storage.ErrNoContainer) { // removed since it was found
			return nil, storage.NoContainer(i.Name())
		}
		if err != nil && (!errors.Is(err, storage.ErrHeld) || time.Now().After(end)) {
			return nil, fmt.Errorf("container %s: %w", i.Name(), err)
		}
		if err == nil {
			return c, nil
		}
	}
}

// patience is how long an rl may take from its container's end to its own.
const patience = 10 * time.Second
