package fuse

import (
	"bytes"
	"encoding/binary"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestSizes compares the messages with linux/fuse.h.
func TestSizes(t *testing.T) {
	for name, sizes := range map[string][2]uintptr{
		"fuse_in_header":          {unsafe.Sizeof(InHeader{}), inHeaderSize},
		"fuse_out_header":         {unsafe.Sizeof(outHeader{}), outHeaderSize},
		"fuse_attr":               {unsafe.Sizeof(Attr{}), 88},
		"fuse_entry_out":          {unsafe.Sizeof(EntryOut{}), entrySize},
		"fuse_attr_out":           {unsafe.Sizeof(AttrOut{}), 104},
		"fuse_setattr_in":         {unsafe.Sizeof(SetAttrIn{}), 88},
		"fuse_mknod_in":           {unsafe.Sizeof(MknodIn{}), 16},
		"fuse_mkdir_in":           {unsafe.Sizeof(mkdirIn{}), 8},
		"fuse_rename2_in":         {unsafe.Sizeof(renameIn{}), 16},
		"fuse_create_in":          {unsafe.Sizeof(createIn{}), 16},
		"fuse_open_out":           {unsafe.Sizeof(openOut{}), 16},
		"fuse_read_in":            {unsafe.Sizeof(ReadIn{}), 40},
		"fuse_write_in":           {unsafe.Sizeof(writeIn{}), 40},
		"fuse_write_out":          {unsafe.Sizeof(sizeOut{}), 8},
		"fuse_statfs_out":         {unsafe.Sizeof(StatFsOut{}), 80},
		"fuse_fsync_in":           {unsafe.Sizeof(fsyncIn{}), 16},
		"fuse_setxattr_in":        {unsafe.Sizeof(setXattrIn{}), compatSetXattrInSize},
		"fuse_fallocate_in":       {unsafe.Sizeof(FallocateIn{}), 32},
		"fuse_lseek_in":           {unsafe.Sizeof(lseekIn{}), 24},
		"fuse_copy_file_range_in": {unsafe.Sizeof(CopyFileRangeIn{}), 56},
		"fuse_init_out":           {unsafe.Sizeof(initOut{}), 64},
		"fuse_forget_one":         {unsafe.Sizeof(forgetOne{}), 16},
	} {
		if sizes[0] != sizes[1] {
			t.Errorf("struct %s has %d bytes, want %d", name, sizes[0], sizes[1])
		}
	}
}

// TestDirents: an entry is of 24 bytes and a name, filled up with zeros, and
// none is cut off.
func TestDirents(t *testing.T) {
	d := Dirents{buf: bytes.Repeat([]byte{0xff}, 80)}
	for i, want := range []bool{true, true, false} {
		if _, ok := d.Add("name5", 7, uint64(i+1), unix.DT_DIR); ok != want {
			t.Errorf("entry %d fits: %v", i, ok)
		}
	}
	if d.size != 64 || string(d.buf[24:32]) != "name5\x00\x00\x00" || binary.NativeEndian.Uint64(d.buf) != 7 ||
		binary.NativeEndian.Uint32(d.buf[16:]) != 5 || d.buf[20] != unix.DT_DIR || binary.NativeEndian.Uint64(d.buf[40:]) != 2 {
		t.Errorf("%d bytes: %q", d.size, d.buf[:d.size])
	}
	plus := Dirents{buf: make([]byte, 200), plus: true}
	entry, ok := plus.Add("n", 7, 1, unix.DT_REG)
	if !ok || plus.size != entrySize+direntSize+8 || plus.buf[entrySize+direntSize] != 'n' {
		t.Errorf("with a node: %v, %d bytes", ok, plus.size)
	}
	if entry.NodeID = 9; plus.buf[0]+plus.buf[7] != 9 {
		t.Error("the node is not in the answer")
	}
}

// TestShort: a message that is cut off is an error, and read no further.
func TestShort(t *testing.T) {
	var pipe [2]int
	if err := unix.Pipe(pipe[:]); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	s := &server{fd: pipe[1]}
	for code := range opcode(opcodes) {
		if fixed[code] == 0 {
			continue
		}
		words := make([]uint64, 32)
		r := &request{words: words, in: unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), inHeaderSize+fixed[code]-1), out: make([]byte, 4096)}
		r.header().opcode, r.header().unique = code, 5
		s.handle(r, true)
		var answer [64]byte
		n, err := unix.Read(pipe[0], answer[:])
		got := (*outHeader)(unsafe.Pointer(&answer[0]))
		if err != nil || n != outHeaderSize || got.err != -int32(unix.EIO) || got.unique != 5 {
			t.Errorf("request %d: %d bytes, error %d: %v", code, n, -got.err, err)
		}
	}
}
