package flat

import (
	"errors"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Stack is an open stack of layers. It is not safe for concurrent use.
type Stack struct {
	layers []int // descriptors, topmost first, each hiding what is below where it says so
	upper  bool  // the topmost is what a container changed
	buf    []byte
}

// Open opens the directories of the layers, topmost first.
func Open(dirs []string) (*Stack, error) {
	s := &Stack{buf: make([]byte, 32<<10)}
	for _, dir := range dirs {
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			s.Close()
			return nil, &os.PathError{Op: "opening", Path: dir, Err: err}
		}
		s.layers = append(s.layers, fd)
	}
	return s, nil
}

// OpenChanged is Open with an overlay's upper directory on top. Its marks are
// the kernel's alone: what has the name of an archive's mark there is a file.
func OpenChanged(upper string, dirs []string) (*Stack, error) {
	s, err := Open(append([]string{upper}, dirs...))
	if err == nil {
		s.upper = true
	}
	return s, err
}

// Close lets go of the layers.
func (s *Stack) Close() {
	for _, fd := range s.layers {
		unix.Close(fd)
	}
	s.layers = nil
}

// Marks of an image's archive.
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// directory is one of the merged tree: its path from the root, "." for that,
// and which layers have it, topmost first.
type directory struct {
	path   string
	layers []int // indices in Stack.layers
}

func (s *Stack) root() directory {
	d := directory{path: "."}
	for n := range s.layers {
		d.layers = append(d.layers, n)
	}
	return d
}

func (d directory) join(name string) string {
	if d.path == "." {
		return name
	}
	return d.path + "/" + name
}

// entry is a name in a merged directory.
type entry struct {
	name   string
	st     unix.Stat_t
	from   int   // position of its layer in opened.fds
	layers []int // of a directory: which have it
}

func (e *entry) kind() uint32 { return e.st.Mode & unix.S_IFMT }

// opened is a merged directory whose layers are open.
type opened struct {
	directory
	fds     []int // one for each that counts, topmost first
	entries []*entry
}

func (o *opened) close() {
	for _, fd := range o.fds {
		unix.Close(fd)
	}
}

// open opens a directory in all of its layers, down to one that is opaque, and
// lists it.
func (s *Stack) open(d directory) (*opened, error) {
	o := &opened{directory: d}
	found := map[string]*entry{} // nil: hidden
	for n, layer := range d.layers {
		fd, err := beneath(s.layers[layer], d.path, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			o.close()
			return nil, &os.PathError{Op: "opening", Path: d.path, Err: err}
		}
		o.fds = append(o.fds, fd)
		last, err := s.merge(o, n, found)
		if err != nil {
			o.close()
			return nil, &os.PathError{Op: "reading", Path: d.path, Err: err}
		}
		if last {
			break
		}
	}
	slices.SortFunc(o.entries, func(a, b *entry) int { return strings.Compare(a.name, b.name) })
	return o, nil
}

// merge adds what the nth layer of a directory has. Last says that it hides
// those below.
func (s *Stack) merge(o *opened, n int, found map[string]*entry) (last bool, err error) {
	fd := o.fds[n]
	names, err := s.names(fd)
	if err != nil {
		return false, err
	}
	var hidden []string
	mark := opaqueMark(fd)
	last = mark == 'y'
	archived := !s.upper || o.layers[n] > 0
	for _, name := range names {
		if rest, ok := strings.CutPrefix(name, whiteout); ok && archived {
			if last = last || name == opaque; !strings.HasPrefix(rest, whiteout) {
				hidden = append(hidden, rest)
			}
			continue
		}
		e, known := found[name]
		if known && (e == nil || e.layers == nil) {
			continue
		}
		now := &entry{name: name, from: n}
		if err := unix.Fstatat(fd, name, &now.st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return false, err
		}
		directory := now.kind() == unix.S_IFDIR
		switch {
		case known && directory:
			e.layers = append(e.layers, o.layers[n])
		case known: // what is below the file is not seen through it
			found[name] = nil
		case isWhiteout(&now.st), mark == 'x' && isFileWhiteout(fd, now):
			found[name] = nil
		default:
			if directory {
				now.layers = append(make([]int, 0, 2), o.layers[n])
			}
			found[name] = now
			o.entries = append(o.entries, now)
		}
	}
	// A layer hides what lies below it, never what it has itself.
	for _, name := range hidden {
		found[name] = nil
	}
	return last, nil
}

// isWhiteout: overlay's mark for a name that is not there any more.
func isWhiteout(st *unix.Stat_t) bool { return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0 }

// opaqueMark is overlay's on a directory: y for one that hides those below, x for
// one that may have files as whiteouts (Linux 6.7); else 0.
func opaqueMark(dir int) byte {
	value := make([]byte, 2)
	if n, err := unix.Fgetxattr(dir, "user.overlay.opaque", value); err != nil || n != 1 {
		return 0
	}
	return value[0]
}

// isFileWhiteout: an empty file with an attribute, where a device cannot be.
func isFileWhiteout(dir int, e *entry) bool {
	if e.kind() != unix.S_IFREG || e.st.Size > 0 {
		return false
	}
	fd, err := unix.Openat(dir, e.name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	_, err = unix.Fgetxattr(fd, "user.overlay.whiteout", nil)
	return err == nil
}

// names reads a directory from its beginning.
func (s *Stack) names(fd int) (names []string, err error) {
	for {
		n, err := unix.ReadDirent(fd, s.buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return names, err
		}
		_, _, names = unix.ParseDirent(s.buf[:n], -1, names)
	}
}

// beneath opens a path of names below a directory; no link on the way is
// followed, and none at its end.
func beneath(dir int, name string, flags uint64) (fd int, err error) {
	how := unix.OpenHow{Flags: flags | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
	for {
		// EAGAIN: something else was renamed meanwhile.
		if fd, err = unix.Openat2(dir, name, &how); !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			return fd, err
		}
	}
}
