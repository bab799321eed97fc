package fuse

import (
	"encoding/binary"
	"unsafe"
)

// Dirents is the answer to READDIR or READDIRPLUS: entries of struct fuse_dirent
// or fuse_direntplus, each filled up to eight bytes.
type Dirents struct {
	buf  []byte
	size int
	plus bool
}

// Add adds an entry; next is where reading goes on after it, kind is DT_REG and
// so on. False means that there is no room. READDIRPLUS gives an entry to fill
// in, with which the kernel is told of a node; else it is nil.
func (d *Dirents) Add(name string, ino, next uint64, kind byte) (*EntryOut, bool) {
	prefix := 0
	if d.plus {
		prefix = entrySize
	}
	length := prefix + direntSize + (len(name)+7)&^7
	if d.size+length > len(d.buf) {
		return nil, false
	}
	out := d.buf[d.size : d.size+length]
	clear(out)
	d.size += length
	b := out[prefix:]
	binary.NativeEndian.PutUint64(b, ino)
	binary.NativeEndian.PutUint64(b[8:], next)
	binary.NativeEndian.PutUint32(b[16:], uint32(len(name)))
	binary.NativeEndian.PutUint32(b[20:], uint32(kind))
	copy(b[direntSize:], name)
	if !d.plus {
		return nil, true
	}
	return (*EntryOut)(unsafe.Pointer(&out[0])), true
}
