package fuseoverlay

import (
	"fmt"

	"golang.org/x/sys/unix"

	"containers/rl/storage/fuse"
)

// birth is a new file.
type birth struct {
	uid, gid uint32 // the caller's
	mode     uint32 // of mknod(2), or 0: it is a link to a file that has an owner
	make     func(dir int, name string) error
}

// Mknod makes a file; O_CREAT comes here too, as Create answers ENOSYS, so that
// a file that is written has two requests less.
func (o *overlay) Mknod(in *fuse.InHeader, mk *fuse.MknodIn, name string, out *fuse.EntryOut) fuse.Status {
	if mk.Mode&unix.S_IFMT == unix.S_IFCHR && mk.Rdev == 0 {
		return unix.EPERM // it would be a whiteout
	}
	if mk.Mode&unix.S_IFMT != unix.S_IFREG {
		return status(o.create(in, name, mk.Mode, out, func(dir int, name string) error {
			return unix.Mknodat(dir, name, mk.Mode, int(mk.Rdev))
		}))
	}
	fd := -1
	err := o.create(in, name, mk.Mode, out, func(dir int, name string) (err error) {
		fd, err = unix.Openat(dir, name, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC, mk.Mode&0o7777)
		return err
	})
	switch n := o.tree.get(out.NodeID); {
	case fd < 0:
	case err != nil || n == nil:
		_ = unix.Close(fd)
	default:
		o.files.release(o.files.put(spot{n, upper}, fd)) // what is made is written next
	}
	return status(err)
}

// Mkdir makes a directory.
func (o *overlay) Mkdir(in *fuse.InHeader, mode uint32, name string, out *fuse.EntryOut) fuse.Status {
	return status(o.create(in, name, mode&0o7777|unix.S_IFDIR, out, func(dir int, name string) error {
		return unix.Mkdirat(dir, name, mode&0o7777)
	}))
}

// Symlink makes a symbolic link.
func (o *overlay) Symlink(in *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	return status(o.create(in, name, unix.S_IFLNK, out, func(dir int, name string) error {
		return unix.Symlinkat(target, dir, name)
	}))
}

func (o *overlay) create(in *fuse.InHeader, name string, mode uint32, out *fuse.EntryOut, make func(int, string) error) error {
	dir := o.tree.get(in.NodeID)
	if dir == nil {
		return unix.ESTALE
	}
	if err := o.copyUp(dir, wholeFile); err != nil {
		return err
	}
	o.tree.disk.RLock()
	defer o.tree.disk.RUnlock()
	h, err := o.dir(dir, upper)
	if err != nil {
		return err
	}
	defer o.files.release(h)
	b := birth{in.UID, in.GID, mode, make}
	if err := make(h.fd, name); err == unix.EEXIST {
		err = o.createOver(dir, h.fd, name, &b)
		if err != nil {
			return err
		}
	} else if err == nil {
		err = b.own(h.fd, h.fd, name)
		if err != nil {
			_ = removeAll(h.fd, name)
			return err
		}
	} else {
		return err
	}
	return o.lookup(dir, name, out)
}

// createOver makes a file where there is a whiteout.
func (o *overlay) createOver(dir *node, fd int, name string, b *birth) error {
	if was, err := occupies(dir, fd, name); err != nil || was != aWhiteout {
		return unix.EEXIST
	}
	temp := o.temp()
	err := b.make(o.work, temp)
	if err == nil && b.mode != 0 {
		err = b.own(fd, o.work, temp)
	}
	if err == nil {
		err = o.cover(fd, name, temp, b.mode&unix.S_IFMT == unix.S_IFDIR)
	}
	if err != nil {
		_ = o.discard(temp)
	}
	return err
}

// cover puts a file of the work directory where there is a whiteout. A directory
// must not show what that hid.
func (o *overlay) cover(fd int, name, temp string, isDir bool) error {
	if !isDir {
		return unix.Renameat(o.work, temp, fd, name)
	}
	made, err := openDir(o.work, temp)
	if err != nil {
		return err
	}
	err = unix.Fsetxattr(made, opaqueXattr, []byte{opaqueY}, 0)
	_ = unix.Close(made)
	if err != nil {
		return err
	}
	if err := unix.Renameat2(o.work, temp, fd, name, unix.RENAME_EXCHANGE); err != nil {
		return err
	}
	return o.discard(temp)
}

