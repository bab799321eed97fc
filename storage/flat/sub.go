package flat

import (
	"errors"
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
	d, err := s.walk(name, s.step)
	if err != nil {
		return nil, err
	}
	o, err := s.open(d)
	if err != nil {
		return nil, err
	}
	return &Stack{layers: o.fds, upper: s.upper && o.layers[0] == 0, buf: s.buf}, nil
}

// Follow gives the place that a path leads to by the links of the tree, whether
// anything is there or not. Of a directory that is covered no links are followed.
func (s *Stack) Follow(name string, covered func(dir string) bool) (string, error) {
	d, err := s.walk(name, func(d directory, word string) (next directory, target string, err error) {
		none := directory{path: d.join(word)}
		if len(d.layers) == 0 || covered(path.Join("/", d.path)) {
			return none, "", nil
		}
		next, target, err = s.step(d, word)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
			return none, "", nil
		}
		return next, target, err
	})
	return path.Join("/", d.path), err
}

// walk goes a path, step by step and link by link.
func (s *Stack) walk(name string, step func(directory, string) (next directory, target string, err error)) (directory, error) {
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
		next, target, err := step(way[len(way)-1], word)
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
			return directory{}, &os.PathError{Op: "opening", Path: name, Err: err}
		}
	}
	return way[len(way)-1], nil
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
