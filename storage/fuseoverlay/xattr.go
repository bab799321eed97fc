package fuseoverlay

import (
	"strings"

	"golang.org/x/sys/unix"

	"containers/rl/storage/fuse"
)

const (
	maxXattr = 64 << 10 // XATTR_SIZE_MAX and XATTR_LIST_MAX

	// ownXattrs are overlay's and not seen. A user's with such a name has another
	// on disk, as the kernel's overlay does it since Linux 6.7.
	ownXattrs     = "user.overlay."
	escapedXattrs = "user.overlay.overlay."
)

func onDisk(name string) string {
	if rest, ok := strings.CutPrefix(name, ownXattrs); ok {
		return escapedXattrs + rest
	}
	return name
}

// seen is the name for users, or "" for overlay's own.
func seen(name string) string {
	if rest, ok := strings.CutPrefix(name, escapedXattrs); ok {
		return ownXattrs + rest
	}
	if strings.HasPrefix(name, ownXattrs) {
		return ""
	}
	return name
}

// listXattrs are the names on disk.
func listXattrs(fd int) ([]string, error) {
	n, err := unix.Flistxattr(fd, nil)
	if err == unix.EOPNOTSUPP || err == nil && n == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list := make([]byte, maxXattr)
	if n, err = unix.Flistxattr(fd, list); err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00"), nil
}

// withXattrs calls do for a file that may have attributes. Links, sockets and so
// on have none: the kernel grants none in user.
func (o *overlay) withXattrs(id uint64, write bool, none error, do func(fd int) error) error {
	n := o.tree.get(id)
	switch {
	case n == nil:
		return unix.ESTALE
	case !n.isRegular() && !n.isDir():
		return none
	}
	return o.use(id, write, do)
}

// GetXattr is getxattr(2).
func (o *overlay) GetXattr(in *fuse.InHeader, name string, value []byte) (size int, _ fuse.Status) {
	if strings.HasPrefix(name, "system.") {
		return 0, unix.EOPNOTSUPP
	}
	err := o.withXattrs(in.NodeID, false, unix.ENODATA, func(fd int) (err error) {
		size, err = unix.Fgetxattr(fd, onDisk(name), value)
		return err
	})
	return max(size, 0), status(err)
}

// ListXattr is listxattr(2).
func (o *overlay) ListXattr(in *fuse.InHeader) (list []byte, _ fuse.Status) {
	err := o.withXattrs(in.NodeID, false, nil, func(fd int) error {
		names, err := listXattrs(fd)
		for _, name := range names {
			if name = seen(name); name != "" && !strings.HasPrefix(name, "system.") {
				list = append(append(list, name...), 0)
			}
		}
		return err
	})
	return list, status(err)
}

// SetXattr is setxattr(2).
func (o *overlay) SetXattr(in *fuse.InHeader, name string, value []byte, flags int) fuse.Status {
	if strings.HasPrefix(name, "system.") {
		return unix.EOPNOTSUPP
	}
	return status(o.withXattrs(in.NodeID, true, unix.EOPNOTSUPP, func(fd int) error {
		return unix.Fsetxattr(fd, onDisk(name), value, flags)
	}))
}

// RemoveXattr is removexattr(2).
func (o *overlay) RemoveXattr(in *fuse.InHeader, name string) fuse.Status {
	err := o.withXattrs(in.NodeID, false, unix.ENODATA, func(fd int) error { // what is not there is no reason for copy-up
		_, err := unix.Fgetxattr(fd, onDisk(name), nil)
		return err
	})
	if err != nil {
		return status(err)
	}
	return status(o.withXattrs(in.NodeID, true, unix.ENODATA, func(fd int) error { return unix.Fremovexattr(fd, onDisk(name)) }))
}
