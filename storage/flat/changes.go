package flat

import (
	"errors"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Kinds of a change, as docker-diff(1) prints them.
const (
	Added   = 'A'
	Changed = 'C'
	Deleted = 'D'
)

// Change is a path at which a copy is not what the stack is.
type Change struct {
	Kind byte
	Path string // from "/"
	Size int64  // of the regular file that is there now, else 0
	Ino  uint64 // its inode: a file may have several names
	Dir  bool   // a directory is there now
}

// Copied is a copy that may have been changed since.
type Copied struct {
	Root int // descriptor of the directory
	// Since is when the copy was complete. A file whose inode was not touched from
	// then on (ctime: inode(7)) is compared by what stat(2) says; others are read.
	Since unix.Timespec
	// Hidden are paths that may be there to be mounted on alone: they are no change
	// unless something is in them.
	Hidden map[string]bool
}

// ChangesOf compares the copy at a path with the layers that it is of, topmost
// first. of.Root is opened here.
func ChangesOf(copied string, layers []string, of Copied) ([]Change, error) {
	stack, err := Open(layers)
	if err != nil {
		return nil, err
	}
	defer stack.Close()
	of.Root, err = unix.Open(copied, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "opening", Path: copied, Err: err}
	}
	defer unix.Close(of.Root)
	return stack.Changes(of)
}

// Changes compares a copy with the stack that it is of. A directory in which
// something was changed is changed. They come sorted by their paths. What the
// container that runs removes or replaces meanwhile may be told as it was or not.
func (s *Stack) Changes(of Copied) ([]Change, error) {
	c := &comparison{Stack: s, of: of, pending: []directory{s.root()}}
	for len(c.pending) > 0 {
		d := c.pending[len(c.pending)-1]
		c.pending = c.pending[:len(c.pending)-1]
		if err := c.directory(d); err != nil {
			return nil, err
		}
	}
	list := c.complete()
	slices.SortFunc(list, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return list, nil
}

type comparison struct {
	*Stack
	of      Copied
	pending []directory // without layers: a new one
	found   []Change
}

func (c *comparison) directory(d directory) error {
	now, err := beneath(c.of.Root, d.path, unix.O_RDONLY|unix.O_DIRECTORY)
	if vanished(err) && d.path != "." {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "opening", Path: d.path, Err: err}
	}
	defer unix.Close(now)
	names, err := c.names(now)
	if err != nil && !vanished(err) {
		return &os.PathError{Op: "reading", Path: d.path, Err: err}
	}
	before, err := c.open(d)
	if err != nil {
		return err
	}
	defer before.close()
	gone := map[string]*entry{}
	for _, e := range before.entries {
		gone[e.name] = e
	}
	for _, name := range names {
		e := gone[name]
		delete(gone, name)
		if err := c.entry(before, now, name, e); err != nil {
			return &os.PathError{Op: "comparing", Path: d.join(name), Err: err}
		}
	}
	for name, e := range gone {
		if kind := e.kind(); kind == unix.S_IFCHR || kind == unix.S_IFBLK {
			continue // it was never copied
		}
		c.found = append(c.found, Change{Kind: Deleted, Path: "/" + d.join(name)})
	}
	return nil
}

// vanished: what was there when its name was read is not any more, or is
// something else, which may be no directory, a link or a socket.
func vanished(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO)
}

// entry compares what has a name now with what had it, or nil.
func (c *comparison) entry(before *opened, dir int, name string, e *entry) error {
	var st unix.Stat_t
	err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if vanished(err) {
		return nil
	}
	if err != nil {
		return err
	}
	kind := st.Mode & unix.S_IFMT
	change := Change{Kind: Added, Path: "/" + before.join(name), Dir: kind == unix.S_IFDIR}
	if kind == unix.S_IFREG {
		change.Size, change.Ino = st.Size, st.Ino
	}
	below := directory{path: before.join(name)}
	same := false
	if e != nil {
		change.Kind = Changed
		if kind == e.kind() {
			below.layers = e.layers
			if same, err = c.same(before.fds[e.from], dir, e, &st); err != nil {
				return err
			}
		}
	}
	if change.Dir {
		c.pending = append(c.pending, below)
	}
	if !same {
		c.found = append(c.found, change)
	}
	return nil
}

