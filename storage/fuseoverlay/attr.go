package fuseoverlay

import (
	"golang.org/x/sys/unix"

	"containers/rl/storage/fuse"
)

// forever is how long the kernel may keep what it was told, in seconds: nobody
// else changes it.
const forever = 1 << 40

func fill(a *fuse.Attr, n *node, st *unix.Stat_t) {
	*a = fuse.Attr{
		Ino: n.ino, Size: uint64(st.Size), Blocks: uint64(st.Blocks), Mode: st.Mode, Nlink: uint32(st.Nlink),
		Atime: uint64(st.Atim.Sec), Mtime: uint64(st.Mtim.Sec), Ctime: uint64(st.Ctim.Sec),
		AtimeNsec: uint32(st.Atim.Nsec), MtimeNsec: uint32(st.Mtim.Nsec), CtimeNsec: uint32(st.Ctim.Nsec),
		UID: st.Uid, GID: st.Gid, Rdev: uint32(st.Rdev), Blksize: uint32(st.Blksize),
	}
	if len(n.parts) > 1 {
		a.Nlink = 1 // as the kernel's overlay: how many directories there are was not counted
	}
}

func entry(out *fuse.EntryOut, n *node, st *unix.Stat_t) {
	out.NodeID, out.Generation = n.id, 0
	out.EntryValid, out.AttrValid = forever, forever
	fill(&out.Attr, n, st)
}

// Lookup finds a name. That it is not there is kept by the kernel, too.
func (o *overlay) Lookup(in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	dir := o.tree.get(in.NodeID)
	if dir == nil {
		return unix.ESTALE
	}
	o.tree.disk.RLock()
	defer o.tree.disk.RUnlock()
	err := o.lookup(dir, name, out)
	if err == unix.ENOENT {
		out.NodeID, out.EntryValid = 0, forever
		return fuse.OK
	}
	return status(err)
}

func (o *overlay) lookup(dir *node, name string, out *fuse.EntryOut) error {
	var st unix.Stat_t
	if n := o.tree.child(dir, name); n != nil {
		if err := o.stat(n, &st); err != nil {
			return err
		}
		// It may have been forgotten meanwhile: then it is met anew, with what was found.
		n = o.tree.meet(dir, name, n.parts, &st, n.ino, true)
		entry(out, n, &st)
		return nil
	}
	parts, err := o.look(dir, name, &st)
	if err != nil {
		return err
	}
	if len(parts) == 0 {
		return unix.ENOENT
	}
	n := o.tree.meet(dir, name, parts, &st, o.shown(parts[0].layer, st.Dev, st.Ino), true)
	entry(out, n, &st)
	return nil
}

// GetAttr is stat(2).
func (o *overlay) GetAttr(in *fuse.InHeader, out *fuse.AttrOut) fuse.Status {
	n := o.tree.get(in.NodeID)
	if n == nil {
		return unix.ESTALE
	}
	o.tree.disk.RLock()
	defer o.tree.disk.RUnlock()
	return status(o.attr(n, out))
}

func (o *overlay) attr(n *node, out *fuse.AttrOut) error {
	var st unix.Stat_t
	if err := o.stat(n, &st); err != nil {
		return err
	}
	fill(&out.Attr, n, &st)
	out.AttrValid = forever
	return nil
}

// SetAttr is chmod(2), chown(2), truncate(2) and utimensat(2).
func (o *overlay) SetAttr(in *fuse.InHeader, set *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	n := o.tree.get(in.NodeID)
	if n == nil {
		return unix.ESTALE
	}
	if o.isLastFlush(n, set) {
		o.tree.disk.RLock()
		defer o.tree.disk.RUnlock()
		return status(o.attr(n, out))
	}
	size := wholeFile
	if set.Valid&fuse.SetSize != 0 {
		size = int64(set.Size) // the rest need not be copied
	}
	if err := o.copyUp(n, size); err != nil {
		return status(err)
	}
	o.tree.disk.RLock()
	defer o.tree.disk.RUnlock()
	for _, apply := range []func(*node, *fuse.SetAttrIn) error{o.setOwner, o.setMode, o.setSize, o.setTimes} {
		if err := apply(n, set); err != nil {
			return status(err)
		}
	}
	return status(o.attr(n, out))
}

