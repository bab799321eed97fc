package fuseoverlay

import (
	"encoding/binary"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"containers/rl/storage/fuse"
)

// dirent is one entry of a directory as users see it.
type dirent struct {
	name string
	ino  uint64
	kind byte // DT_REG and so on
}

// stream is an open directory: what was in it when reading began, so that no
// entry is missed or met twice while others come and go.
type stream struct {
	mu      sync.Mutex
	n       *node
	entries []dirent
}

type streams struct {
	mu   sync.Mutex
	open map[uint64]*stream
	last uint64
}

// OpenDir begins reading.
func (o *overlay) OpenDir(in *fuse.InHeader) (fh uint64, _ fuse.Status) {
	n := o.tree.get(in.NodeID)
	if n == nil {
		return 0, unix.ESTALE
	}
	o.streams.mu.Lock()
	defer o.streams.mu.Unlock()
	if o.streams.open == nil {
		o.streams.open = map[uint64]*stream{}
	}
	o.streams.last++
	o.streams.open[o.streams.last] = &stream{n: n}
	return o.streams.last, fuse.OK
}

// ReleaseDir ends reading.
func (o *overlay) ReleaseDir(fh uint64) {
	o.streams.mu.Lock()
	defer o.streams.mu.Unlock()
	delete(o.streams.open, fh)
}

// ReadDir tells names from the offset on, and if asked to what a lookup of each
// would. The offset of an entry is how many are before it; "." and ".." are the
// first two.
func (o *overlay) ReadDir(in *fuse.InHeader, read *fuse.ReadIn, out *fuse.Dirents) fuse.Status {
	o.streams.mu.Lock()
	s := o.streams.open[read.FH]
	o.streams.mu.Unlock()
	if s == nil {
		return unix.EBADF
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o.tree.disk.RLock()
	defer o.tree.disk.RUnlock()
	if read.Offset == 0 || s.entries == nil {
		if err := o.fillStream(s); err != nil {
			return status(err)
		}
	}
	for i := read.Offset; i < uint64(len(s.entries)); i++ {
		e := &s.entries[i]
		found, ok := out.Add(e.name, e.ino, i+1, e.kind)
		if !ok {
			break
		}
		if found != nil && i > 1 {
			_ = o.lookup(s.n, e.name, found) // gone meanwhile: then the name alone
		}
	}
	return fuse.OK
}

func (o *overlay) fillStream(s *stream) error {
	entries, err := o.list(s.n)
	if err != nil {
		return err
	}
	above := s.n.ino
	if p, ok := o.tree.place(s.n); ok {
		above = p.parent.ino
	}
	s.entries = append([]dirent{{".", s.n.ino, unix.DT_DIR}, {"..", above, unix.DT_DIR}}, entries...)
	return nil
}

// list is what is seen in a directory, without "." and "..". The caller holds
// tree.disk.
func (o *overlay) list(n *node) (entries []dirent, err error) {
	if n.held >= 0 {
		return nil, nil // it was removed
	}
	var seen map[string]bool
	if len(n.parts) > 1 {
		seen = map[string]bool{}
	}
	for _, p := range n.parts {
		h, err := o.dir(n, p.layer)
		if err != nil {
			return nil, err
		}
		entries, err = o.listPart(entries, h.fd, p, seen)
		o.files.release(h)
		if err != nil {
			return nil, err
		}
	}
	return entries, nil
}

func (o *overlay) listPart(entries []dirent, dir int, p part, seen map[string]bool) ([]dirent, error) {
	found, err := readNames(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range found {
		if seen != nil {
			if seen[e.name] {
				continue
			}
			seen[e.name] = true
		}
		if e.kind == unix.DT_CHR || e.kind == unix.DT_UNKNOWN || e.kind == unix.DT_REG && p.xwhiteouts {
			var st unix.Stat_t
			if err := unix.Fstatat(dir, e.name, &st, unix.AT_SYMLINK_NOFOLLOW); err == unix.ENOENT {
				continue
			} else if err != nil {
				return nil, err
			}
			if isWhiteout(dir, e.name, &st, p.xwhiteouts) {
				continue
			}
			e.kind = byte(st.Mode & unix.S_IFMT >> 12)
		}
		e.ino = o.shown(p.layer, o.layers[p.layer].dev, e.ino)
		entries = append(entries, e)
	}
	return entries, nil
}

var direntBuffers = sync.Pool{New: func() any { return new([64 << 10]byte) }}

// readNames reads a directory of the disk, through a descriptor of its own.
func readNames(dir int) (entries []dirent, err error) {
	fd, err := openDir(dir, ".")
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	buf := direntBuffers.Get().(*[64 << 10]byte)
	defer direntBuffers.Put(buf)
	for {
		n, err := unix.Getdents(fd, buf[:])
		if err != nil || n == 0 {
			return entries, err
		}
		entries = appendDirents(entries, string(buf[:n]))
	}
}

// appendDirents takes linux_dirent64 apart (getdents64(2)): d_ino of 8 bytes,
// d_off of 8, d_reclen of 2, d_type of 1, and the name with a zero byte. All
// names share the text's memory.
func appendDirents(entries []dirent, text string) []dirent {
	const nameAt = 19
	for len(text) > nameAt {
		head := unsafe.Slice(unsafe.StringData(text), nameAt)
		length := int(binary.NativeEndian.Uint16(head[16:]))
		if length <= nameAt || length > len(text) {
			return entries
		}
		name := text[nameAt:length]
		for i := range len(name) {
			if name[i] == 0 {
				name = name[:i]
				break
			}
		}
		if name != "." && name != ".." {
			entries = append(entries, dirent{name, binary.NativeEndian.Uint64(head), head[18]})
		}
		text = text[length:]
	}
	return entries
}
