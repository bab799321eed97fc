package fuse

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxIO is the most bytes that one READ or WRITE carries. It has to be the mount
// option max_read, too.
const MaxIO = 256 << 10

// FileSystem answers requests. What is slow, by Slow or by a Read that was not
// to wait, is called concurrently. Data passed in is valid during the call.
type FileSystem interface {
	Lookup(in *InHeader, name string, out *EntryOut) Status
	Forget(node, lookups uint64)
	GetAttr(in *InHeader, out *AttrOut) Status
	SetAttr(in *InHeader, set *SetAttrIn, out *AttrOut) Status
	Readlink(in *InHeader, target []byte) (int, Status)
	Symlink(in *InHeader, target, name string, out *EntryOut) Status
	Mknod(in *InHeader, mk *MknodIn, name string, out *EntryOut) Status
	Mkdir(in *InHeader, mode uint32, name string, out *EntryOut) Status
	Link(in *InHeader, old uint64, name string, out *EntryOut) Status
	Tmpfile(in *InHeader, mode uint32, out *EntryOut) Status
	Unlink(in *InHeader, name string) Status
	Rmdir(in *InHeader, name string) Status
	Rename(in *InHeader, newDir uint64, oldName, newName string, flags uint32) Status
	// Read may answer EAGAIN if it is not to wait for a disk.
	Read(in *InHeader, offset int64, data []byte, wait bool) (int, Status)
	Write(in *InHeader, offset int64, data []byte) (int, Status)
	Fsync(in *InHeader, dataOnly bool) Status
	Fallocate(in *InHeader, f *FallocateIn) Status
	Lseek(in *InHeader, offset int64, whence int) (int64, Status)
	CopyFileRange(in *InHeader, c *CopyFileRangeIn) (int, Status)
	GetXattr(in *InHeader, name string, value []byte) (int, Status)
	ListXattr(in *InHeader) ([]byte, Status)
	SetXattr(in *InHeader, name string, value []byte, flags int) Status
	RemoveXattr(in *InHeader, name string) Status
	OpenDir(in *InHeader) (fh uint64, _ Status)
	ReadDir(in *InHeader, read *ReadIn, out *Dirents) Status
	ReleaseDir(fh uint64)
	StatFs(in *InHeader, out *StatFsOut) Status
	// Slow says whether a change of the node may take long.
	Slow(node uint64) bool
}

// server is one connection.
type server struct {
	fd    int
	fs    FileSystem
	minor uint32
	free  sync.Pool // of *request
	slow  sync.WaitGroup
}

// request is one message and its answer. The buffers are of words, as the
// messages' fields lie on multiples of eight.
type request struct {
	words []uint64
	in    []byte // what was read, within words
	out   []byte // the answer, header and all
	size  int    // of the answer without its header
	mute  bool   // there is no answer
	again bool   // Read has to wait
}

// Mounted says whether dev, a descriptor of /dev/fuse, is mounted. Before and
// after that poll(2) gives POLLERR.
func Mounted(dev int) bool {
	poll := []unix.PollFd{{Fd: int32(dev)}}
	_, err := unix.Poll(poll, 0)
	return err == nil && poll[0].Revents&unix.POLLERR == 0
}

// Serve answers the requests of dev, a descriptor of /dev/fuse that is mounted,
// until it is unmounted.
func Serve(dev int, fs FileSystem) error {
	s := &server{fd: dev, fs: fs}
	s.free.New = func() any {
		words := make([]uint64, (MaxIO+8192)/8)
		return &request{words: words, out: make([]byte, 64<<10)}
	}
	defer s.slow.Wait()
	if err := unix.SetNonblock(dev, false); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	r := s.free.Get().(*request)
	for {
		switch err := s.read(r); err {
		case nil:
		case unix.EINTR, unix.ENOENT: // the last is a request that was interrupted
			continue
		case unix.ENODEV, unix.ECONNABORTED: // unmounted, or ended by force
			return nil
		default:
			return os.NewSyscallError("reading /dev/fuse", err)
		}
		if r.slow(s.fs) || !s.handle(r, false) {
			s.slow.Add(1)
			go s.handleSlow(r)
			r = s.free.Get().(*request)
			continue
		}
		if s.minor == 0 {
			return errors.New("the kernel's FUSE is before 7.31")
		}
	}
}

func (s *server) read(r *request) error {
	buf := unsafe.Slice((*byte)(unsafe.Pointer(&r.words[0])), len(r.words)*8)
	n, err := unix.Read(s.fd, buf)
	if err != nil {
		return err
	}
	if r.in = buf[:n]; n < inHeaderSize {
		return fmt.Errorf("a message of %d bytes", n)
	}
	return nil
}

func (r *request) header() *InHeader { return (*InHeader)(unsafe.Pointer(&r.in[0])) }

// slow are requests that wait for a disk by their nature, or copy.
func (r *request) slow(fs FileSystem) bool {
	switch h := r.header(); h.opcode {
	case opFsync, opFsyncDir, opFallocate, opCopyFileRange, opRename, opRename2, opLink:
		return true
	case opWrite, opSetAttr, opSetXattr, opRemoveXattr:
		return fs.Slow(h.NodeID)
	}
	return false
}

func (s *server) handleSlow(r *request) {
	defer s.slow.Done()
	s.handle(r, true)
	s.free.Put(r)
}

// handle answers a request; false when that would take a wait that is not to be.
func (s *server) handle(r *request, wait bool) bool {
	r.size, r.mute, r.again = 0, false, false
	h := r.header()
	status := s.call(r, h, wait)
	if r.again {
		return false
	}
	if r.mute {
		return true
	}
	if status != OK {
		r.size = 0
	}
	out := (*outHeader)(unsafe.Pointer(&r.out[0]))
	*out = outHeader{uint32(outHeaderSize + r.size), -int32(status), h.unique}
	for {
		_, err := unix.Write(s.fd, r.out[:outHeaderSize+r.size])
		if err != unix.EINTR { // ENOENT: whoever asked is gone
			return true
		}
	}
}

// call keeps a bug with one request from the others.
func (s *server) call(r *request, h *InHeader, wait bool) (status Status) {
	defer func() {
		if recover() != nil {
			status = unix.EIO
		}
	}()
	if h.opcode >= opcodes || handlers[h.opcode] == nil {
		return unix.ENOSYS
	}
	if need := fixed[h.opcode]; len(r.in) < inHeaderSize+need {
		return unix.EIO
	}
	return handlers[h.opcode](s, r, h, wait)
}

// body is the answer's room for a fixed structure, cleared.
func body[T any](r *request) *T {
	out := (*T)(unsafe.Pointer(&r.out[outHeaderSize]))
	r.size = int(unsafe.Sizeof(*out))
	clear(r.out[outHeaderSize : outHeaderSize+r.size]) // bytes, as an assignment need not reach fields without a name
	return out
}

// room is the answer's room for size bytes.
func (r *request) room(size int) []byte {
	if len(r.out) < outHeaderSize+size {
		r.out = make([]byte, outHeaderSize+size)
	}
	return r.out[outHeaderSize : outHeaderSize+size]
}

// arg is the fixed structure of a request.
func arg[T any](r *request) *T { return (*T)(unsafe.Pointer(&r.in[inHeaderSize])) }

// text is a string after skip bytes of the message's body; rest follows its zero byte.
func (r *request) text(skip int) (s string, rest []byte) {
	tail := r.in[inHeaderSize+skip:]
	for i, c := range tail {
		if c == 0 {
			return string(tail[:i]), tail[i+1:]
		}
	}
	return string(tail), nil
}
