package fuse

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

type handler = func(s *server, r *request, h *InHeader, wait bool) Status

// fixed is how many bytes of a request come before its names and data.
var fixed = [opcodes]int{
	opForget: 8, opSetAttr: 88, opMknod: 16, opMkdir: 8, opRename: 8, opRename2: 16, opLink: 8, opRead: 40, opWrite: 40,
	opFsync: 16, opFsyncDir: 16, opSetXattr: 8, opGetXattr: 8, opListXattr: 8, opInit: 16, opReadDir: 40, opReadDirPlus: 40,
	opReleaseDir: 8, opBatchForget: 8, opFallocate: 32, opLseek: 24, opCopyFileRange: 56, opTmpfile: 16,
}

// handlers has one for each request that is not answered with ENOSYS. After that
// the kernel sends some never again: OPEN, CREATE, FLUSH and ACCESS.
var handlers = [opcodes]handler{
	opInit:        (*server).init,
	opDestroy:     func(*server, *request, *InHeader, bool) Status { return OK },
	opInterrupt:   noAnswer,
	opForget:      (*server).forget,
	opBatchForget: (*server).forgetBatch,
	opLookup:      (*server).lookup,
	opGetAttr:     func(s *server, r *request, h *InHeader, _ bool) Status { return s.fs.GetAttr(h, body[AttrOut](r)) },
	opSetAttr: func(s *server, r *request, h *InHeader, _ bool) Status {
		return s.fs.SetAttr(h, arg[SetAttrIn](r), body[AttrOut](r))
	},
	opReadlink: (*server).readlink,
	opSymlink:  (*server).symlink,
	opMknod:    (*server).mknod,
	opMkdir:    (*server).mkdir,
	opLink:     (*server).link,
	opTmpfile:  (*server).tmpfile,
	opUnlink: func(s *server, r *request, h *InHeader, _ bool) Status {
		name, _ := r.text(0)
		return s.fs.Unlink(h, name)
	},
	opRmdir: func(s *server, r *request, h *InHeader, _ bool) Status {
		name, _ := r.text(0)
		return s.fs.Rmdir(h, name)
	},
	opRename:        (*server).rename,
	opRename2:       (*server).rename,
	opRead:          (*server).readData,
	opWrite:         (*server).write,
	opRelease:       func(*server, *request, *InHeader, bool) Status { return OK }, // of a file of TMPFILE
	opFsync:         (*server).fsync,
	opFsyncDir:      (*server).fsync,
	opFallocate:     func(s *server, r *request, h *InHeader, _ bool) Status { return s.fs.Fallocate(h, arg[FallocateIn](r)) },
	opLseek:         (*server).lseek,
	opCopyFileRange: (*server).copyFileRange,
	opGetXattr:      (*server).getXattr,
	opListXattr:     (*server).listXattr,
	opSetXattr:      (*server).setXattr,
	opRemoveXattr: func(s *server, r *request, h *InHeader, _ bool) Status {
		name, _ := r.text(0)
		return s.fs.RemoveXattr(h, name)
	},
	opOpenDir:     (*server).openDir,
	opReadDir:     (*server).readDir,
	opReadDirPlus: (*server).readDir,
	opReleaseDir:  (*server).releaseDir,
	opStatFs:      func(s *server, r *request, h *InHeader, _ bool) Status { return s.fs.StatFs(h, body[StatFsOut](r)) },
}

func noAnswer(_ *server, r *request, _ *InHeader, _ bool) Status {
	r.mute = true
	return OK
}

func (s *server) init(r *request, _ *InHeader, _ bool) Status {
	in := *arg[initIn](r)
	if in.major != protocolMajor || in.minor < leastMinor {
		return unix.EPROTO
	}
	s.minor = min(in.minor, protocolMinor)
	*body[initOut](r) = initOut{
		major: protocolMajor, minor: s.minor, maxReadahead: in.maxReadahead, flags: in.flags & initWanted,
		maxBackground: 64, congestionThreshold: 48, maxWrite: MaxIO, timeGran: 1, maxPages: uint16(MaxIO / unix.Getpagesize()),
	}
	return OK
}

func (s *server) forget(r *request, h *InHeader, _ bool) Status {
	s.fs.Forget(h.NodeID, *arg[uint64](r))
	r.mute = true
	return OK
}

func (s *server) forgetBatch(r *request, _ *InHeader, _ bool) Status {
	const each = int(unsafe.Sizeof(forgetOne{}))
	r.mute = true
	tail := r.in[inHeaderSize+8:]
	for range *arg[uint32](r) {
		if len(tail) < each {
			break
		}
		one := (*forgetOne)(unsafe.Pointer(&tail[0]))
		s.fs.Forget(one.nodeID, one.lookups)
		tail = tail[each:]
	}
	return OK
}

func (s *server) lookup(r *request, h *InHeader, _ bool) Status {
	name, _ := r.text(0)
	return s.fs.Lookup(h, name, body[EntryOut](r))
}

