package fuseoverlay

import (
	"golang.org/x/sys/unix"
)

// discard removes a name in the work directory, and all in it.
func (o *overlay) discard(temp string) error { return removeAll(o.work, temp) }

// clearWork removes what a server that was killed left, or the kernel's overlay.
func (o *overlay) clearWork() error { return removeInside(o.work) }

func removeAll(dir int, name string) error {
	err := unix.Unlinkat(dir, name, 0)
	if err != unix.EISDIR {
		return err
	}
	if err := unix.Unlinkat(dir, name, unix.AT_REMOVEDIR); err != unix.ENOTEMPTY {
		return err
	}
	fd, err := openDir(dir, name)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := removeInside(fd); err != nil {
		return err
	}
	return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
}

func removeInside(dir int) error {
	entries, err := readNames(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := removeAll(dir, e.name); err != nil {
			return err
		}
	}
	return nil
}

// makeWhiteout makes one, and says whether it is of the form that needs a mark
// on its directory. That form is a plain empty file for a moment, so it is made
// in the work directory.
func (o *overlay) makeWhiteout(temp string) (marked bool, err error) {
	if !o.xattrs {
		err = unix.Mknodat(o.work, temp, unix.S_IFCHR, 0)
		if !noDevices(err) {
			return false, err
		}
	}
	fd, err := unix.Openat(o.work, temp, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	return true, unix.Fsetxattr(fd, whiteoutXattr, []byte("y"), 0)
}

// noDevices says whether an error of mknod(2) means that only attributes can be whiteouts.
func noDevices(err error) bool { return err == unix.EPERM || err == unix.EOPNOTSUPP }

// mark lets attributes make whiteouts in a directory of the upper layer. An
// opaque one hides all anyway. The caller holds tree.disk for writing.
func mark(dir *node, fd int) error {
	if opaque, err := opacity(fd); err != nil || opaque != 0 {
		return err
	}
	if err := unix.Fsetxattr(fd, opaqueXattr, []byte{opaqueX}, 0); err != nil {
		return err
	}
	dir.parts[0].xwhiteouts = true
	return nil
}

// occupant is what the upper layer has at a name.
type occupant int

const (
	nothing occupant = iota
	aFile
	aDirectory
	aWhiteout
)

func occupies(dir *node, fd int, name string) (occupant, error) {
	var st unix.Stat_t
	switch err := unix.Fstatat(fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); {
	case err == unix.ENOENT:
		return nothing, nil
	case err != nil:
		return nothing, err
	case isWhiteout(fd, name, &st, dir.parts[0].xwhiteouts):
		return aWhiteout, nil
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return aDirectory, nil
	}
	return aFile, nil
}

// vacate takes what the upper layer has at a name away, in one step: after it
// there is a whiteout, or nothing; or if it fails, what there was. A directory
// holds whiteouts at most. The caller holds tree.disk for writing.
func (o *overlay) vacate(dir *node, fd int, name string, was occupant, whiteout bool) error {
	if !whiteout {
		return o.takeAway(fd, name, was)
	}
	if was == nothing && !o.xattrs {
		if err := unix.Mknodat(fd, name, unix.S_IFCHR, 0); !noDevices(err) {
			return err
		}
	}
	temp := o.temp()
	marked, err := o.makeWhiteout(temp)
	if err == nil && marked {
		err = mark(dir, fd)
	}
	flags := uint(0)
	if was == aDirectory {
		flags = unix.RENAME_EXCHANGE
	}
	if err == nil {
		err = unix.Renameat2(o.work, temp, fd, name, flags)
	}
	if err != nil || was == aDirectory {
		_ = o.discard(temp)
	}
	return err
}

func (o *overlay) takeAway(fd int, name string, was occupant) error {
	switch was {
	case nothing:
		return nil
	case aDirectory:
		if err := unix.Unlinkat(fd, name, unix.AT_REMOVEDIR); err != unix.ENOTEMPTY {
			return err
		}
		temp := o.temp()
		if err := unix.Renameat(fd, name, o.work, temp); err != nil {
			return err
		}
		_ = o.discard(temp) // it is gone for users; the next server clears what is left
		return nil
	}
	return unix.Unlinkat(fd, name, 0)
}
