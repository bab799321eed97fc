package storage

import (
	"path"

	"golang.org/x/sys/unix"
)

// RootName is a container's own copy of its image, in its directory. It comes by
// a rename, so it is whole; CopyNew is its name before, and what a kill leaves of
// it. CopyMark is a file that was written when it was complete; there is none when
// it has what the container changed before, of which no time tells.
const (
	RootName = "root"
	CopyMark = "copied"
	CopyNew  = "root.new"
)

// Root is where the container's own copy of its image is, or would be.
func (c *Container) Root() string { return path.Join(c.Dir, RootName) }

// Copied says whether a container's directory has a copy: then that is its
// root, whatever driver others get, and what it had before is of no use.
func Copied(dir string) bool { return unix.Access(path.Join(dir, RootName), unix.F_OK) == nil }

// Copy is a container's own copy of its image.
type Copy struct {
	Root  string
	Since unix.Timespec // when it was complete; zero: not known
}

// CopyOf gives that of a container's directory, or nil.
func CopyOf(dir string) *Copy {
	if !Copied(dir) {
		return nil
	}
	c := &Copy{Root: path.Join(dir, RootName)}
	var st unix.Stat_t
	if unix.Stat(path.Join(dir, CopyMark), &st) == nil {
		c.Since = st.Mtim
	}
	return c
}
