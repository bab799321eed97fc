package storage

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Settled is where a transient container is once it has been settled.
func (e Entry) Settled() Entry {
	return Entry{ID: e.ID, Dir: strings.TrimSuffix(e.Dir, transientSuffix)}
}

// standing is where it is now, seen by who holds the lock of the names: it may
// have been settled since it was found.
func (e Entry) standing() Entry {
	if e.Transient() && errors.Is(unix.Access(e.Dir, unix.F_OK), unix.ENOENT) && unix.Access(e.Settled().Dir, unix.F_OK) == nil {
		return e.Settled()
	}
	return e
}

// Retain asks the container's rl to settle it when it ends, rather than to
// remove it. The wish ends with release, or with our own life: it is a lock.
func (e Entry) Retain() (release func(), err error) {
	fd, err := unix.Open(e.Dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil, NoContainer(e.ID)
	}
	if err == nil {
		if err = lockFD(fd, unix.LOCK_SH); err == nil {
			return func() { unix.Close(fd) }, nil
		}
		unix.Close(fd)
	}
	return nil, fmt.Errorf("retaining container %s: %w", e.ID, err)
}

// Retained says whether anyone asks for that.
func (c *Container) Retained() bool {
	fd, err := unix.Open(c.Dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return errors.Is(lockFD(fd, unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
}

// Settle makes a transient container one that stays, with the name that it has.
func (c *Container) Settle() error {
	before := Entry{ID: c.ID, Dir: c.Dir}
	if !before.Transient() {
		return nil
	}
	unlock, err := c.dirs.lockNames()
	if err != nil {
		return err
	}
	defer unlock()
	names, kept := c.names(), before.Settled().Dir
	if err := os.Rename(c.Dir, kept); err != nil {
		return fmt.Errorf("keeping container %s: %w", c.ID, err)
	}
	c.place(kept)
	for _, name := range names { // the link leads to the old directory
		file := path.Join(c.dirs.taken(), name)
		if target, err := os.Readlink(file); err != nil || path.Base(target) != path.Base(before.Dir) {
			continue
		}
		if err := errors.Join(os.Remove(file), c.dirs.claimName(name, kept)); err != nil {
			return fmt.Errorf("keeping the name of container %s: %w", c.ID, err)
		}
	}
	return nil
}
