package storage

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNoContainer says that no container has the name or id asked for.
var ErrNoContainer = errors.New("no such container")

// NoContainer says so of a reference, in podman's words and then in docker's.
func NoContainer(ref string) error {
	return fmt.Errorf("no container with name or ID %q found: %w: %s", ref, ErrNoContainer, ref)
}

// ErrHeld says that a container's rl is alive: it holds the directory's lock.
var ErrHeld = errors.New("container is held by its rl")

// Entry is a container's directory as others than its rl see it.
type Entry struct{ ID, Dir string }

// Transient says that the next command removes the container if its rl is killed.
func (e Entry) Transient() bool { return strings.HasSuffix(e.Dir, transientSuffix) }

// Containers lists the directories of all containers, in no order. It takes no
// lock: one may be gone when it is looked at.
func (d Dirs) Containers() ([]Entry, error) {
	names, err := d.directories()
	if err != nil {
		return nil, fmt.Errorf("listing containers: %w", err)
	}
	return d.entries(names), nil
}

func (d Dirs) entries(names []string) []Entry {
	list, place := make([]Entry, 0, len(names)), d.containers()+"/"
	for _, name := range names {
		if !strings.HasSuffix(name, deadSuffix) {
			list = append(list, Entry{ID: strings.TrimSuffix(name, transientSuffix), Dir: place + name})
		}
	}
	return list
}

// directories are those of containers, and what is left of them, in no order.
func (d Dirs) directories() ([]string, error) {
	dir, err := os.Open(d.containers())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.Readdirnames(-1)
}

func (d Dirs) entry(name string) Entry {
	return Entry{ID: strings.TrimSuffix(name, transientSuffix), Dir: path.Join(d.containers(), name)}
}

// FindContainer finds a container by its name, its id or the beginning of its
// id, in this order.
func (d Dirs) FindContainer(ref string) (Entry, error) {
	none := NoContainer(ref)
	if checkName(ref) != nil || ref == "" {
		return Entry{}, none
	}
	if target, err := os.Readlink(path.Join(d.taken(), ref)); err == nil {
		e := d.entry(path.Base(target))
		if _, err := os.Stat(e.Dir); err == nil {
			return e, nil
		}
	}
	list, err := d.Containers()
	if err != nil {
		return Entry{}, err
	}
	found := Entry{}
	for _, e := range list {
		switch {
		case e.ID == ref:
			return e, nil
		case !strings.HasPrefix(e.ID, ref):
		case found.ID != "":
			return Entry{}, fmt.Errorf("%s: more than one container id begins so", ref)
		default:
			found = e
		}
	}
	if found.ID == "" {
		return Entry{}, none
	}
	return found, nil
}

// HoldContainer locks a container that is there, for a new run of it or its
// removal. ErrHeld says that it runs. The image is that of its root.
func (d Dirs) HoldContainer(e Entry, name string, img *Image) (*Container, error) {
	file, err := lockDirectory(e.Dir, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, os.ErrNotExist) && e.Transient() {
		e = e.Settled()
		file, err = lockDirectory(e.Dir, unix.LOCK_EX|unix.LOCK_NB)
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, NoContainer(e.ID)
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, ErrHeld
	case err != nil:
		return nil, fmt.Errorf("locking container %s: %w", e.ID, err)
	}
	c := &Container{ID: e.ID, Name: name, dirs: d, image: img, lock: file}
	c.place(e.Dir)
	return c, nil
}

// InheritContainer is HoldContainer for who has the lock by a descriptor from
// before it executed itself anew.
func (d Dirs) InheritContainer(e Entry, name string, lock int) *Container {
	c := &Container{ID: e.ID, Name: name, dirs: d, lock: os.NewFile(uintptr(lock), "lock")}
	c.place(e.Dir)
	return c
}

// Descriptors are those of the container's lock and of its image's: whoever
// holds them after us holds both. -1: there is none.
func (c *Container) Descriptors() (lock, image int) {
	lock, image = -1, -1
	if c.lock != nil {
		lock = int(c.lock.Fd())
	}
	if c.image != nil && c.image.entry != nil {
		image = int(c.image.entry.Fd())
	}
	return lock, image
}

// Keep makes a transient container one that stays when it ends, with a record
// of what it is and a name, or none. Until then a killed command leaves
// nothing; from then on it is whole.
func (c *Container) Keep(name string, record []byte) error {
	if err := checkName(name); err != nil {
		return err
	}
	// An empty record after a power cut would be a container that nobody can use.
	if err := replace(path.Join(c.Dir, RecordFile), func(tmp string) error { return writeLasting(tmp, record) }); err != nil {
		return fmt.Errorf("writing the record of container %s: %w", c.ID, err)
	}
	unlock, err := c.dirs.lockNames()
	if err != nil {
		return err
	}
	defer unlock()
	kept := strings.TrimSuffix(c.Dir, transientSuffix)
	if name != "" {
		if err := c.dirs.claimName(name, kept); err != nil {
			return err
		}
		c.Name = name
	}
	if err := os.Rename(c.Dir, kept); err != nil {
		return fmt.Errorf("keeping container %s: %w", c.ID, err)
	}
	c.place(kept)
	return nil
}

// SetName gives a name to a container that has none.
func (c *Container) SetName(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	c.Name = name
	return c.takeName()
}

// RecordFile is the one file that every container has which is more than being
// made.
const RecordFile = "record.json"

// place says where the parts are.
func (c *Container) place(dir string) {
	c.Dir, c.base = dir, path.Base(dir)
	c.Upper, c.Work, c.Merged = path.Join(dir, "upper"), path.Join(dir, "work"), path.Join(dir, "merged")
}

// Close lets go of the lock and keeps the directory.
func (c *Container) Close() {
	if c.lock != nil {
		c.lock.Close()
		c.lock = nil
	}
}

// WriteFile writes a small file of the container's directory as a whole, under
// another name first. Who stays with a container calls it, so not by os.File:
// that has the runtime set up its poller, which then stays too.
func (c *Container) WriteFile(name string, data []byte) error {
	return replace(path.Join(c.Dir, name), func(tmp string) error { return writeWhole(tmp, data) })
}

func writeWhole(file string, data []byte) error {
	return write(file, data, func(int) error { return nil })
}

// writeLasting is writeWhole of what is on the disk when it returns.
func writeLasting(file string, data []byte) error {
	return write(file, data, func(fd int) error { return ignoreUnsupported(unix.Fsync(fd)) })
}

func write(file string, data []byte, finish func(fd int) error) error {
	fd, err := unix.Open(file, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &os.PathError{Op: "open", Path: file, Err: err}
	}
	for len(data) > 0 {
		n, err := unix.Write(fd, data)
		if err != nil && !errors.Is(err, unix.EINTR) {
			unix.Close(fd)
			return &os.PathError{Op: "write", Path: file, Err: err}
		}
		data = data[max(n, 0):]
	}
	if err := finish(fd); err != nil {
		unix.Close(fd)
		return &os.PathError{Op: "fsync", Path: file, Err: err}
	}
	return unix.Close(fd)
}