// own gives a new file its owner. Files made by root are root's already; a
// set-group-id directory gives its own group, which mkdir(2) and open(2) did,
// where parent is it and not the work directory.
func (b *birth) own(parent, dir int, name string) error {
	gid := int(b.gid)
	var st unix.Stat_t
	inherits := false
	if b.uid != 0 || gid != 0 || parent != dir {
		if err := unix.Fstat(parent, &st); err != nil {
			return err
		}
		if inherits = st.Mode&unix.S_ISGID != 0; inherits {
			gid = int(st.Gid)
		}
	}
	if b.uid == 0 && gid == 0 && !inherits {
		return nil
	}
	if err := unix.Fchownat(dir, name, int(b.uid), gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	mode := b.mode & 0o7777
	isDir := b.mode&unix.S_IFMT == unix.S_IFDIR
	if inherits && isDir {
		mode |= unix.S_ISGID
	}
	if mode&0o7000 == 0 || b.mode&unix.S_IFMT == unix.S_IFLNK {
		return nil
	}
	return unix.Fchmodat(dir, name, mode, 0) // chown(2) cleared bits; what was just made is no link
}

// Link gives a file one more name.
func (o *overlay) Link(in *fuse.InHeader, old uint64, name string, out *fuse.EntryOut) fuse.Status {
	dir, n := o.tree.get(in.NodeID), o.tree.get(old)
	if dir == nil || n == nil {
		return unix.ESTALE
	}
	for _, needed := range []*node{dir, n} {
		if err := o.copyUp(needed, wholeFile); err != nil {
			return status(err)
		}
	}
	o.tree.disk.Lock()
	defer o.tree.disk.Unlock()
	h, err := o.dir(dir, upper)
	if err != nil {
		return status(err)
	}
	defer o.files.release(h)
	err = o.linkAt(n, h.fd, name)
	if err == unix.EEXIST {
		err = o.createOver(dir, h.fd, name, &birth{make: func(dir int, name string) error { return o.linkAt(n, dir, name) }})
	}
	if err != nil {
		return status(err)
	}
	var st unix.Stat_t
	if err := unix.Fstatat(h.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return status(err)
	}
	if n.held >= 0 {
		n.spares, n.held = append(n.spares, n.held), -1
	}
	o.tree.mu.Lock()
	o.tree.links[n.real] = n
	o.tree.attach(n, dir, name)
	n.lookups++
	o.tree.mu.Unlock()
	entry(out, n, &st)
	return fuse.OK
}

func (o *overlay) linkAt(n *node, dir int, name string) error {
	if n.held < 0 {
		return o.at(n, func(from int, old string) error { return unix.Linkat(from, old, dir, name, 0) })
	}
	err := unix.Linkat(n.held, "", dir, name, unix.AT_EMPTY_PATH)
	if err == unix.ENOENT { // not granted before Linux 6.10
		err = unix.Linkat(unix.AT_FDCWD, fmt.Sprint("/proc/self/fd/", n.held), dir, name, unix.AT_SYMLINK_FOLLOW)
	}
	return err
}

// Tmpfile makes a file without a name.
func (o *overlay) Tmpfile(in *fuse.InHeader, mode uint32, out *fuse.EntryOut) fuse.Status {
	dir := o.tree.get(in.NodeID)
	if dir == nil {
		return unix.ESTALE
	}
	if err := o.copyUp(dir, wholeFile); err != nil {
		return status(err)
	}
	o.tree.disk.RLock()
	defer o.tree.disk.RUnlock()
	h, err := o.dir(dir, upper)
	if err != nil {
		return status(err)
	}
	defer o.files.release(h)
	fd, err := unix.Openat(h.fd, ".", unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, mode&0o7777)
	if err != nil {
		return status(err)
	}
	var st unix.Stat_t
	err = unix.Fchown(fd, int(in.UID), int(in.GID))
	if err == nil {
		err = unix.Fchmod(fd, mode&0o7777)
	}
	if err == nil {
		err = unix.Fstat(fd, &st)
	}
	if err != nil {
		_ = unix.Close(fd)
		return status(err)
	}
	entry(out, o.tree.add(&st, fd), &st)
	return fuse.OK
}
