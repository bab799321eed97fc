package storage

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// A name is a link in the directory of names that leads to a container's
// directory. One that leads nowhere is free. Whoever changes names holds the
// lock of that directory, so what a killed process left half done is found by
// the next: see Rename.

// checkName accepts docker's names: they become names of files here.
func checkName(name string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if name == "" || len(name) <= 200 && strings.Trim(name, letters+"_.-") == "" && strings.Contains(letters, name[:1]) {
		return nil
	}
	return fmt.Errorf("container name %q: letters, digits and _.- are allowed, beginning with a letter or digit", name)
}

// takeName gives the container its name. The lock is for names whose container
// is gone: of two that see the same dead link, the second would remove the
// first one's new link.
func (c *Container) takeName() error {
	if c.Name == "" {
		return nil
	}
	name := c.Name
	c.Name = "" // not ours to give back until it is taken
	unlock, err := c.dirs.lockNames()
	if err != nil {
		return err
	}
	defer unlock()
	if err := c.dirs.claimName(name, c.Dir); err != nil {
		return err
	}
	c.Name = name
	return nil
}

// lockNames lets one process at a time change names.
func (d Dirs) lockNames() (unlock func(), err error) {
	fd, err := unix.Open(d.taken(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		if err = os.MkdirAll(d.taken(), 0o700); err == nil {
			fd, err = unix.Open(d.taken(), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		}
	}
	if err == nil {
		if err = lockFD(fd, unix.LOCK_EX); err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("locking the names of containers: %w", err)
	}
	return func() { unix.Close(fd) }, nil
}

// ErrNameTaken says that another container has the name.
var ErrNameTaken = errors.New("is already in use")

// claimName makes a name lead to a directory, which may be made later but
// before the lock is given back. A name that leads nowhere is free.
func (d Dirs) claimName(name, dir string) error {
	file := path.Join(d.taken(), name)
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		_ = os.Remove(file)
	}
	err := os.Symlink(path.Join("../containers", path.Base(dir)), file)
	if errors.Is(err, os.ErrExist) {
		holder, _ := os.Readlink(file)
		return fmt.Errorf("the container name %q %w by %s. You have to remove that container to be able to reuse that name: or give another name", name, ErrNameTaken, d.entry(path.Base(holder)).ID)
	}
	return err
}

// freeName gives a name back, unless another container took it over meanwhile.
// One that stays leads nowhere, and is as free.
func (d Dirs) freeName(name, dir string) (freed bool) {
	unlock, err := d.lockNames()
	if err != nil {
		return false
	}
	defer unlock()
	file := path.Join(d.taken(), name)
	target, err := os.Readlink(file)
	return err == nil && path.Base(target) == dir && os.Remove(file) == nil
}

// renaming is a link in a container's directory that leads to "FROM/TO" while
// its name is changed.
const renaming = "renaming"

// Renaming is what changes in a container with its name.
type Renaming struct {
	From string // the present name
	File string // the file of its directory that says the name
	Text []byte // that file with the new one
}

// Rename gives a container another name, and the file of it that says so, which
// is the moment from which on it has it. edit is called while nobody else
// changes names. Of a process that is killed
// a second name may be left, which leads to a container of another name: it
// finds nothing, ReleaseStale makes it free, and Remove removes it.
func (d Dirs) Rename(e Entry, to string, edit func() (Renaming, error)) error {
	if err := checkName(to); err != nil || to == "" {
		return errors.Join(err, fmt.Errorf("renaming container %s: a name is needed", e.ID))
	}
	unlock, err := d.lockNames()
	if err != nil {
		return err
	}
	defer unlock()
	e = e.standing()
	change, err := edit()
	if err != nil {
		return err
	}
	mark := path.Join(e.Dir, renaming)
	_ = os.Remove(mark)
	if err := os.Symlink(change.From+"/"+to, mark); err != nil {
		return fmt.Errorf("renaming container %s: %w", e.ID, err)
	}
	defer os.Remove(mark)
	if err := d.claimName(to, e.Dir); err != nil {
		return err
	}
	err = replace(path.Join(e.Dir, change.File), func(tmp string) error { return writeLasting(tmp, change.Text) })
	gone := to // the one that is not the container's
	if err == nil {
		gone = change.From
	}
	if gone != "" {
		_ = os.Remove(path.Join(d.taken(), gone))
	}
	return err
}

// names are those that may lead to the container.
func (c *Container) names() (list []string) {
	if c.Name != "" {
		list = append(list, c.Name)
	}
	if strings.HasSuffix(c.base, transientSuffix) {
		return list
	}
	if link, err := os.Readlink(path.Join(c.Dir, renaming)); err == nil {
		from, to, _ := strings.Cut(link, "/")
		list = append(list, from, to)
	}
	return list
}

// ReleaseStale gives back a name that leads to a container which has another
// one, as stale finds.
func (d Dirs) ReleaseStale(name string, stale func(Entry) bool) (released bool, err error) {
	unlock, err := d.lockNames()
	if err != nil {
		return false, err
	}
	defer unlock()
	file := path.Join(d.taken(), name)
	target, err := os.Readlink(file)
	if err != nil || !stale(d.entry(path.Base(target))) {
		return false, nil
	}
	return true, os.Remove(file)
}

// sweepNames removes the names of containers that are gone.
func (d Dirs) sweepNames() {
	unlock, err := d.lockNames()
	if err != nil {
		return
	}
	defer unlock()
	entries, _ := os.ReadDir(d.taken())
	for _, e := range entries {
		file := path.Join(d.taken(), e.Name())
		if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
			_ = os.Remove(file)
		}
	}
}
