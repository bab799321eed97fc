package fuseoverlay

import (
	"golang.org/x/sys/unix"

	"containers/rl/storage/fuse"
)

// Unlink removes a name of a file.
func (o *overlay) Unlink(in *fuse.InHeader, name string) fuse.Status {
	return status(o.remove(in, name, false))
}

// Rmdir removes a directory in which nothing is seen.
func (o *overlay) Rmdir(in *fuse.InHeader, name string) fuse.Status {
	return status(o.remove(in, name, true))
}

func (o *overlay) remove(in *fuse.InHeader, name string, isDir bool) error {
	dir := o.tree.get(in.NodeID)
	if dir == nil {
		return unix.ESTALE
	}
	if err := o.copyUp(dir, wholeFile); err != nil {
		return err
	}
	o.tree.disk.Lock()
	defer o.tree.disk.Unlock()
	n, err := o.known(dir, name)
	if err != nil {
		return err
	}
	defer o.Forget(n.id, 0) // the kernel may not know it
	if isDir {
		if err := o.empty(n); err != nil {
			return err
		}
	}
	whiteout := !n.isUpper() // it is below itself
	if !whiteout {
		if whiteout, err = o.hides(dir, name); err != nil {
			return err
		}
	}
	h, err := o.dir(dir, upper)
	if err != nil {
		return err
	}
	defer o.files.release(h)
	fd, err := o.grasp(n, dir, name)
	if err != nil {
		return err
	}
	if err := o.vacate(dir, h.fd, name, n.occupant(), whiteout); err != nil {
		letGo(fd)
		return err
	}
	o.lose(n, dir, name, fd)
	return nil
}

// occupant is what the upper layer has of a node.
func (n *node) occupant() occupant {
	switch {
	case !n.isUpper():
		return nothing
	case n.isDir():
		return aDirectory
	}
	return aFile
}

// known is the node of a name that exists. The caller holds tree.disk.
func (o *overlay) known(dir *node, name string) (*node, error) {
	if n := o.tree.child(dir, name); n != nil {
		return n, nil
	}
	var st unix.Stat_t
	parts, err := o.look(dir, name, &st)
	if err != nil {
		return nil, err
	}
	if len(parts) == 0 {
		return nil, unix.ENOENT
	}
	return o.tree.meet(dir, name, parts, &st, o.shown(parts[0].layer, st.Dev, st.Ino), false), nil
}

func (o *overlay) empty(n *node) error {
	if !n.isDir() {
		return unix.ENOTDIR
	}
	entries, err := o.list(n)
	if err == nil && len(entries) > 0 {
		err = unix.ENOTEMPTY
	}
	return err
}

// grasp opens a file that is about to lose its only name: it may be in use, which
// the server is not told. The descriptor, or -1 where none is needed, is for lose,
// or if the file keeps its name for letGo. The caller holds tree.disk for writing.
func (o *overlay) grasp(n, dir *node, name string) (fd int, err error) {
	o.tree.mu.Lock()
	names, unknown := len(n.places), n.lookups == 0
	o.tree.mu.Unlock()
	if names > 1 || unknown || n.held >= 0 {
		return -1, nil
	}
	if fd = o.files.take(spot{n, n.top()}); fd >= 0 {
		return fd, nil
	}
	h, err := o.dir(dir, n.top())
	if err != nil {
		return -1, err
	}
	defer o.files.release(h)
	return openFile(h.fd, name, n)
}

func letGo(fd int) {
	if fd >= 0 {
		_ = unix.Close(fd)
	}
}

// lose takes a name from a node, which the disk has no more. From here on the
// node is where fd is.
func (o *overlay) lose(n, dir *node, name string, fd int) {
	if fd >= 0 {
		n.held = fd
	}
	gone := false
	if n.held >= 0 && n.isUpper() {
		var st unix.Stat_t
		gone = unix.Fstat(n.held, &st) == nil && (st.Nlink == 0 || n.isDir())
	}
	o.tree.mu.Lock()
	defer o.tree.mu.Unlock()
	o.tree.detach(n, dir, name)
	if gone {
		delete(o.tree.origins, n.real) // the number may be used again
	}
}

// side is one of the two names of a rename.
type side struct {
	dir  *node
	name string
	n    *node // nil if there is none
	h    *handle
	// hides: a layer below has the name.
	hides bool
}

// Rename is renameat2(2), but for RENAME_WHITEOUT.
func (o *overlay) Rename(in *fuse.InHeader, newDir uint64, oldName, newName string, flags uint32) fuse.Status {
	from, to := side{dir: o.tree.get(in.NodeID), name: oldName}, side{dir: o.tree.get(newDir), name: newName}
	if from.dir == nil || to.dir == nil {
		return unix.ESTALE
	}
	if flags&^(unix.RENAME_NOREPLACE|unix.RENAME_EXCHANGE) != 0 {
		return unix.EINVAL
	}
	exchange := flags&unix.RENAME_EXCHANGE != 0
	if err := o.copyUpForRename(&from, &to, exchange); err != nil {
		return status(err)
	}
	o.tree.disk.Lock()
	defer o.tree.disk.Unlock()
	for _, s := range []*side{&from, &to} {
		if err := o.prepare(s); err != nil {
			return status(err)
		}
		defer o.files.release(s.h)
	}
	switch {
	case from.n == nil || exchange && to.n == nil:
		return unix.ENOENT
	case exchange:
		return status(o.swap(&from, &to))
	case to.n != nil && flags&unix.RENAME_NOREPLACE != 0:
		return unix.EEXIST
	case to.n == from.n:
		return fuse.OK
	}
	return status(o.move(&from, &to))
}

