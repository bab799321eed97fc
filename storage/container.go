package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Container is a container's own directory. Its lock is held until Remove, or
// until we end however we end: that is how Heal knows the dead.
type Container struct {
	ID, Name            string
	Dir                 string
	Upper, Work, Merged string

	dirs  Dirs
	image *Image
	lock  *os.File
}

// transient ends the directory's name of a container to be removed at its end.
const transientSuffix = ".rm"

// attempts: Heal of another process may take a directory between its making
// and its locking.
const attempts = 10

// CreateContainer makes the directory of a container. A transient one is
// removed by the next command if we are killed.
func (d Dirs) CreateContainer(id, name string, img *Image, transient bool) (*Container, error) {
	c := &Container{ID: id, Name: name, dirs: d, image: img, Dir: filepath.Join(d.containers(), id)}
	if transient {
		c.Dir += transientSuffix
	}
	var err error
	for range attempts {
		if err = c.make(); !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.EWOULDBLOCK) {
			break
		}
	}
	if err == nil {
		err = c.takeName()
	}
	if err != nil {
		_ = c.Remove()
		return nil, fmt.Errorf("creating container %s: %w", id[:min(12, len(id))], err)
	}
	return c, nil
}

func (c *Container) make() error {
	if err := os.Mkdir(c.Dir, 0o700); errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(c.Dir, 0o700); err != nil {
			return err
		}
	} else if err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	file, err := os.OpenFile(filepath.Join(c.Dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := lock(file, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		return err
	}
	c.lock = file
	for _, part := range []struct {
		path *string
		name string
	}{{&c.Upper, "upper"}, {&c.Work, "work"}, {&c.Merged, "merged"}} {
		*part.path = filepath.Join(c.Dir, part.name)
		// The upper directory becomes the container's root directory.
		if err := os.Mkdir(*part.path, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// takeName: a link is made or is there already, in one step.
func (c *Container) takeName() error {
	if c.Name == "" {
		return nil
	}
	if err := os.MkdirAll(c.dirs.taken(), 0o700); err != nil {
		return err
	}
	path := filepath.Join(c.dirs.taken(), c.Name)
	for range attempts {
		err := os.Symlink(filepath.Join("../containers", filepath.Base(c.Dir)), path)
		if !errors.Is(err, os.ErrExist) {
			return err
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			break
		}
		_ = os.Remove(path) // its container is gone
	}
	target, _ := os.Readlink(path)
	holder := strings.TrimSuffix(filepath.Base(target), transientSuffix)
	name := c.Name
	c.Name = "" // not ours to give back
	return fmt.Errorf("the container name %q is already in use by %s", name, holder)
}

// Remove removes the directory, then gives back the name and the lock. Files
// of other ids make it fail with EACCES or EPERM; it may be called again.
func (c *Container) Remove() error {
	if err := RemoveTree(unix.AT_FDCWD, c.Dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if c.Name != "" {
		_ = os.Remove(filepath.Join(c.dirs.taken(), c.Name))
		c.Name = ""
	}
	if c.lock != nil {
		c.lock.Close()
		c.lock = nil
	}
	return nil
}

// Heal removes what transient containers of killed processes left. The paths
// it returns hold files of other ids: they are removed in the user namespace.
func (d Dirs) Heal() (mapped []string, err error) {
	entries, err := os.ReadDir(d.containers())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("looking for dead containers: %w", err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), transientSuffix) {
			continue
		}
		if dir := filepath.Join(d.containers(), e.Name()); dead(dir) {
			if err := RemoveTree(unix.AT_FDCWD, dir); err != nil && !errors.Is(err, os.ErrNotExist) {
				mapped = append(mapped, dir)
			}
		}
	}
	return mapped, nil
}

// dead: no one holds the lock. The descriptor is closed before the removal:
// no one makes a container of this id again.
func dead(dir string) bool {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return errors.Is(err, os.ErrPermission)
	}
	defer file.Close()
	return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}
