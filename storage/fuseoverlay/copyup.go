package fuseoverlay

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"containers/rl/storage/content"
)

// wholeFile is for copyUp: all of a file's content.
const wholeFile = int64(-1)

// copyUp makes a node one of the upper layer, with the directories above it. Of
// a regular file size bytes are enough, as the caller truncates it. The copy is
// made in the work directory, and put in its place by a rename. The caller does
// not hold tree.disk.
func (o *overlay) copyUp(n *node, size int64) error {
	n.copying.Lock()
	defer n.copying.Unlock()
	o.tree.disk.RLock()
	done := n.isUpper()
	p, named := o.tree.place(n)
	o.tree.disk.RUnlock()
	if done {
		return nil
	}
	if named {
		if err := o.copyUp(p.parent, wholeFile); err != nil {
			return err
		}
	}
	temp := o.temp()
	err := o.copyTo(n, temp, size)
	if err == nil {
		err = o.raise(n, temp)
	}
	if err != nil {
		_ = o.discard(temp)
	}
	return err
}

// temp is a new name in the work directory.
func (o *overlay) temp() string {
	return fmt.Sprint("#", o.temps.Add(1))
}

// copyTo makes a copy with all attributes in the work directory. The place on
// disk is used to open the file alone: data may take long.
func (o *overlay) copyTo(n *node, temp string, size int64) error {
	var st unix.Stat_t
	from, err := o.source(n, temp, &st)
	if err != nil {
		return err
	}
	if from != nil {
		defer o.files.release(from)
	}
	switch n.format {
	case unix.S_IFREG:
		if size == wholeFile || size > st.Size {
			size = st.Size
		}
		err = o.copyFile(from.fd, temp, size)
	case unix.S_IFDIR:
		err = unix.Mkdirat(o.work, temp, 0o700)
	case unix.S_IFLNK:
	default:
		err = unix.Mknodat(o.work, temp, st.Mode, int(st.Rdev))
	}
	if err != nil {
		return err
	}
	if err := unix.Fchownat(o.work, temp, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if from != nil { // chown(2) takes capabilities away, so they come after
		if err := o.copyXattrs(from.fd, temp); err != nil {
			return err
		}
	}
	if n.format != unix.S_IFLNK { // after chown(2), which clears bits; our own name in our own directory is no link
		if err := unix.Fchmodat(o.work, temp, st.Mode&0o7777, 0); err != nil {
			return err
		}
	}
	return unix.UtimesNanoAt(o.work, temp, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}

// source opens what has data or attributes to be copied. A link is copied here.
func (o *overlay) source(n *node, temp string, st *unix.Stat_t) (*handle, error) {
	o.tree.disk.RLock()
	defer o.tree.disk.RUnlock()
	if err := o.stat(n, st); err != nil {
		return nil, err
	}
	switch n.format {
	case unix.S_IFREG, unix.S_IFDIR:
		return o.file(n)
	case unix.S_IFLNK:
		return nil, o.copyLink(n, temp)
	}
	return nil, nil
}

func (o *overlay) copyLink(n *node, temp string) error {
	target := make([]byte, unix.PathMax)
	return o.at(n, func(dir int, name string) error {
		length, err := unix.Readlinkat(dir, name, target)
		if err != nil {
			return err
		}
		return unix.Symlinkat(string(target[:length]), o.work, temp)
	})
}

// copyFile copies the first size bytes at least.
func (o *overlay) copyFile(from int, temp string, size int64) error {
	to, err := unix.Openat(o.work, temp, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(to)
	var c content.Copier
	if err := c.Copy(from, to, size); err != nil || size == 0 || o.volatile {
		return err
	}
	return unix.Fsync(to) // or after a power cut the name could be there, and not what is in it
}

// copyXattrs copies all but overlay's own. What may not be set here is left out,
// as by the kernel.
func (o *overlay) copyXattrs(from int, temp string) error {
	to, err := unix.Openat(o.work, temp, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(to)
	names, err := listXattrs(from)
	if err != nil || len(names) == 0 {
		return err
	}
	value := make([]byte, maxXattr)
	for _, name := range names {
		if strings.HasPrefix(name, ownXattrs) && !strings.HasPrefix(name, escapedXattrs) {
			continue
		}
		size, err := unix.Fgetxattr(from, name, value)
		if err != nil {
			continue // of a namespace that is not ours
		}
		err = unix.Fsetxattr(to, name, value[:size], 0)
		if err != nil && err != unix.EPERM && err != unix.EOPNOTSUPP {
			return err
		}
	}
	return nil
}

// raise puts a copy in its place, or where it lost its name meanwhile, keeps its
// descriptor alone.
func (o *overlay) raise(n *node, temp string) error {
	o.tree.disk.Lock()
	defer o.tree.disk.Unlock()
	var st unix.Stat_t
	if err := unix.Fstatat(o.work, temp, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	p, named := o.tree.place(n)
	if !named {
		return o.raiseHeld(n, temp)
	}
	dir, err := o.dir(p.parent, upper)
	if err != nil {
		return err
	}
	defer o.files.release(dir)
	if err := keepTimes(dir.fd, func() error { return unix.Renameat(o.work, temp, dir.fd, p.name) }); err != nil {
		return err
	}
	linked := n.format != unix.S_IFDIR && o.wasLinked(n)
	o.files.drop(n)
	if n.isDir() {
		n.parts = append([]part{{layer: upper}}, n.parts...)
	} else {
		n.parts = []part{{layer: upper}}
	}
	o.tree.mu.Lock()
	defer o.tree.mu.Unlock()
	n.real = st.Ino
	if linked {
		n.ino = st.Ino // it is no longer the file that the other names in the layer stand for
	} else if n.ino != st.Ino {
		o.tree.origins[st.Ino] = n.ino
	}
	return nil
}

// wasLinked says whether a file of a layer has other names there.
func (o *overlay) wasLinked(n *node) bool {
	p, _ := o.tree.place(n)
	dir, err := o.dir(p.parent, n.top())
	if err != nil {
		return false
	}
	defer o.files.release(dir)
	var st unix.Stat_t
	return unix.Fstatat(dir.fd, p.name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Nlink > 1
}

func (o *overlay) raiseHeld(n *node, temp string) error {
	parts := []part{{layer: upper}}
	fd, err := openFile(o.work, temp, &node{format: n.format, parts: parts})
	if err != nil {
		return err
	}
	if err := o.discard(temp); err != nil {
		_ = unix.Close(fd)
		return err
	}
	o.files.drop(n)
	n.spares = append(n.spares, n.held)
	n.held, n.parts = fd, parts
	return nil
}

// keepTimes leaves a directory's times as they were: copy-up is not seen in them.
func keepTimes(dir int, do func() error) error {
	var st unix.Stat_t
	if err := unix.Fstat(dir, &st); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	_ = unix.UtimesNanoAt(dir, "", []unix.Timespec{st.Atim, st.Mtim}, unix.AT_EMPTY_PATH) // as the kernel, at best
	return nil
}
