package storage

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Container is a container's own directory. Its lock is held until Remove, or
// until we end however we end: that is how Heal knows the dead.
type Container struct {
	ID, Name            string
	Dir                 string
	Upper, Work, Merged string
	Lower               string // a directory below Upper, in place of an image's

	dirs  Dirs
	base  string   // of Dir, while the container is there
	named []string // that Remove gives back
	image *Image
	lock  *os.File
}

// transient ends the directory's name of a container to be removed at its end.
const transientSuffix = ".rm"

// deadSuffix ends the name of a directory being removed. The removal begins
// with this name: a container is there as a whole or not at all.
const deadSuffix = ".dead"

// attempts bounds how often we begin anew when another process changes or
// removes a file between our opening and our locking it.
const attempts = 100

// CreateContainer makes the directory of a container. It is transient, that
// is, removed by the next command if we are killed, until Keep.
func (d Dirs) CreateContainer(id, name string, img *Image) (*Container, error) {
	c := &Container{ID: id, Name: name, dirs: d, image: img, Dir: path.Join(d.containers(), id) + transientSuffix}
	err := checkName(name)
	if err == nil {
		err = c.begin()
	}
	if err == nil {
		if err = c.takeName(); err != nil {
			_ = c.Remove()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("creating container %s: %w", id[:min(12, len(id))], err)
	}
	return c, nil
}

// begin makes the directory with its parts, and anew when Heal of another
// process took it for dead before it was locked.
func (c *Container) begin() (err error) {
	dir := c.Dir
	for range attempts {
		c.Dir = dir
		if err = c.claim(); err == nil {
			if err = c.fill(); err == nil {
				return nil
			}
			_ = c.Remove()
		}
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return err
}

// claim makes the directory and locks it.
func (c *Container) claim() error {
	for range attempts {
		err := os.Mkdir(c.Dir, 0o700)
		if errors.Is(err, os.ErrNotExist) {
			err = os.MkdirAll(c.Dir, 0o700)
		}
		if err != nil {
			return err
		}
		c.lock, err = lockDirectory(c.Dir, unix.LOCK_EX)
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return fmt.Errorf("%s was removed again and again", c.Dir)
}

// lockDirectory locks a container's directory. Whoever removes one holds the
// lock meanwhile, so a lock file without a name is that of a removed directory.
func lockDirectory(dir string, how int) (*os.File, error) {
	file, err := os.OpenFile(path.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err = lock(file, how); err == nil {
		var st unix.Stat_t
		if err = unix.Fstat(int(file.Fd()), &st); err == nil && st.Nlink > 0 {
			return file, nil
		}
		if err == nil {
			err = os.ErrNotExist
		}
	}
	file.Close()
	return nil, err
}

func (c *Container) fill() error {
	c.place(c.Dir)
	for _, dir := range []string{c.Upper, c.Work, c.Merged} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	// The upper directory becomes the container's root directory, whose mode
	// is the image's and not a matter of our umask.
	return os.Chmod(c.Upper, c.image.RootMode())
}

// Remove removes the directory, then gives back the name and the lock. Files
// of other ids make it fail with EACCES or EPERM: what is left is then in Dir,
// to be removed in the user namespace, and Remove to be called again.
func (c *Container) Remove() error {
	var err error
	if c.named == nil {
		c.named = c.names()
	}
	if c.Dir, err = remove(c.Dir); err != nil {
		return err
	}
	freed := false
	for _, name := range c.named {
		freed = c.dirs.freeName(name, c.base) || freed
	}
	if !freed && len(c.named) > 0 { // it was given another one meanwhile
		c.dirs.sweepNames()
	}
	c.named, c.Name = nil, ""
	if c.lock != nil {
		c.lock.Close()
		c.lock = nil
	}
	return nil
}

// Heal removes what transient containers of killed processes left, and calls
// before with the directory of each. The paths it returns hold files of other
// ids: they are removed in the user namespace.
func (d Dirs) Heal(before func(dir string)) (mapped []string, err error) {
	mapped, _, err = d.HealList(before)
	return mapped, err
}

// HealList gives the containers as well, as the directory of many takes a while
// to read. What it has removed is among them, as if it were gone since.
func (d Dirs) HealList(before func(dir string)) (mapped []string, all []Entry, err error) {
	names, err := d.directories()
	if err != nil {
		return nil, nil, fmt.Errorf("looking for dead containers: %w", err)
	}
	some := false
	for _, name := range names {
		suffix := path.Ext(name)
		if suffix != transientSuffix && suffix != deadSuffix {
			continue
		}
		dir, buried := path.Join(d.containers(), name), true
		if suffix == transientSuffix {
			dir, buried, err = bury(dir, before)
		} else {
			dir, err = remove(dir)
		}
		if err != nil && !errors.Is(err, unix.EROFS) {
			mapped = append(mapped, dir)
		}
		some = some || buried
	}
	if some {
		d.sweepNames()
	}
	return mapped, d.entries(names), nil
}

// bury removes a container's directory unless someone holds its lock. The
// lock is kept meanwhile: who waits for it learns that the directory is gone.
func bury(dir string, before func(dir string)) (rest string, buried bool, err error) {
	file, err := lockDirectory(dir, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.EROFS) {
		return dir, false, nil
	}
	if err != nil {
		return dir, false, err
	}
	defer file.Close()
	before(dir)
	rest, err = remove(dir)
	return rest, true, err
}

// remove removes a container's directory and tells under what name the rest is.
func remove(dir string) (string, error) {
	if !strings.HasSuffix(dir, deadSuffix) {
		// A name of its own: a container of this id may have been given up before.
		grave := fmt.Sprintf("%s.%d-%d%s", dir, os.Getpid(), time.Now().UnixNano(), deadSuffix)
		err := os.Rename(dir, grave)
		if err == nil {
			dir = grave
		} else if !errors.Is(err, os.ErrNotExist) {
			return dir, err
		}
	}
	for n := 1; ; n++ {
		switch err := RemoveTree(unix.AT_FDCWD, dir); {
		case errors.Is(err, os.ErrNotExist):
			return dir, nil
		case errors.Is(err, ErrOpen):
			return dir, nil // on NFS our lock is there until it is closed; the next command removes the rest
		case errors.Is(err, unix.ENOTEMPTY) && n < attempts:
			// Who came to lock the directory before it got this name has made the
			// lock file anew; nobody else can find it.
		default:
			return dir, err
		}
	}
}