// copyUpForRename refuses what would have to take a layer's content along.
func (o *overlay) copyUpForRename(from, to *side, exchange bool) error {
	moved := []*side{from}
	if exchange {
		moved = append(moved, to)
	}
	for _, s := range moved {
		o.tree.disk.RLock()
		n, err := o.known(s.dir, s.name)
		o.tree.disk.RUnlock()
		if err != nil {
			return err
		}
		if n.isDir() && (len(n.parts) > 1 || !n.isUpper()) {
			return unix.EXDEV
		}
		if err := o.copyUp(n, wholeFile); err != nil {
			return err
		}
	}
	if err := o.copyUp(from.dir, wholeFile); err != nil {
		return err
	}
	return o.copyUp(to.dir, wholeFile)
}

// prepare looks up a side, on the disk of this moment.
func (o *overlay) prepare(s *side) (err error) {
	s.n, err = o.known(s.dir, s.name)
	if err != nil && err != unix.ENOENT {
		return err
	}
	if s.hides, err = o.hides(s.dir, s.name); err != nil {
		return err
	}
	s.h, err = o.dir(s.dir, upper)
	return err
}

// settle makes a directory opaque that comes to where a layer has something.
func (o *overlay) settle(n *node, to *side) error {
	if !n.isDir() || !to.hides {
		return nil
	}
	return o.withFile(n, func(fd int) error { return unix.Fsetxattr(fd, opaqueXattr, []byte{opaqueY}, 0) })
}

func (o *overlay) swap(a, b *side) error {
	if err := o.settle(a.n, b); err != nil {
		return err
	}
	if err := o.settle(b.n, a); err != nil {
		return err
	}
	if err := unix.Renameat2(a.h.fd, a.name, b.h.fd, b.name, unix.RENAME_EXCHANGE); err != nil {
		return err
	}
	o.tree.mu.Lock()
	defer o.tree.mu.Unlock()
	o.tree.detach(a.n, a.dir, a.name)
	o.tree.detach(b.n, b.dir, b.name)
	o.tree.attach(a.n, b.dir, b.name)
	o.tree.attach(b.n, a.dir, a.name)
	return nil
}

// move is rename(2): what is at the new name goes, and a whiteout stays at the
// old one where a layer has it.
func (o *overlay) move(from, to *side) error {
	fd := -1 // of what goes
	if to.n != nil {
		err := o.replaceable(from.n, to)
		if err == nil {
			fd, err = o.grasp(to.n, to.dir, to.name)
		}
		if err != nil {
			return err
		}
	}
	err := o.settle(from.n, to)
	if err == nil {
		err = o.moveOnto(from, to)
	}
	if err != nil {
		letGo(fd)
		return err
	}
	if to.n != nil {
		o.lose(to.n, to.dir, to.name, fd)
	}
	o.tree.mu.Lock()
	defer o.tree.mu.Unlock()
	o.tree.detach(from.n, from.dir, from.name)
	o.tree.attach(from.n, to.dir, to.name)
	return nil
}

func (o *overlay) replaceable(n *node, to *side) error {
	switch {
	case n.isDir() && !to.n.isDir():
		return unix.ENOTDIR
	case !n.isDir() && to.n.isDir():
		return unix.EISDIR
	case to.n.isDir():
		return o.empty(to.n)
	}
	return nil
}

// moveOnto is move on the disk: in one step where the file system can, else in
// two, the first of which is undone if the second fails.
func (o *overlay) moveOnto(from, to *side) error {
	was, err := occupies(to.dir, to.h.fd, to.name)
	if err != nil {
		return err
	}
	// rename(2) takes neither a directory with whiteouts in it, nor a directory for a whiteout
	if was == nothing || was != aDirectory && !from.n.isDir() {
		if !from.hides {
			return unix.Renameat(from.h.fd, from.name, to.h.fd, to.name)
		}
		if !o.xattrs {
			err := unix.Renameat2(from.h.fd, from.name, to.h.fd, to.name, unix.RENAME_WHITEOUT)
			if err != unix.EINVAL && err != unix.EPERM && err != unix.EOPNOTSUPP {
				return err
			}
		}
	}
	flags := uint(unix.RENAME_EXCHANGE)
	if was == nothing {
		flags = 0
	}
	err = unix.Renameat2(from.h.fd, from.name, to.h.fd, to.name, flags)
	if err == unix.EINVAL && !from.n.isDir() { // file systems that exchange nothing, NFS for one
		was, flags = nothing, 0
		err = unix.Renameat(from.h.fd, from.name, to.h.fd, to.name)
	}
	if err != nil {
		return err
	}
	if err = o.vacate(from.dir, from.h.fd, from.name, was, from.hides); err != nil {
		_ = unix.Renameat2(to.h.fd, to.name, from.h.fd, from.name, flags)
	}
	return err
}
