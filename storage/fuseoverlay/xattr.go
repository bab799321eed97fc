package fuseoverlay

import (
	"strings"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
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

// GetXAttr is getxattr(2).
func (o *overlay) GetXAttr(_ <-chan struct{}, in *fuse.InHeader, name string, dest []byte) (size uint32, code fuse.Status) {
	if strings.HasPrefix(name, "system.") {
		return 0, fuse.Status(unix.EOPNOTSUPP)
	}
	err := o.withXattrs(in.NodeId, false, unix.ENODATA, func(fd int) error {
		n, err := unix.Fgetxattr(fd, onDisk(name), dest)
		size = uint32(max(n, 0))
		return err
	})
	return size, status(err)
}

// ListXAttr is listxattr(2).
func (o *overlay) ListXAttr(_ <-chan struct{}, in *fuse.InHeader, dest []byte) (size uint32, code fuse.Status) {
	var list []byte
	err := o.withXattrs(in.NodeId, false, nil, func(fd int) error {
		names, err := listXattrs(fd)
		for _, name := range names {
			if name = seen(name); name != "" && !strings.HasPrefix(name, "system.") {
				list = append(append(list, name...), 0)
			}
		}
		return err
	})
	if err == nil && len(list) > len(dest) {
		err = unix.ERANGE // the server makes it a size, if that was asked for
	}
	copy(dest, list)
	return uint32(len(list)), status(err)
}

// SetXAttr is setxattr(2).
func (o *overlay) SetXAttr(_ <-chan struct{}, in *fuse.SetXAttrIn, name string, data []byte) fuse.Status {
	if strings.HasPrefix(name, "system.") {
		return fuse.Status(unix.EOPNOTSUPP)
	}
	return status(o.withXattrs(in.NodeId, true, unix.EOPNOTSUPP, func(fd int) error {
		return unix.Fsetxattr(fd, onDisk(name), data, int(in.Flags))
	}))
}

// RemoveXAttr is removexattr(2).
func (o *overlay) RemoveXAttr(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	err := o.withXattrs(in.NodeId, false, unix.ENODATA, func(fd int) error { // what is not there is no reason for copy-up
		_, err := unix.Fgetxattr(fd, onDisk(name), nil)
		return err
	})
	if err != nil {
		return status(err)
	}
	return status(o.withXattrs(in.NodeId, true, unix.ENODATA, func(fd int) error { return unix.Fremovexattr(fd, onDisk(name)) }))
}
