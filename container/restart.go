package container

import (
	"errors"
	"fmt"
	"os"
	"path"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"containers/rl/storage"
)

// The restart policies (docker-run(1), --restart).
const (
	RestartNo            = "no"
	RestartOnFailure     = "on-failure"
	RestartAlways        = "always"
	RestartUnlessStopped = "unless-stopped"
)

// Restart is the end of a run that another one is to follow.
type Restart struct {
	ID    string
	dir   string
	delay time.Duration
}

func (r *Restart) Error() string { return "restarting container " + r.ID }

// stoppedFile is made by who stops a container, so that its policy does not
// start it again, and removed by who starts it.
const stoppedFile = "stopped"

// Back-off between restarts, as docker's.
const (
	firstDelay = 100 * time.Millisecond
	mostDelay  = time.Minute
	longRun    = 10 * time.Second // after such a run it begins anew
)

// restarts says whether the policy wants another run.
func (r *Running) restarts(err error) bool {
	var exit Exit
	o := r.plan.o
	if !r.introduced || !o.Detached || !errors.As(err, &exit) || stopped(r.storage.Dir) {
		return false
	}
	if atomic.LoadInt32(&r.sick) != 0 {
		return true
	}
	o = r.recorded()
	switch o.Restart {
	case RestartAlways, RestartUnlessStopped:
		return true
	case RestartOnFailure:
		return exit.Code != 0 && (o.RestartMax == 0 || r.state.Restarts < o.RestartMax)
	}
	return false
}

func (r *Running) restart() *Restart {
	delay := firstDelay << min(r.state.Restarts, 10)
	if time.Since(r.state.Started) >= longRun {
		delay = firstDelay
	}
	return &Restart{ID: r.plan.o.ID, dir: r.storage.Dir, delay: min(delay, mostDelay)}
}

// Wait waits for the time of the next run. False: the container was stopped or
// removed meanwhile.
func (r *Restart) Wait() bool {
	for end := time.Now().Add(r.delay); ; time.Sleep(min(firstDelay, max(0, time.Until(end)))) {
		if _, err := os.Stat(r.dir); err != nil || stopped(r.dir) {
			return false
		}
		if !time.Now().Before(end) {
			return true
		}
	}
}

func stopped(dir string) bool {
	_, err := os.Stat(path.Join(dir, stoppedFile))
	return err == nil
}

// markStopped comes before the signal.
func (i *Info) markStopped() error {
	if i.Options.Restart == "" || i.Options.Restart == RestartNo {
		return nil
	}
	fd, err := unix.Open(path.Join(i.Dir, stoppedFile), unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("stopping container %s: %w", i.Name(), err)
	}
	if err == nil {
		unix.Close(fd)
	}
	return nil
}

// keptFile is made by who restarts a container that is removed at its end: this
// once it is not. It is removed by who starts it.
const keptFile = "kept"

// KeepOnce lets a container with --rm outlive its next end.
func (i *Info) KeepOnce() error {
	if !i.Options.Remove || !i.Running() {
		return nil
	}
	if i.Transient() && !i.Options.Detached {
		return fmt.Errorf("restarting container %s: it runs in the foreground with --rm, so that it is gone with its end", i.Name())
	}
	file, err := os.OpenFile(path.Join(i.Dir, keptFile), os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		return storage.NoContainer(i.Name())
	}
	if err != nil {
		return fmt.Errorf("restarting container %s: %w", i.Name(), err)
	}
	return file.Close()
}

// keeps says whether a container outlives its end, and makes it one that does.
func (r *Running) keeps(c *storage.Container) bool {
	if !r.plan.o.Remove {
		return r.introduced || r.again || r.stays
	}
	if !r.introduced {
		return r.again
	}
	if _, err := os.Stat(path.Join(c.Dir, keptFile)); err != nil {
		return false
	}
	r.rename(c)
	return c.Settle() == nil
}

// Stopped says that someone stopped a container which its policy would start.
func (i *Info) Stopped() bool { return stopped(i.Dir) }
