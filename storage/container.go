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

	dirs  Dirs
	base  string // of Dir, while the container is there
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

// checkName accepts docker's names: they become names of files here.
func checkName(name string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if name == "" || len(name) <= 200 && strings.Trim(name, letters+"_.-") == "" && strings.Contains(letters, name[:1]) {
		return nil
	}
	return fmt.Errorf("container name %q: letters, digits and _.- are allowed, beginning with a letter or digit", name)
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
	return os.Chmod(c.Upper, c.image.rootMode())
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
		return fmt.Errorf("the container name %q %w by %s: remove that container, or give another name", name, ErrNameTaken, d.entry(path.Base(holder)).ID)
	}
	return err
}

// Remove removes the directory, then gives back the name and the lock. Files
// of other ids make it fail with EACCES or EPERM: what is left is then in Dir,
// to be removed in the user namespace, and Remove to be called again.
func (c *Container) Remove() error {
	var err error
	if c.Dir, err = remove(c.Dir); err != nil {
		return err
	}
	if c.Name != "" {
		c.dirs.freeName(c.Name, c.base)
		c.Name = ""
	}
	if c.lock != nil {
		c.lock.Close()
		c.lock = nil
	}
	return nil
}

// freeName gives a name back, unless another container took it over meanwhile.
// One that stays leads nowhere, and is as free.
func (d Dirs) freeName(name, dir string) {
	unlock, err := d.lockNames()
	if err != nil {
		return
	}
	defer unlock()
	file := path.Join(d.taken(), name)
	if target, err := os.Readlink(file); err == nil && path.Base(target) == dir {
		_ = os.Remove(file)
	}
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
		dir := path.Join(d.containers(), e.Name())
		switch path.Ext(e.Name()) {
		case transientSuffix:
			dir, err = bury(dir)
		case deadSuffix:
			dir, err = remove(dir)
		default:
			continue
		}
		if err != nil {
			mapped = append(mapped, dir)
		}
	}
	return mapped, nil
}

// bury removes a container's directory unless someone holds its lock. The
// lock is kept meanwhile: who waits for it learns that the directory is gone.
func bury(dir string) (string, error) {
	file, err := lockDirectory(dir, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, os.ErrNotExist) {
		return dir, nil
	}
	if err != nil {
		return dir, err
	}
	defer file.Close()
	return remove(dir)
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
	if err := RemoveTree(unix.AT_FDCWD, dir); !errors.Is(err, os.ErrNotExist) {
		return dir, err
	}
	return dir, nil
}
