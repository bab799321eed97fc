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

// Retain lets a container with --rm outlive an end that comes before release.
func (i *Info) Retain() (release func(), err error) {
	switch {
	case !i.Options.Remove || !i.Running():
		return func() {}, nil
	case i.Transient() && !i.Options.Detached:
		return nil, fmt.Errorf("restarting container %s: it runs in the foreground with --rm, so that it is gone with its end", i.Name())
	}
	if release, err = i.Entry.Retain(); errors.Is(err, storage.ErrNoContainer) {
		err = storage.NoContainer(i.Name())
	}
	return release, err
}

// keeps says whether a container outlives its end, and makes it one that does.
// The kernel mounts no upper directory again whose work directory says that it
// was not written in full (overlayfs.rst, Volatile mount).
func (r *Running) keeps(c *storage.Container) bool {
	switch {
	case !r.plan.o.Remove:
		return r.introduced || r.again || r.stays
	case !r.introduced:
		return r.again
	case !c.Retained():
		return false
	}
	r.rename(c)
	return r.plan.clear(path.Join(c.Work, "work")) == nil && c.Settle() == nil
}

// Stopped says that someone stopped a container which its policy would start.
func (i *Info) Stopped() bool { return stopped(i.Dir) }
