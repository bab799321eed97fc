package container

import (
	"errors"
	"fmt"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"

	netconfig "containers/rl/netslirp/config"
	"containers/rl/storage"
	"containers/rl/userns"
)

// Exit is the end of the user's program.
type Exit struct{ Code int }

func (e Exit) Error() string { return fmt.Sprintf("exit status %d", e.Code) }

// Host is what the start needs of the host, decided once by the caller.
type Host struct {
	Dirs storage.Dirs
	IDs  userns.Map
	User userns.User
	// Notice says why only one id is mapped, or is empty.
	Notice string
}

// Start makes a container and returns when its program is executed. What it
// made is gone again when it returns an error.
// ready is called when the program runs, and may still refuse.
func Start(h Host, o *Options, ready func(*Running) error) (*Running, error) {
	return start(h, o, nil, starter{ready: ready})
}

// ErrMonitor says that a container must be started by the process that stays
// with it.
var ErrMonitor = errors.New("the container needs a monitor that starts it")

// StartAway is Start for a container that another process stays with.
func StartAway(h Host, o *Options, ready func(*Running) error) error {
	_, err := start(h, o, nil, starter{away: true, ready: ready})
	return err
}

// StartHere is Start for a container's monitor: it becomes the waiter's program
// after ready, if that can do all there is to be done, and does not return.
func StartHere(h Host, o *Options, ready func(*Running) error) (*Running, error) {
	return start(h, o, nil, starter{inPlace: true, ready: ready})
}

// Again is StartHere for a container that was made before. byPolicy: its restart
// policy wants it, and nobody else; the calling process was its monitor in the
// run before.
func Again(h Host, i *Info, byPolicy bool, ready func(*Running) error) (*Running, error) {
	return again(h, i, starter{byPolicy: byPolicy, inPlace: true, ready: ready})
}

// AgainAway is StartAway for a container that was made before.
func AgainAway(h Host, i *Info, ready func(*Running) error) error {
	_, err := again(h, i, starter{away: true, ready: ready})
	return err
}

// starter says how a container is started.
type starter struct {
	away     bool // a keeper stays with it
	inPlace  bool // we stay with it, as another program
	byPolicy bool
	ready    func(*Running) error // nil: nothing to be done
	restarts int
	prepared bool // by Initialize
}

func again(h Host, i *Info, by starter) (*Running, error) {
	if i.Running() && !by.byPolicy {
		return nil, ErrStarted
	}
	o := i.Options
	by.prepared = i.Status == StatusInitialized
	if err := o.decide(h, i.Dir); err != nil {
		return nil, err
	}
	if by.away && !leavable(&o) {
		return nil, ErrMonitor // who needs the lock
	}
	if i.ImageID != "" {
		var err error
		if o.Image, err = h.Dirs.Lookup(i.ImageID); err != nil {
			return nil, fmt.Errorf("starting container %s: %w", i.Name(), err)
		}
	}
	c, err := hold(h.Dirs, i, o.Image, i.startedSince)
	if err != nil {
		o.Image.Close()
		return nil, err
	}
	switch {
	case !by.byPolicy:
		_ = os.Remove(path.Join(c.Dir, stoppedFile))
	case stopped(c.Dir):
		o.Image.Close()
		c.Close()
		return nil, Exit{}
	default:
		by.restarts = i.State.Restarts + 1
	}
	if o.Stdin, err = os.Open(os.DevNull); err != nil {
		c.Close()
		return nil, err
	}
	o.Stdout, o.Stderr, o.Detached = os.Stdout, os.Stderr, true
	r, err := start(h, &o, c, by)
	if r == nil {
		c.Close()
	}
	return r, err
}

