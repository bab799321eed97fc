package storage

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Settle makes a transient container one that stays, with the name that it
// has, when it has ended; nothing of it is mounted. An error leaves it as it was.
func (c *Container) Settle() error {
	if err := c.clearVolatile(); err != nil {
		return fmt.Errorf("keeping container %s: %w", c.ID, err)
	}
	kept := strings.TrimSuffix(c.Dir, transientSuffix)
	if kept == c.Dir {
		return nil
	}
	unlock, err := c.dirs.lockNames()
	if err != nil {
		return err
	}
	defer unlock()
	names := c.names()
	if err := os.Rename(c.Dir, kept); err != nil {
		return fmt.Errorf("keeping container %s: %w", c.ID, err)
	}
	base := c.base
	c.place(kept)
	for _, name := range names { // the link leads to the old directory
		file := path.Join(c.dirs.taken(), name)
		if target, err := os.Readlink(file); err != nil || path.Base(target) != base {
			continue
		}
		if err := os.Remove(file); err != nil {
			return err
		}
		if err := c.dirs.claimName(name, kept); err != nil {
			return err
		}
	}
	return nil
}

// clearVolatile removes the mark by which the kernel refuses to mount an upper
// directory again that it has not written in full (overlayfs.rst, Volatile
// mount): what is missing after a crash of the machine is missing with --rm.
func (c *Container) clearVolatile() error {
	work := path.Join(c.Work, "work")
	if err := os.Chmod(work, 0o700); errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	err := RemoveTree(unix.AT_FDCWD, path.Join(work, "incompat"))
	return errors.Join(err, os.Chmod(work, 0))
}
