package flat

import (
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks bounds the links in a path, as the kernel does.
const maxLinks = 40

// Sub opens what a path leads to in the tree as a stack of its own: a directory. Links are
// those of the tree and lead nowhere else. ENOENT and ENOTDIR say that there is none.
func (s *Stack) Sub(name string) (*Stack, error) {
	rest := strings.Split(name, "/")
	way := []directory{s.root()} // from the root to where we are
	for links := 0; len(rest) > 0; {
		word := rest[0]
		rest = rest[1:]
		switch word {
		case "", ".":
			continue
		case "..":
			way = way[:max(1, len(way)-1)]
			continue
		}
		next, target, err := s.step(way[len(way)-1], word)
		if err == nil && target != "" {
			if links++; links > maxLinks {
				err = unix.ELOOP
			}
			if path.IsAbs(target) {
				way = way[:1]
			}
			rest = append(strings.Split(target, "/"), rest...)
		} else if err == nil {
			way = append(way, next)
		}
		if err != nil {
			return nil, &os.PathError{Op: "opening", Path: name, Err: err}
		}
	}
	o, err := s.open(way[len(way)-1])
	if err != nil {
		return nil, err
	}
	return &Stack{layers: o.fds, upper: s.upper && o.layers[0] == 0, buf: s.buf}, nil
}

// step goes to a name in a directory, or says where a link leads.
func (s *Stack) step(d directory, name string) (next directory, target string, err error) {
	o, err := s.open(d)
	if err != nil {
		return next, "", err
	}
	defer o.close()
	n := slices.IndexFunc(o.entries, func(e *entry) bool { return e.name == name })
	if n < 0 {
		return next, "", unix.ENOENT
	}
	e := o.entries[n]
	switch e.kind() {
	case unix.S_IFDIR:
		return directory{d.join(name), e.layers}, "", nil
	case unix.S_IFLNK:
		text := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(o.fds[e.from], name, text)
		return next, string(text[:max(n, 0)]), err
	}
	return next, "", unix.ENOTDIR
}
