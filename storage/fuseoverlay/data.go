package fuseoverlay

import (
	"golang.org/x/sys/unix"

	"containers/rl/storage/fuse"
)

// Files are not opened for the server: package fuse answers ENOSYS to OPEN, after
// which the kernel names files by their nodes. What is opened for writing is
// therefore copied up when it is written.

// Slow says whether a change copies data first. Of a file without a name it
// rarely does: see isLastFlush.
func (o *overlay) Slow(id uint64) bool {
	n := o.tree.get(id)
	if n == nil {
		return false
	}
	o.tree.disk.RLock()
	defer o.tree.disk.RUnlock()
	return n.isRegular() && !n.isUpper() && n.held < 0
}

// use calls do with the descriptor of a regular file, without tree.disk, so that
// slow reads and writes hold up nobody.
func (o *overlay) use(id uint64, write bool, do func(fd int) error) error {
	n := o.tree.get(id)
	if n == nil {
		return unix.ESTALE
	}
	if write {
		if err := o.copyUp(n, wholeFile); err != nil {
			return err
		}
	}
	o.tree.disk.RLock()
	h, err := o.file(n)
	o.tree.disk.RUnlock()
	if err != nil {
		return err
	}
	defer o.files.release(h)
	return do(h.fd)
}

// Read is pread(2), at first of what is in memory alone, so that no disk is
// waited for where others wait too.
func (o *overlay) Read(in *fuse.InHeader, offset int64, data []byte, wait bool) (done int, _ fuse.Status) {
	err := o.use(in.NodeID, false, func(fd int) error {
		for done < len(data) {
			n, err := pread(fd, data[done:], offset+int64(done), wait)
			if err == unix.EINTR {
				continue
			}
			if err != nil || n == 0 {
				return err
			}
			done += n
		}
		return nil
	})
	return done, status(err)
}

func pread(fd int, data []byte, offset int64, wait bool) (int, error) {
	if wait {
		return unix.Pread(fd, data, offset)
	}
	n, err := unix.Preadv2(fd, [][]byte{data}, offset, unix.RWF_NOWAIT)
	if err == unix.EOPNOTSUPP || err == unix.ENOSYS { // the file system below has no such thing
		return unix.Pread(fd, data, offset)
	}
	return n, err
}

// Write is pwrite(2).
func (o *overlay) Write(in *fuse.InHeader, offset int64, data []byte) (done int, _ fuse.Status) {
	err := o.use(in.NodeID, true, func(fd int) error {
		for done < len(data) {
			n, err := unix.Pwrite(fd, data[done:], offset+int64(done))
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				return err
			}
			done += n
		}
		return nil
	})
	if done > 0 {
		err = nil
	}
	return done, status(err)
}

// Fallocate is fallocate(2).
func (o *overlay) Fallocate(in *fuse.InHeader, f *fuse.FallocateIn) fuse.Status {
	return status(o.use(in.NodeID, true, func(fd int) error {
		return unix.Fallocate(fd, f.Mode, int64(f.Offset), int64(f.Length))
	}))
}

// Lseek finds data and holes. The descriptor's own offset means nothing.
func (o *overlay) Lseek(in *fuse.InHeader, offset int64, whence int) (at int64, _ fuse.Status) {
	err := o.use(in.NodeID, false, func(fd int) (err error) {
		at, err = unix.Seek(fd, offset, whence)
		return err
	})
	return at, status(err)
}

// CopyFileRange is copy_file_range(2), by which file systems share blocks.
func (o *overlay) CopyFileRange(in *fuse.InHeader, c *fuse.CopyFileRangeIn) (n int, _ fuse.Status) {
	err := o.use(c.NodeIDOut, true, func(to int) error {
		return o.use(in.NodeID, false, func(from int) (err error) {
			src, dst := int64(c.OffIn), int64(c.OffOut)
			n, err = unix.CopyFileRange(from, &src, to, &dst, int(min(c.Len, 1<<30)), int(c.Flag))
			return err
		})
	})
	return max(n, 0), status(err)
}

// Fsync is fsync(2). What was not copied up is not written.
func (o *overlay) Fsync(in *fuse.InHeader, dataOnly bool) fuse.Status {
	n := o.tree.get(in.NodeID)
	if n == nil {
		return unix.ESTALE
	}
	o.tree.disk.RLock()
	written := n.isUpper()
	o.tree.disk.RUnlock()
	if o.volatile || !written {
		return fuse.OK
	}
	return status(o.use(in.NodeID, false, func(fd int) error {
		if dataOnly {
			return unix.Fdatasync(fd)
		}
		return unix.Fsync(fd)
	}))
}