// start runs in the directory of an earlier run, or in a new one.
func start(h Host, o *Options, c *storage.Container, by starter) (r *Running, err error) {
	if c == nil {
		if err := o.decide(h, ""); err != nil {
			return nil, err
		}
	}
	if by.away && !leavable(o) {
		return nil, ErrMonitor
	}
	j, err := o.enter(&h)
	defer j.close()
	if err != nil {
		return nil, err
	}
	r = &Running{host: h, storage: c, again: c != nil, restarted: by.restarts, prepared: by.prepared}
	if err := r.acquire(o); err != nil {
		return nil, err
	}
	// What a container gets of us, files and directories, is for all of its users
	// whatever our own mask is.
	unix.Umask(0o022)
	// The child comes first: its id maps are written while the rest is computed.
	if by.away {
		r.keeper, r.child, err = userns.CloneKept(userns.Config{Cloneflags: cloneFlags(o)})
	} else {
		r.child, err = j.clone(o)
	}
	if err != nil {
		r.giveBack(o)
		return nil, err
	}
	defer func() {
		if err != nil {
			r.kill()
			if r.plan != nil && r.plan.hooked {
				err = errors.Join(err, r.afterEnd())
			}
			r.release(&err)
		}
	}()
	maps := noMaps
	if !j.forks() {
		maps = r.child.BeginMaps(h.IDs)
	}
	r.storage, r.plan, err = prepare(h, o, c, j)
	if err = errors.Join(maps(), err, r.noteCgroup(), r.confine()); err != nil {
		return r, err
	}
	r.stays = !o.Remove
	if o.rare().RootfsOverlay {
		if err = r.storage.WriteFile(writtenFile, nil); err != nil {
			return r, err
		}
	}
	if err = r.execute(j); err == nil {
		err = r.settleIn(by)
	}
	return r, err
}

// enter opens what the container joins, and says which ids it has then.
func (o *Options) enter(h *Host) (j *joined, err error) {
	if o.Joins != nil {
		if j, err = openJoins(h.Dirs, o); err != nil {
			return nil, err
		}
	}
	if err = o.ownIDs(h, j); err == nil && o.served() {
		j, err = o.serve(*h, j)
	}
	return j, err
}

func noMaps() error { return nil }

// settleIn is what is done for a container whose program is on its way. Who
// leaves it to another has nothing to do with its streams.
func (r *Running) settleIn(by starter) (err error) {
	leaves := by.away || by.inPlace && r.waits()
	o := r.plan.o
	if o.Network == NetworkSlirp {
		err = r.connect()
	}
	if err == nil && !leaves {
		err = r.attend()
	}
	if err == nil && o.Rare != nil {
		r.limitLife(time.Duration(o.rare().Timeout) * time.Second)
	}
	if err == nil && r.plan.o.rare().CDI != nil {
		r.afterStart()
	}
	for _, notice := range []string{r.plan.deviceNotice(), r.plan.driverNotice()} {
		if notice != "" {
			r.notice(notice)
		}
	}
	if err == nil && r.plan.sharesPIDs() {
		r.state.Space = space(r.child.PID)
	}
	if err == nil && (o.Detached || !o.Remove) {
		err = r.introduce()
	}
	if err == nil && o.NotifySocket != "" { // who hears of it may ask others for the container
		err = o.notify(r.monitor())
	}
	if err == nil && by.ready != nil {
		err = by.ready(r)
	}
	if err == nil && leaves {
		err = r.leave()
	}
	return err
}

// execute: the program is on its way while we get its guard ready. What is sent
// to us meanwhile is for the program, if it is ours.
func (r *Running) execute(j *joined) error {
	if r.keeper == nil {
		if err := r.child.Hold(commonSignals...); err != nil {
			return err
		}
	}
	var guarded error
	if j.forks() { // the process to be guarded is there when it has been
		if err := r.child.Run(j.outer(r.plan)); err != nil {
			return r.plan.o.missingLayer(err)
		}
		guarded = r.guard()
	} else {
		r.child.Begin(r.plan.Script)
		guarded = r.guard()
		if err := r.child.Finish(); err != nil {
			return r.plan.o.missingLayer(err)
		}
	}
	if r.keeper == nil {
		return errors.Join(guarded, r.child.Forward())
	}
	return guarded
}