// isLastFlush says whether the kernel, which keeps the times of files that it
// caches the data of, writes back that unlink(2) changed them, of a file without
// a name: nobody will read them, and a layer's file would have to be copied.
func (o *overlay) isLastFlush(n *node, set *fuse.SetAttrIn) bool {
	if set.Valid&^(fuse.SetMtime|fuse.SetCtime) != 0 {
		return false
	}
	o.tree.disk.RLock()
	defer o.tree.disk.RUnlock()
	return n.held >= 0 && n.isRegular()
}

func (o *overlay) setOwner(n *node, in *fuse.SetAttrIn) error {
	uid, gid := -1, -1
	if in.Valid&fuse.SetUID != 0 {
		uid = int(in.UID)
	}
	if in.Valid&fuse.SetGID != 0 {
		gid = int(in.GID)
	}
	if uid < 0 && gid < 0 {
		return nil
	}
	return o.at(n, func(dir int, name string) error { return unix.Fchownat(dir, name, uid, gid, noFollow) })
}

func (o *overlay) setMode(n *node, in *fuse.SetAttrIn) error {
	if in.Valid&fuse.SetMode == 0 {
		return nil
	}
	mode := in.Mode & 0o7777
	if n.isRegular() || n.isDir() {
		return o.withFile(n, func(fd int) error { return unix.Fchmod(fd, mode) })
	}
	return o.at(n, func(dir int, name string) error {
		err := unix.Fchmodat(dir, name, mode, noFollow)
		if (err == unix.EOPNOTSUPP || err == unix.ENOSYS) && name != "" { // fchmodat2(2) is of Linux 6.6; it is no link, as chmod(2) reaches none
			err = unix.Fchmodat(dir, name, mode, 0)
		}
		return err
	})
}

func (o *overlay) setSize(n *node, in *fuse.SetAttrIn) error {
	if in.Valid&fuse.SetSize == 0 {
		return nil
	}
	return o.withFile(n, func(fd int) error { return unix.Ftruncate(fd, int64(in.Size)) })
}

func (o *overlay) setTimes(n *node, in *fuse.SetAttrIn) error {
	if in.Valid&(fuse.SetAtime|fuse.SetMtime) == 0 {
		return nil
	}
	times := []unix.Timespec{
		timespec(in.Valid, fuse.SetAtime, fuse.SetAtimeNow, in.Atime, in.AtimeNsec),
		timespec(in.Valid, fuse.SetMtime, fuse.SetMtimeNow, in.Mtime, in.MtimeNsec),
	}
	return o.at(n, func(dir int, name string) error { return unix.UtimesNanoAt(dir, name, times, noFollow) })
}

func timespec(valid uint32, set, now uint32, sec uint64, nsec uint32) unix.Timespec {
	switch {
	case valid&set == 0:
		return unix.Timespec{Nsec: unix.UTIME_OMIT}
	case valid&now != 0:
		return unix.Timespec{Nsec: unix.UTIME_NOW}
	}
	return unix.Timespec{Sec: int64(sec), Nsec: int64(nsec)}
}

// withFile calls do with the descriptor of a regular file or directory. The
// caller holds tree.disk.
func (o *overlay) withFile(n *node, do func(fd int) error) error {
	h, err := o.file(n)
	if err != nil {
		return err
	}
	defer o.files.release(h)
	return do(h.fd)
}

// Readlink needs no lock for the answer: a link never changes.
func (o *overlay) Readlink(in *fuse.InHeader, target []byte) (length int, _ fuse.Status) {
	n := o.tree.get(in.NodeID)
	if n == nil {
		return 0, unix.ESTALE
	}
	o.tree.disk.RLock()
	defer o.tree.disk.RUnlock()
	err := o.at(n, func(dir int, name string) (err error) {
		length, err = unix.Readlinkat(dir, name, target)
		return err
	})
	return max(length, 0), status(err)
}
