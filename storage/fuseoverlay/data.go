package fuseoverlay

import (
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Open is asked for once: after ENOSYS the kernel opens and closes files by
// itself, and names them by their nodes. What is opened for writing is therefore
// copied up when it is written.
func (o *overlay) Open(<-chan struct{}, *fuse.OpenIn, *fuse.OpenOut) fuse.Status { return fuse.ENOSYS }

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

// Read is pread(2).
func (o *overlay) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	buf = buf[:min(len(buf), int(in.Size))]
	done := 0
	err := o.use(in.NodeId, false, func(fd int) error {
		for done < len(buf) {
			n, err := unix.Pread(fd, buf[done:], int64(in.Offset)+int64(done))
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
	return fuse.ReadResultData(buf[:done]), status(err)
}

// Write is pwrite(2).
func (o *overlay) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (written uint32, code fuse.Status) {
	done := 0
	err := o.use(in.NodeId, true, func(fd int) error {
		for done < len(data) {
			n, err := unix.Pwrite(fd, data[done:], int64(in.Offset)+int64(done))
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
	return uint32(done), status(err)
}

// Fallocate is fallocate(2).
func (o *overlay) Fallocate(_ <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	return status(o.use(in.NodeId, true, func(fd int) error {
		return unix.Fallocate(fd, in.Mode, int64(in.Offset), int64(in.Length))
	}))
}

// Lseek finds data and holes. The descriptor's own offset means nothing.
func (o *overlay) Lseek(_ <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	return status(o.use(in.NodeId, false, func(fd int) error {
		at, err := unix.Seek(fd, int64(in.Offset), int(in.Whence))
		out.Offset = uint64(at)
		return err
	}))
}

// CopyFileRange is copy_file_range(2), by which file systems share blocks.
func (o *overlay) CopyFileRange(_ <-chan struct{}, in *fuse.CopyFileRangeIn) (written uint32, code fuse.Status) {
	err := o.use(in.NodeIdOut, true, func(to int) error {
		return o.use(in.NodeId, false, func(from int) error {
			src, dst := int64(in.OffIn), int64(in.OffOut)
			n, err := unix.CopyFileRange(from, &src, to, &dst, int(min(in.Len, 1<<30)), int(in.Flags))
			written = uint32(max(n, 0))
			return err
		})
	})
	return written, status(err)
}

// Fsync is fsync(2) of a file. What was not copied up is not written.
func (o *overlay) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	const dataOnly = 1 // FUSE_FSYNC_FDATASYNC
	n := o.tree.get(in.NodeId)
	if n == nil {
		return fuse.Status(unix.ESTALE)
	}
	o.tree.disk.RLock()
	written := n.isUpper()
	o.tree.disk.RUnlock()
	if o.volatile || !written {
		return fuse.OK
	}
	return status(o.use(in.NodeId, false, func(fd int) error {
		if in.FsyncFlags&dataOnly != 0 {
			return unix.Fdatasync(fd)
		}
		return unix.Fsync(fd)
	}))
}

// FsyncDir is fsync(2) of a directory.
func (o *overlay) FsyncDir(cancel <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return o.Fsync(cancel, in)
}
