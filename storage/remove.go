package storage

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxDepth bounds the descriptors of a removal: a tree may be deeper than the
// process may open files.
const maxDepth = 128

// ErrOpen says that NFS keeps names of removed files in a tree, as they are open
// still. They go when the files are closed.
var ErrOpen = errors.New("removed and open still")

// RemoveTree removes a tree by descriptors: a link is never followed, a
// directory closed to its owner (overlay's work/work) is opened, and a tree
// that is too deep is brought up piece by piece. Two may remove the same tree.
// With ErrOpen some of it is there still.
func RemoveTree(dirfd int, name string) error {
	err := unix.Unlinkat(dirfd, name, 0)
	if err == nil {
		return nil
	}
	if !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM) {
		return &os.PathError{Op: "removing", Path: name, Err: err}
	}
	top, err := openDirectory(dirfd, name)
	if err != nil {
		return err
	}
	defer unix.Close(top)
	r := removal{top: top}
	if err := r.empty(top, name, 0); err != nil {
		return err
	}
	if err := unix.Unlinkat(dirfd, name, unix.AT_REMOVEDIR); err != nil && !errors.Is(err, unix.ENOENT) {
		return &os.PathError{Op: "removing", Path: name, Err: err}
	}
	return nil
}

type removal struct {
	top    int
	moved  int
	held   error         // of a name that NFS keeps for a removed file which is open still
	buffer [4 << 10]byte // one for all directories: the names are copied out
}

func openDirectory(dirfd int, name string) (int, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(dirfd, name, flags, 0)
	if errors.Is(err, unix.EACCES) {
		if err = permit(dirfd, name); err == nil {
			fd, err = unix.Openat(dirfd, name, flags, 0)
		}
	}
	if err != nil {
		return -1, &os.PathError{Op: "opening", Path: name, Err: err}
	}
	return fd, nil
}

// permit gives the owner his directory back. fchmodat would follow a link that
// took the name's place meanwhile, so the mode is changed by descriptor.
func permit(dirfd int, name string) error {
	fd, err := unix.Openat(dirfd, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Chmod("/proc/self/fd/"+strconv.Itoa(fd), 0o700)
}

// empty removes all that a directory holds. The names are read anew until none
// is left, as a removal while reading may skip some.
func (r *removal) empty(fd int, path string, depth int) error {
	for {
		names, err := r.list(fd)
		if err != nil {
			return &os.PathError{Op: "reading", Path: path, Err: err}
		}
		if r.held != nil {
			names = slices.DeleteFunc(names, kept)
		}
		if len(names) == 0 {
			return r.held
		}
		for _, name := range names {
			if err := r.entry(fd, path, name, depth); err != nil {
				return err
			}
		}
	}
}

func (r *removal) entry(fd int, path, name string, depth int) error {
	err := unix.Unlinkat(fd, name, 0)
	if errors.Is(err, unix.EACCES) {
		if err = unix.Fchmod(fd, 0o700); err == nil {
			err = unix.Unlinkat(fd, name, 0)
		}
	}
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	if errors.Is(err, unix.EBUSY) && kept(name) {
		r.held = &os.PathError{Op: "removing", Path: path + "/" + name, Err: fmt.Errorf("%w: %w", ErrOpen, err)}
		return nil
	}
	if !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM) {
		return &os.PathError{Op: "removing", Path: path + "/" + name, Err: err}
	}
	if depth >= maxDepth {
		return r.raise(fd, path, name)
	}
	sub, err := openDirectory(fd, name)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if errors.Is(err, unix.ENOTDIR) { // EPERM above meant a file that may not be removed
		err = unix.EPERM
	}
	if err != nil {
		return &os.PathError{Op: "removing", Path: path + "/" + name, Err: err}
	}
	err = r.empty(sub, path+"/"+name, depth+1)
	unix.Close(sub)
	if err == nil {
		err = unix.Unlinkat(fd, name, unix.AT_REMOVEDIR)
	}
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return &os.PathError{Op: "removing", Path: path + "/" + name, Err: err}
	}
	return nil
}

// kept are the names that an NFS client gives to removed files that are open.
func kept(name string) bool { return strings.HasPrefix(name, ".nfs") }

// raise moves a directory to the top of the tree, where it is found again. A
// move changes the directory's own "..", so it must be writable.
func (r *removal) raise(fd int, path, name string) error {
	if err := permit(fd, name); err != nil && !errors.Is(err, unix.ENOENT) {
		return &os.PathError{Op: "opening", Path: path + "/" + name, Err: err}
	}
	r.moved++
	err := unix.Renameat(fd, name, r.top, fmt.Sprintf(".rl-deep-%d-%d", os.Getpid(), r.moved))
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return &os.PathError{Op: "moving", Path: path + "/" + name, Err: err}
	}
	return nil
}

// list reads up to a buffer of names from the start of a directory.
func (r *removal) list(fd int) ([]string, error) {
	if _, err := unix.Seek(fd, 0, 0); err != nil {
		return nil, err
	}
	var names []string
	for len(names) == 0 {
		n, err := unix.ReadDirent(fd, r.buffer[:])
		if err != nil || n == 0 {
			return names, err
		}
		_, _, names = unix.ParseDirent(r.buffer[:n], -1, names)
	}
	return names, nil
}