// attend serves the container's streams.
func (r *Running) attend() (err error) {
	if r.plan.out != nil {
		r.plan.out.begin()
	}
	if r.plan.stdin < 0 {
		return nil
	}
	if r.input == nil {
		r.input, err = r.listen()
	}
	if err == nil {
		r.input.serve(r.plan.stdin, nil)
	}
	return err
}

func (r *Running) kill() {
	r.child.Kill()
	if r.keeper != nil {
		r.keeper.Kill()
	}
}

// connect prepares the device; where there is none, and none was asked for by
// name, the container goes without.
func (r *Running) connect() error {
	err := netconfig.Prepare(r.plan.shared.tun)
	if err == nil || !r.plan.o.Offline {
		return err
	}
	fd, why := unix.Open(tunDevice, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if why == nil {
		unix.Close(fd)
		return err
	}
	r.plan.o.Network = NetworkNone
	r.notice(fmt.Sprintf("no network but loopback: opening %s: %v: sudo modprobe tun && sudo chmod 666 %[1]s", tunDevice, why))
	return nil
}

func (r *Running) notice(text string) {
	if r.Notice != "" {
		text = r.Notice + "; " + text
	}
	r.Notice = text
}

// release gives back what prepare made; it does so once.
func (r *Running) release(err *error) {
	if r.plan != nil {
		r.plan.abandon()
	}
	if r.input != nil {
		r.input.close()
	}
	if r.plan != nil && !r.joins {
		r.closeNetwork(r.plan.o)
	}
	r.unlimit()
	c := r.storage
	r.storage = nil
	switch {
	case c == nil && r.plan != nil:
		_ = r.plan.o.dropVolumes(r.host, false)
	case c == nil:
	case !r.keeps(c):
		r.rename(c)
		remove(c, r.host, err)
		if left := r.plan.o.dropVolumes(r.host, true); left != nil && *err == nil {
			*err = left
		}
		if r.introduced {
			e := r.plan.o.event("cleanup")
			emit(r.host.Dirs, e, e.at("remove"))
		}
	default:
		r.plan.o.closeVolumes()
		_ = r.plan.o.forget(c, r.host.IDs) // who opens it next tries again
		c.Close()
		if r.introduced {
			emit(r.host.Dirs, r.plan.o.event("cleanup"))
		}
	}
}

// rename learns the name that was given to the container while it ran.
func (r *Running) rename(c *storage.Container) {
	if !r.introduced || standsAlone(r.plan.o) {
		return
	}
	if now, err := look(storage.Entry{ID: c.ID, Dir: c.Dir}); err == nil {
		r.plan.o.Name, c.Name = now.Options.Name, now.Options.Name
	}
}

// remove is the mirror of prepare; what ids of others own is removed in the
// user namespace by the next step of the ladder.
func remove(c *storage.Container, h Host, err *error) {
	removal := c.Remove()
	if removal == nil {
		return
	}
	// Whoever was inside of a container hid its memory, and with it the id maps
	// of its children, which nobody but root can write then.
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
	if again := RemoveMapped(h.IDs, c.Dir); again != nil {
		var exit Exit
		if *err == nil || errors.As(*err, &exit) {
			*err = fmt.Errorf("removing container %s: %w", c.ID, errors.Join(removal, again))
		}
		return
	}
	_ = c.Remove() // the directory is gone; this gives back its name and lock
}

// RoleRemove is the name under which our binary starts again to remove trees
// with files of other ids.
const RoleRemove = "rl-remove"

// RemoveMapped removes directories as root of a user namespace with the maps.
func RemoveMapped(ids userns.Map, dirs ...string) error {
	if len(dirs) == 0 {
		return nil
	}
	cmd, err := userns.Command(ids, RoleRemove, dirs)
	if err != nil {
		return err
	}
	return cmd.Wait()
}

func cloneFlags(o *Options) (flags uintptr) {
	for _, ns := range namespaces(o) {
		flags |= namespaceFlags[ns.Type]
	}
	if o.Limits != nil {
		flags &^= unix.CLONE_NEWCGROUP // made when it is in its cgroup
	}
	return flags
}
