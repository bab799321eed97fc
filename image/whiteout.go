package image

import (
	"errors"

	"golang.org/x/sys/unix"
)

// hide makes a whiteout. It is for what lower layers have: what this one has of
// the name stays, whichever came first in the archive (image-spec, layer.md).
func (u *unpacker) hide(base string) error {
	var st unix.Stat_t
	err := unix.Fstatat(u.parent, base, &st, unix.AT_SYMLINK_NOFOLLOW)
	switch {
	case errors.Is(err, unix.ENOENT):
		if err := unix.Mknodat(u.parent, base, unix.S_IFCHR, 0); !errors.Is(err, unix.EPERM) {
			return err
		}
		return u.mark(u.parent, whiteout+base)
	case err == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return u.opaque(u.parent, base)
	}
	return err // a file hides what is below it anyway
}

// uncover puts a directory in the place of a whiteout, which still hides what
// lower layers have. What else is there stays.
func (u *unpacker) uncover(parent int, base string) error {
	var st unix.Stat_t
	err := unix.Fstatat(parent, base, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil || u.opts.Plain || st.Mode&unix.S_IFMT != unix.S_IFCHR {
		return err
	}
	if err := unix.Unlinkat(parent, base, 0); err != nil {
		return err
	}
	if err := unix.Mkdirat(parent, base, 0o755); err != nil {
		return err
	}
	return u.opaque(parent, base)
}

// opaque hides all that lower layers have in a directory (overlayfs.rst).
func (u *unpacker) opaque(parent int, base string) error {
	fd, err := unix.Openat(parent, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Fsetxattr(fd, "user.overlay.opaque", []byte("y"), 0); !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	return u.mark(fd, opaque)
}

// mark keeps a mark as the archive has it: where the file system takes no such
// attribute (NFS before 4.2), or the kernel makes no such device without root
// (before Linux 5.8), it takes no overlay either, and package flat knows both forms.
func (u *unpacker) mark(dir int, base string) error {
	if u.opts.Marked != nil {
		*u.opts.Marked = true
	}
	fd, err := unix.Openat(dir, base, unix.O_WRONLY|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}
