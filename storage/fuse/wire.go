package fuse

import "golang.org/x/sys/unix"

// Status is the error number of an answer, 0 for none.
type Status = unix.Errno

// OK is no error.
const OK = Status(0)

const (
	protocolMajor = 7
	protocolMinor = 38 // FUSE_TMPFILE, with nothing after it that changes a message's length
	leastMinor    = 31
)

// opcode is enum fuse_opcode.
type opcode uint32

const (
	opLookup        opcode = 1
	opForget        opcode = 2
	opGetAttr       opcode = 3
	opSetAttr       opcode = 4
	opReadlink      opcode = 5
	opSymlink       opcode = 6
	opMknod         opcode = 8
	opMkdir         opcode = 9
	opUnlink        opcode = 10
	opRmdir         opcode = 11
	opRename        opcode = 12
	opLink          opcode = 13
	opRead          opcode = 15
	opWrite         opcode = 16
	opStatFs        opcode = 17
	opRelease       opcode = 18
	opFsync         opcode = 20
	opSetXattr      opcode = 21
	opGetXattr      opcode = 22
	opListXattr     opcode = 23
	opRemoveXattr   opcode = 24
	opInit          opcode = 26
	opOpenDir       opcode = 27
	opReadDir       opcode = 28
	opReleaseDir    opcode = 29
	opFsyncDir      opcode = 30
	opInterrupt     opcode = 36
	opDestroy       opcode = 38
	opBatchForget   opcode = 42
	opFallocate     opcode = 43
	opReadDirPlus   opcode = 44
	opRename2       opcode = 45
	opLseek         opcode = 46
	opCopyFileRange opcode = 47
	opTmpfile       opcode = 51
	opcodes                = 52
)

// Flags of INIT, those that are asked for. Not among them: POSIX and BSD locks,
// which the kernel then keeps by itself, and FUSE_ATOMIC_O_TRUNC, which needs OPEN.
const (
	initAsyncRead        = 1 << 0
	initBigWrites        = 1 << 5
	initDoReadDirPlus    = 1 << 13
	initReadDirPlusAuto  = 1 << 14
	initWritebackCache   = 1 << 16
	initParallelDirOps   = 1 << 18
	initMaxPages         = 1 << 22
	initCacheSymlinks    = 1 << 23
	initExplicitInval    = 1 << 25
	initWanted           = initAsyncRead | initBigWrites | initDoReadDirPlus | initReadDirPlusAuto | initWritebackCache | initParallelDirOps | initMaxPages | initCacheSymlinks | initExplicitInval
	inHeaderSize         = 40
	outHeaderSize        = 16
	entrySize            = 128
	direntSize           = 24 // without the name
	compatSetXattrInSize = 8
)

// In the messages that follow, fields without a name have one in linux/fuse.h,
// and no use here.

// InHeader is struct fuse_in_header.
type InHeader struct {
	length  uint32
	opcode  opcode
	unique  uint64
	NodeID  uint64
	UID     uint32
	GID     uint32
	PID     uint32
	extlen  uint16
	padding uint16
}

type outHeader struct {
	length uint32
	err    int32
	unique uint64
}

// Attr is struct fuse_attr: stat(2), times in seconds and nanoseconds.
type Attr struct {
	Ino, Size, Blocks                            uint64
	Atime, Mtime, Ctime                          uint64
	AtimeNsec, MtimeNsec, CtimeNsec              uint32
	Mode, Nlink, UID, GID, Rdev, Blksize, unused uint32
}

// EntryOut is struct fuse_entry_out: a node that a name stands for. The times
// are how long, in seconds, the kernel may rely on it; NodeID 0 is no node.
type EntryOut struct {
	NodeID, Generation           uint64
	EntryValid, AttrValid        uint64
	entryValidNsec, attrValidNsc uint32
	Attr
}

// AttrOut is struct fuse_attr_out.
type AttrOut struct {
	AttrValid uint64
	_         uint32
	_         uint32
	Attr
}

// What SetAttrIn sets: FATTR_MODE and so on.
const (
	SetMode     = 1 << 0
	SetUID      = 1 << 1
	SetGID      = 1 << 2
	SetSize     = 1 << 3
	SetAtime    = 1 << 4
	SetMtime    = 1 << 5
	SetAtimeNow = 1 << 7
	SetMtimeNow = 1 << 8
	SetCtime    = 1 << 10 // told by a kernel that keeps times itself; cannot be set
)

// SetAttrIn is struct fuse_setattr_in.
type SetAttrIn struct {
	Valid, _                        uint32
	_                               uint64
	Size                            uint64
	_                               uint64
	Atime, Mtime, Ctime             uint64
	AtimeNsec, MtimeNsec, CtimeNsec uint32
	Mode, _, UID, GID, _            uint32
}

// MknodIn is struct fuse_mknod_in; the umask is taken off the mode already.
type MknodIn struct{ Mode, Rdev, _, _ uint32 }

type mkdirIn struct{ mode, _ uint32 }

type renameIn struct {
	newDir   uint64
	flags, _ uint32 // of RENAME2 only
}

// createIn is of TMPFILE.
type createIn struct{ _, mode, _, _ uint32 }

type openOut struct {
	fh   uint64
	_, _ uint32
}

// ReadIn is struct fuse_read_in: of READ, READDIR and READDIRPLUS.
type ReadIn struct {
	FH, Offset uint64
	Size       uint32
	_          uint32
	_          uint64
	_, _       uint32
}

type writeIn struct {
	_, offset uint64
	size, _   uint32
	_         uint64
	_, _      uint32
}

type sizeOut struct{ size, _ uint32 } // of WRITE, GETXATTR and so on

// StatFsOut is struct fuse_statfs_out.
type StatFsOut struct {
	Blocks, Bfree, Bavail, Files, Ffree uint64
	Bsize, NameLen, Frsize, _           uint32
	_                                   [6]uint32
}

type fsyncIn struct {
	_        uint64
	flags, _ uint32
}

type setXattrIn struct{ size, flags uint32 }

// FallocateIn is struct fuse_fallocate_in.
type FallocateIn struct {
	_              uint64
	Offset, Length uint64
	Mode, _        uint32
}

type lseekIn struct {
	_, offset uint64
	whence, _ uint32
}

// CopyFileRangeIn is struct fuse_copy_file_range_in.
type CopyFileRangeIn struct {
	_                 uint64
	OffIn, NodeIDOut  uint64
	_                 uint64
	OffOut, Len, Flag uint64
}

type initIn struct {
	major, minor, maxReadahead, flags uint32
}

type initOut struct {
	major, minor, maxReadahead, flags  uint32
	maxBackground, congestionThreshold uint16
	maxWrite, timeGran                 uint32
	maxPages, _                        uint16
	_, _                               uint32
	_                                  uint16
	_                                  [11]uint16
}

type forgetOne struct{ nodeID, lookups uint64 }