func (s *server) readlink(r *request, h *InHeader, _ bool) (status Status) {
	r.size, status = s.fs.Readlink(h, r.room(unix.PathMax))
	return status
}

func (s *server) symlink(r *request, h *InHeader, _ bool) Status {
	name, rest := r.text(0)
	target, _ := r.text(len(r.in) - inHeaderSize - len(rest))
	return s.fs.Symlink(h, target, name, body[EntryOut](r))
}

func (s *server) mknod(r *request, h *InHeader, _ bool) Status {
	name, _ := r.text(16)
	return s.fs.Mknod(h, arg[MknodIn](r), name, body[EntryOut](r))
}

func (s *server) mkdir(r *request, h *InHeader, _ bool) Status {
	name, _ := r.text(8)
	return s.fs.Mkdir(h, arg[mkdirIn](r).mode, name, body[EntryOut](r))
}

func (s *server) link(r *request, h *InHeader, _ bool) Status {
	name, _ := r.text(8)
	return s.fs.Link(h, *arg[uint64](r), name, body[EntryOut](r))
}

func (s *server) tmpfile(r *request, h *InHeader, _ bool) Status {
	out := body[struct {
		EntryOut
		openOut
	}](r)
	return s.fs.Tmpfile(h, arg[createIn](r).mode, &out.EntryOut)
}

func (s *server) rename(r *request, h *InHeader, _ bool) Status {
	var in renameIn
	in.newDir = *arg[uint64](r)
	if h.opcode == opRename2 {
		in = *arg[renameIn](r)
	}
	oldName, rest := r.text(fixed[h.opcode])
	newName, _ := r.text(len(r.in) - inHeaderSize - len(rest))
	return s.fs.Rename(h, in.newDir, oldName, newName, in.flags)
}

func (s *server) readData(r *request, h *InHeader, wait bool) (status Status) {
	in := arg[ReadIn](r)
	r.size, status = s.fs.Read(h, int64(in.Offset), r.room(int(min(in.Size, MaxIO))), wait)
	r.again = status == unix.EAGAIN && !wait
	return status
}

func (s *server) write(r *request, h *InHeader, _ bool) Status {
	in, data := arg[writeIn](r), r.in[inHeaderSize+40:]
	n, status := s.fs.Write(h, int64(in.offset), data[:min(len(data), int(in.size))])
	body[sizeOut](r).size = uint32(n)
	return status
}

func (s *server) fsync(r *request, h *InHeader, _ bool) Status {
	const dataOnly = 1 // FUSE_FSYNC_FDATASYNC
	return s.fs.Fsync(h, arg[fsyncIn](r).flags&dataOnly != 0)
}

func (s *server) lseek(r *request, h *InHeader, _ bool) Status {
	in := arg[lseekIn](r)
	at, status := s.fs.Lseek(h, int64(in.offset), int(in.whence))
	*body[uint64](r) = uint64(at)
	return status
}

func (s *server) copyFileRange(r *request, h *InHeader, _ bool) Status {
	n, status := s.fs.CopyFileRange(h, arg[CopyFileRangeIn](r))
	body[sizeOut](r).size = uint32(n)
	return status
}

// getXattr is asked for the value, or with a size of 0 for its length.
func (s *server) getXattr(r *request, h *InHeader, _ bool) (status Status) {
	size := int(*arg[uint32](r))
	name, _ := r.text(8)
	if size == 0 {
		n, status := s.fs.GetXattr(h, name, nil)
		body[sizeOut](r).size = uint32(n)
		return status
	}
	r.size, status = s.fs.GetXattr(h, name, r.room(min(size, MaxIO)))
	return status
}

func (s *server) listXattr(r *request, h *InHeader, _ bool) Status {
	size := int(*arg[uint32](r))
	list, status := s.fs.ListXattr(h)
	switch {
	case size == 0:
		body[sizeOut](r).size = uint32(len(list))
	case status == OK && len(list) > size:
		return unix.ERANGE
	default:
		r.size = copy(r.room(len(list)), list)
	}
	return status
}

func (s *server) setXattr(r *request, h *InHeader, _ bool) Status {
	in := arg[setXattrIn](r)
	name, value := r.text(compatSetXattrInSize)
	return s.fs.SetXattr(h, name, value[:min(len(value), int(in.size))], int(in.flags))
}

func (s *server) openDir(r *request, h *InHeader, _ bool) (status Status) {
	out := body[openOut](r)
	out.fh, status = s.fs.OpenDir(h)
	return status
}

func (s *server) readDir(r *request, h *InHeader, _ bool) Status {
	in := arg[ReadIn](r)
	out := Dirents{buf: r.room(int(min(in.Size, MaxIO))), plus: h.opcode == opReadDirPlus}
	status := s.fs.ReadDir(h, in, &out)
	r.size = out.size
	return status
}

func (s *server) releaseDir(r *request, _ *InHeader, _ bool) Status {
	s.fs.ReleaseDir(*arg[uint64](r))
	return OK
}
