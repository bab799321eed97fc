package fuseoverlay

import (
	"golang.org/x/sys/unix"
)

// dir is the descriptor of a directory in one of its layers. The caller holds
// tree.disk, and releases it.
func (o *overlay) dir(n *node, layer int) (*handle, error) {
	at := spot{n, layer}
	if h := o.files.get(at); h != nil {
		return h, nil
	}
	if n.id == rootID {
		fd, err := unix.FcntlInt(uintptr(o.layers[layer].fd), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			return nil, err
		}
		return o.files.put(at, fd), nil
	}
	p, ok := o.tree.place(n)
	if !ok {
		return nil, unix.ENOENT
	}
	above, err := o.dir(p.parent, layer)
	if err != nil {
		return nil, err
	}
	defer o.files.release(above)
	fd, err := openDir(above.fd, p.name)
	if err != nil {
		return nil, err
	}
	return o.files.put(at, fd), nil
}

func openDir(dir int, name string) (int, error) {
	return retry(func() (int, error) {
		return unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
}

// retry is for calls that a signal may interrupt: open(2) on network file systems.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}

// file is the descriptor of a regular file, or of a directory's topmost part:
// for reading, and in the upper layer for writing too. The caller holds
// tree.disk until it has the descriptor, and releases that.
func (o *overlay) file(n *node) (*handle, error) {
	if n.held >= 0 {
		return &handle{fd: n.held, users: 2}, nil // never closed by a release
	}
	if n.isDir() {
		return o.dir(n, n.top())
	}
	at := spot{n, n.top()}
	if h := o.files.get(at); h != nil {
		return h, nil
	}
	p, ok := o.tree.place(n)
	if !ok {
		return nil, unix.ENOENT
	}
	dir, err := o.dir(p.parent, n.top())
	if err != nil {
		return nil, err
	}
	defer o.files.release(dir)
	fd, err := openFile(dir.fd, p.name, n)
	if err != nil {
		return nil, err
	}
	return o.files.put(at, fd), nil
}

// openFile opens a regular file for all that may be done to it in its layer, a
// directory for reading, anything else as a mere place. A lower layer's access time stays, where that
// is granted.
func openFile(dir int, name string, n *node) (int, error) {
	flags := unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK // a layer that changes under us could have put a fifo there
	switch {
	case n.isDir():
		flags |= unix.O_DIRECTORY
	case !n.isRegular():
		flags |= unix.O_PATH
	case n.isUpper():
		flags |= unix.O_RDWR
	default:
		fd, err := unix.Openat(dir, name, flags|unix.O_NOATIME, 0)
		if err != unix.EPERM && err != unix.EINTR {
			return fd, err
		}
	}
	return retry(func() (int, error) { return unix.Openat(dir, name, flags, 0) })
}

// at calls do with where a node's topmost part lies: a directory's descriptor
// and a name in it, or for a file without a name its descriptor and "", which
// AT_EMPTY_PATH takes. The caller holds tree.disk.
func (o *overlay) at(n *node, do func(dir int, name string) error) error {
	if n.held >= 0 {
		return do(n.held, "")
	}
	if n.id == rootID {
		return do(o.layers[n.top()].fd, ".")
	}
	p, ok := o.tree.place(n)
	if !ok {
		return unix.ENOENT
	}
	dir, err := o.dir(p.parent, n.top())
	if err != nil {
		return err
	}
	defer o.files.release(dir)
	return do(dir.fd, p.name)
}

// noFollow are the flags for at.
const noFollow = unix.AT_SYMLINK_NOFOLLOW | unix.AT_EMPTY_PATH

func (o *overlay) stat(n *node, st *unix.Stat_t) error {
	return o.at(n, func(dir int, name string) error { return unix.Fstatat(dir, name, st, noFollow) })
}

// look finds a name in a directory's layers. No parts mean that it is not there.
func (o *overlay) look(dir *node, name string, st *unix.Stat_t) (parts []part, err error) {
	for i, p := range dir.parts {
		found, more, err := o.lookIn(dir, p, name, st, len(parts) > 0)
		if err != nil {
			return nil, err
		}
		if found != nil {
			parts = append(parts, *found)
		}
		if !more || i == len(dir.parts)-1 {
			break
		}
	}
	return parts, nil
}

// lookIn looks in one layer, and says whether those below count too. Of a
// directory that a layer above has (beneath is true), only directories do.
func (o *overlay) lookIn(dir *node, p part, name string, top *unix.Stat_t, beneath bool) (found *part, more bool, err error) {
	h, err := o.dir(dir, p.layer)
	if err != nil {
		return nil, false, err
	}
	defer o.files.release(h)
	var st unix.Stat_t
	if err := unix.Fstatat(h.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err == unix.ENOENT {
		return nil, true, nil
	} else if err != nil {
		return nil, false, err
	}
	isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if isWhiteout(h.fd, name, &st, p.xwhiteouts) || beneath && !isDir {
		return nil, false, nil
	}
	if !beneath {
		*top = st
	}
	if !isDir {
		return &part{layer: p.layer}, false, nil
	}
	fd, err := openDir(h.fd, name)
	if err != nil {
		return nil, false, err
	}
	defer unix.Close(fd)
	opaque, err := opacity(fd)
	return &part{p.layer, opaque == opaqueX}, opaque != opaqueY, err
}

const (
	opaqueXattr   = "user.overlay.opaque"
	whiteoutXattr = "user.overlay.whiteout"

	opaqueY = 'y' // hides the same directory of the layers below
	opaqueX = 'x' // has whiteouts that are files with an attribute
)

// opacity is the value of a directory's user.overlay.opaque, or 0.
func opacity(fd int) (byte, error) {
	var value [1]byte
	n, err := unix.Fgetxattr(fd, opaqueXattr, value[:])
	switch {
	case err == unix.ENODATA || err == unix.EOPNOTSUPP || err == unix.ERANGE || n == 0:
		return 0, nil
	case err != nil:
		return 0, err
	}
	return value[0], nil
}

// isWhiteout tells both forms; xwhiteouts says whether the directory may have the second.
func isWhiteout(dir int, name string, st *unix.Stat_t, xwhiteouts bool) bool {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
		return st.Rdev == 0
	case unix.S_IFREG:
		return xwhiteouts && st.Size == 0 && hasWhiteoutXattr(dir, name)
	}
	return false
}

func hasWhiteoutXattr(dir int, name string) bool {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	_, err = unix.Fgetxattr(fd, whiteoutXattr, nil)
	return err == nil
}

// hides says whether a layer below the upper one has the name in a directory,
// so that it takes a whiteout to remove it.
func (o *overlay) hides(dir *node, name string) (bool, error) {
	var st unix.Stat_t
	for _, p := range dir.below() {
		found, more, err := o.lookIn(dir, p, name, &st, false)
		if err != nil || found != nil || !more {
			return found != nil, err
		}
	}
	return false, nil
}
