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
// on its directory.
func (o *overlay) makeWhiteout(dir int, name string) (marked bool, err error) {
	if !o.xattrs {
		err = unix.Mknodat(dir, name, unix.S_IFCHR, 0)
		if err != unix.EPERM && err != unix.EOPNOTSUPP {
			return false, err
		}
	}
	fd, err := unix.Openat(dir, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	return true, unix.Fsetxattr(fd, whiteoutXattr, []byte("y"), 0)
}

// mark lets attributes make whiteouts in a directory of the upper layer. An
// opaque one hides all anyway. The caller holds tree.disk for writing.
func mark(dir *node, fd int) error {
	if opaque, err := opacity(fd); err != nil || opaque != 0 {
		return err
	}
	dir.parts[0].xwhiteouts = true
	return unix.Fsetxattr(fd, opaqueXattr, []byte{opaqueX}, 0)
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
// there is a whiteout, or nothing. A directory holds whiteouts at most. The
// caller holds tree.disk for writing.
func (o *overlay) vacate(dir *node, fd int, name string, was occupant, whiteout bool) error {
	if was == aWhiteout && whiteout {
		return nil
	}
	if !whiteout {
		return o.takeAway(fd, name, was)
	}
	at, temp := fd, name
	if was != nothing {
		at, temp = o.work, o.temp()
	}
	marked, err := o.makeWhiteout(at, temp)
	if err == nil && marked {
		err = mark(dir, fd)
	}
	if err != nil || was == nothing {
		return err
	}
	if was == aDirectory {
		err = unix.Renameat2(o.work, temp, fd, name, unix.RENAME_EXCHANGE)
		defer o.discard(temp)
		return err
	}
	if err = unix.Renameat(o.work, temp, fd, name); err != nil {
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
		return o.discard(temp)
	}
	return unix.Unlinkat(fd, name, 0)
}
