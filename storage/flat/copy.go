package flat

import (
	"errors"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"containers/rl/storage/content"
)

// inode tells whether two names are one file.
type inode struct{ dev, ino uint64 }

// copier copies a stack into a directory. Directories are worked through one
// after the other, by their paths: so a deep tree takes no more descriptors than
// a shallow one.
type copier struct {
	*Stack
	root    int
	pending []directory
	links   map[inode]string // where a file of several names was put first
	closed  []closed
	content content.Copier
	inside  bool // what is in the root alone
}

// closed is a directory that its owner may not pass: its mode is set at the end.
type closed struct {
	path string
	mode uint32
}

// Copy copies the tree into a directory, which is open for reading and empty, or
// has what a copy that was killed put there: that is replaced. Others may write to
// it meanwhile, and mislead nobody but themselves. The umask is to be 0.
// The directory itself becomes what the topmost layer has as its root.
func (s *Stack) Copy(root int) error { return s.copy(root, false) }

// CopyInside is Copy for a directory that keeps its owner, mode and attributes.
func (s *Stack) CopyInside(root int) error { return s.copy(root, true) }

func (s *Stack) copy(root int, inside bool) error {
	c := &copier{Stack: s, root: root, links: map[inode]string{}, pending: []directory{s.root()}, inside: inside}
	for len(c.pending) > 0 {
		d := c.pending[len(c.pending)-1]
		c.pending = c.pending[:len(c.pending)-1]
		if err := c.directory(d); err != nil {
			return err
		}
	}
	for _, d := range slices.Backward(c.closed) { // what is below comes first
		if err := c.shut(d); err != nil {
			return &os.PathError{Op: "copying", Path: d.path, Err: err}
		}
	}
	return nil
}

func (c *copier) directory(d directory) error {
	target, err := beneath(c.root, d.path, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return &os.PathError{Op: "opening", Path: d.path, Err: err}
	}
	defer unix.Close(target)
	source, err := c.open(d)
	if err != nil {
		return err
	}
	defer source.close()
	for _, e := range source.entries {
		if err := c.entry(source, target, e); err != nil {
			return &os.PathError{Op: "copying", Path: d.join(e.name), Err: err}
		}
	}
	if len(source.fds) == 0 || c.inside && d.path == "." {
		return nil // an image without layers has nothing to be like
	}
	if err := c.finish(source, target); err != nil {
		return &os.PathError{Op: "copying", Path: d.path, Err: err}
	}
	return nil
}

// finish comes when nothing is put into the directory any more, as that would
// change its time.
func (c *copier) finish(source *opened, target int) error {
	var st unix.Stat_t
	if err := unix.Fstat(source.fds[0], &st); err != nil {
		return err
	}
	mode := st.Mode & 0o7777
	if err := own(target, ".", &st); err != nil {
		return err
	}
	// What is inside is still to be reached: without root's rights on NFS.
	if mode&0o100 == 0 {
		c.closed = append(c.closed, closed{source.path, mode})
	} else if err := unix.Fchmod(target, mode); err != nil {
		return err
	}
	if err := copyAttributes(source.fds[0], target); err != nil {
		return err
	}
	return setTime(target, ".", &st)
}

func (c *copier) shut(d closed) error {
	fd, err := beneath(c.root, d.path, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fchmod(fd, d.mode)
}

func (c *copier) entry(source *opened, target int, e *entry) error {
	if e.kind() == unix.S_IFDIR {
		c.pending = append(c.pending, directory{source.join(e.name), e.layers})
		return put(target, e.name, func() error { return unix.Mkdirat(target, e.name, 0o700) })
	}
	if e.st.Nlink > 1 {
		if done, err := c.link(source, target, e); done || err != nil {
			return err
		}
	}
	from := source.fds[e.from]
	if e.kind() == unix.S_IFREG {
		return c.file(from, target, e)
	}
	made, err := c.special(from, target, e)
	if err != nil || !made {
		return err
	}
	if err := own(target, e.name, &e.st); err != nil {
		return err
	}
	return setTime(target, e.name, &e.st)
}

// link gives a file that was copied another name. A file system may have a bound
// on the names of one, or none at all but the first: then it is copied once more.
func (c *copier) link(source *opened, target int, e *entry) (done bool, err error) {
	id := inode{uint64(e.st.Dev), e.st.Ino}
	first, again := c.links[id]
	if !again {
		c.links[id] = source.join(e.name)
		return false, nil
	}
	dir, err := beneath(c.root, path.Dir(first), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return false, err
	}
	defer unix.Close(dir)
	err = put(target, e.name, func() error { return unix.Linkat(dir, path.Base(first), target, e.name, 0) })
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, unix.EMLINK), errors.Is(err, unix.EPERM), errors.Is(err, unix.EOPNOTSUPP):
		c.links[id] = source.join(e.name)
		return false, nil
	}
	return false, err
}

// special makes what has no content. No device can be made in a user namespace:
// it is left out, as when a layer is unpacked.
func (c *copier) special(from, target int, e *entry) (made bool, err error) {
	switch e.kind() {
	case unix.S_IFLNK:
		text := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(from, e.name, text)
		if err != nil {
			return false, err
		}
		return true, put(target, e.name, func() error { return unix.Symlinkat(string(text[:n]), target, e.name) })
	}
	err = put(target, e.name, func() error { return unix.Mknodat(target, e.name, e.st.Mode, int(e.st.Rdev)) })
	if kind := e.kind(); kind == unix.S_IFCHR || kind == unix.S_IFBLK {
		if errors.Is(err, unix.EPERM) {
			delete(c.links, inode{uint64(e.st.Dev), e.st.Ino})
			return false, nil
		}
	}
	return true, err
}

// put makes a name. What is in the way was left by a copy that was killed: a
// directory stays if one is wanted, as it was the same one.
func put(dir int, name string, do func() error) error {
	err := do()
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	switch err = unix.Unlinkat(dir, name, 0); {
	case errors.Is(err, unix.EISDIR), errors.Is(err, unix.EPERM):
		return nil
	case err != nil && !errors.Is(err, unix.ENOENT):
		return err
	}
	return do()
}

// file copies a file. What was one when it was listed is opened without
// waiting, and looked at again.
func (c *copier) file(from, target int, e *entry) error {
	source, err := unix.Openat(from, e.name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(source)
	if err := unix.Fstat(source, &e.st); err != nil {
		return err
	}
	if e.kind() != unix.S_IFREG {
		return errors.New("it has changed meanwhile")
	}
	file := -1
	err = put(target, e.name, func() (err error) {
		file, err = unix.Openat(target, e.name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		return err
	})
	if err == nil && file < 0 {
		err = unix.EISDIR
	}
	if err != nil {
		return err
	}
	err = c.fill(source, file, e)
	if closing := unix.Close(file); err == nil { // a full NFS says so here
		err = closing
	}
	return err
}

// fill: a change of owner clears set-id bits and the file capability, so it
// comes before both; writing changes the time, so that comes last. All is done to
// the file that was made, whatever has its name by now.
func (c *copier) fill(source, file int, e *entry) error {
	if err := c.content.Copy(source, file, e.st.Size); err != nil {
		return err
	}
	if err := ownFile(file, &e.st); err != nil {
		return err
	}
	if err := copyAttributes(source, file); err != nil {
		return err
	}
	if err := unix.Fchmod(file, e.st.Mode&0o7777); err != nil {
		return err
	}
	return setFileTime(file, &e.st)
}