// same compares two files of one kind.
func (c *comparison) same(from, dir int, e *entry, st *unix.Stat_t) (bool, error) {
	kind := e.kind()
	switch {
	case st.Mode != e.st.Mode, st.Uid != e.st.Uid, st.Gid != e.st.Gid, st.Rdev != e.st.Rdev, st.Mtim != e.st.Mtim:
		return false, nil
	case kind != unix.S_IFDIR && st.Size != e.st.Size:
		return false, nil
	case earlier(st.Ctim, c.of.Since), kind == unix.S_IFIFO, kind == unix.S_IFSOCK, kind == unix.S_IFCHR, kind == unix.S_IFBLK:
		return true, nil
	case kind == unix.S_IFLNK:
		return sameLink(from, dir, e.name)
	}
	return c.read(from, dir, e, st.Ino)
}

func earlier(a, b unix.Timespec) bool { return a.Sec < b.Sec || a.Sec == b.Sec && a.Nsec < b.Nsec }

func sameLink(from, dir int, name string) (bool, error) {
	var text [2][unix.PathMax]byte
	n, err := unix.Readlinkat(from, name, text[0][:])
	if err != nil {
		return false, err
	}
	m, err := unix.Readlinkat(dir, name, text[1][:])
	if vanished(err) || errors.Is(err, unix.EINVAL) { // it is no link any more
		return false, nil
	}
	return string(text[0][:n]) == string(text[1][:max(m, 0)]), err
}

// read compares attributes and content with those of the inode that was found.
func (c *comparison) read(from, dir int, e *entry, ino uint64) (bool, error) {
	const flags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	a, err := unix.Openat(from, e.name, flags, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(a)
	b, err := unix.Openat(dir, e.name, flags, 0)
	if vanished(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer unix.Close(b)
	var now unix.Stat_t
	if err := unix.Fstat(b, &now); err != nil || now.Ino != ino {
		return false, err
	}
	if same, err := sameAttributes(a, b); !same || err != nil || e.kind() == unix.S_IFDIR {
		return same, err
	}
	return sameContent(a, b, e.st.Size)
}

func sameAttributes(a, b int) (bool, error) {
	names, err := attributes(a)
	if err != nil {
		return false, err
	}
	others, err := attributes(b)
	if err != nil || !slices.Equal(slices.Sorted(slices.Values(names)), slices.Sorted(slices.Values(others))) {
		return false, err
	}
	for _, name := range names {
		x, err := value(a, name)
		y, failed := value(b, name)
		if err = errors.Join(err, failed); err != nil || x != y {
			return false, err
		}
	}
	return true, nil
}

func sameContent(a, b int, size int64) (bool, error) {
	var text [2][64 << 10]byte
	for at := int64(0); at < size; {
		n, err := unix.Pread(a, text[0][:], at)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return false, err
		}
		for got := 0; got < n; {
			m, err := unix.Pread(b, text[1][got:n], at+int64(got))
			if err != nil && !errors.Is(err, unix.EINTR) || m == 0 {
				return false, err
			}
			got += max(m, 0)
		}
		if string(text[0][:n]) != string(text[1][:n]) {
			return false, nil
		}
		at += int64(n)
	}
	return true, nil
}

// complete leaves out what is only mounted on, and adds the directories above
// what is changed.
func (c *comparison) complete() (list []Change) {
	known := map[string]Change{}
	done := map[string]bool{}
	for _, change := range c.found {
		known[change.Path] = change
	}
	for _, change := range c.found {
		if c.of.Hidden[change.Path] && change.Kind != Deleted && change.Size == 0 {
			continue
		}
		for at := change.Path; at != "/" && !done[at]; at = path.Dir(at) {
			done[at] = true
			above, ok := known[at]
			if !ok {
				above = Change{Kind: Changed, Path: at, Dir: true}
			}
			list = append(list, above)
		}
	}
	return list
}
