package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// PackOptions say what goes into an archive.
type PackOptions struct {
	Name      string // of the root in the archive; "." leaves it out of the names
	RootOwned bool   // every file is root's
	NoMounts  bool   // what is mounted below the root is empty
	// Layer: the tree is an overlay's upper directory, the archive an image's
	// layer: what hides and is hidden has another form there.
	Layer  bool
	Owner  func(name string, uid, gid uint32) (inUID, inGID int) // in the archive, of ids as they are seen; nil: these. No name: it hides what was there
	Hidden map[string]bool                                       // paths, from /, that are left out of a layer when they are empty
	// Only are the paths, from /, that go into it; nil: all. Gone are the names, by their
	// directory's path, that it takes away: for a tree that has no marks.
	Only map[string]bool
	Gone map[string][]string
}

// packer writes a tree as an archive. Nothing is opened by a path: the tree may
// change, or be made to mislead, while it is read.
type packer struct {
	w     *tar.Writer
	opts  PackOptions
	links map[[2]uint64]string // where a file of several names was first
	buf   []byte
}

// Pack writes what name in the directory is, and all below it. A link is not
// followed. The archive has no end: other trees may follow.
func Pack(w *tar.Writer, dir int, name string, opts PackOptions) error {
	p := &packer{w: w, opts: opts, links: map[[2]uint64]string{}, buf: make([]byte, 256<<10)}
	return p.entry(dir, name, path.Clean(opts.Name), true)
}

func (p *packer) entry(dir int, base, name string, root bool) error {
	var st unix.Statx_t
	err := unix.Statx(dir, base, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS, &st)
	if errors.Is(err, unix.ENOENT) && !root {
		return nil // gone since it was listed
	}
	if err != nil {
		return fmt.Errorf("looking at %s: %w", name, err)
	}
	mounted := p.opts.NoMounts && !root && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
	h := p.header(name, &st)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return p.directory(dir, base, h, &st, mounted)
	case unix.S_IFREG:
		return p.file(dir, base, h, &st, mounted)
	case unix.S_IFLNK:
		target := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(dir, base, target)
		if err != nil {
			return fmt.Errorf("reading link %s: %w", name, err)
		}
		h.Typeflag, h.Linkname = tar.TypeSymlink, string(target[:n])
	case unix.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	case unix.S_IFCHR:
		if p.opts.Layer && st.Rdev_major == 0 && st.Rdev_minor == 0 {
			return p.whiteout(path.Join(path.Dir(name), whiteout+path.Base(name)))
		}
		h.Typeflag, h.Devmajor, h.Devminor = tar.TypeChar, int64(st.Rdev_major), int64(st.Rdev_minor)
	case unix.S_IFBLK:
		h.Typeflag, h.Devmajor, h.Devminor = tar.TypeBlock, int64(st.Rdev_major), int64(st.Rdev_minor)
	default:
		return nil // a socket is nothing without its process
	}
	return p.w.WriteHeader(h)
}

func (p *packer) header(name string, st *unix.Statx_t) *tar.Header {
	h := &tar.Header{Name: name, Mode: int64(st.Mode & 0o7777), ModTime: time.Unix(st.Mtime.Sec, int64(st.Mtime.Nsec)), Format: tar.FormatPAX}
	switch {
	case p.opts.RootOwned:
	case p.opts.Owner != nil:
		h.Uid, h.Gid = p.opts.Owner(name, st.Uid, st.Gid)
	default:
		h.Uid, h.Gid = int(st.Uid), int(st.Gid)
	}
	return h
}

func (p *packer) directory(dir int, base string, h *tar.Header, st *unix.Statx_t, mounted bool) error {
	name := h.Name
	h.Typeflag, h.Name = tar.TypeDir, name+"/"
	fd, err := unix.Openat(dir, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening %s: %w", name, err)
	}
	defer unix.Close(fd)
	names, err := Names(fd)
	if err != nil {
		return fmt.Errorf("listing %s: %w", name, err)
	}
	if p.hidden(name) && len(names) == 0 {
		return nil
	}
	opaqueHere := p.opts.Layer && isOpaque(fd)
	if owner := p.opts.Owner; opaqueHere && owner != nil { // nothing in it is the image's
		p.opts.Owner = func(_ string, uid, gid uint32) (int, int) { return owner("", uid, gid) }
		defer func() { p.opts.Owner = owner }()
		h.Uid, h.Gid = owner("", st.Uid, st.Gid)
	}
	h.PAXRecords = extended(fd)
	if err := p.w.WriteHeader(h); err != nil || mounted {
		return err
	}
	if opaqueHere {
		if err := p.whiteout(path.Join(name, opaque)); err != nil {
			return err
		}
	}
	for _, base := range names {
		if p.opts.Only != nil && !p.opts.Only["/"+path.Join(name, base)] {
			continue
		}
		if err := p.entry(fd, base, path.Join(name, base), false); err != nil {
			return err
		}
	}
	for _, base := range p.opts.Gone[path.Join("/", name)] {
		if err := p.whiteout(path.Join(name, whiteout+base)); err != nil {
			return err
		}
	}
	return nil
}

func (p *packer) hidden(name string) bool { return p.opts.Layer && p.opts.Hidden["/"+name] }

// whiteout marks what the layer takes away (image-spec, layer.md).
func (p *packer) whiteout(name string) error {
	return p.w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, Format: tar.FormatPAX})
}

func isOpaque(dir int) bool {
	value := make([]byte, 2)
	n, err := unix.Fgetxattr(dir, "user.overlay.opaque", value)
	return err == nil && n == 1 && value[0] == 'y'
}

func (p *packer) file(dir int, base string, h *tar.Header, st *unix.Statx_t, mounted bool) error {
	if h.Typeflag = tar.TypeReg; p.hidden(h.Name) && st.Size == 0 {
		return nil
	}
	if mounted {
		return p.w.WriteHeader(h)
	}
	inode := [2]uint64{uint64(st.Dev_major)<<32 | uint64(st.Dev_minor), st.Ino}
	if first, again := p.links[inode]; again {
		h.Typeflag, h.Linkname = tar.TypeLink, first
		return p.w.WriteHeader(h)
	}
	if st.Nlink > 1 {
		p.links[inode] = h.Name
	}
	// Not blocking: what was a file when it was looked at may be a fifo now.
	fd, err := unix.Openat(dir, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening %s: %w", h.Name, err)
	}
	defer unix.Close(fd)
	var now unix.Stat_t
	if err := unix.Fstat(fd, &now); err != nil || now.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("reading %s: it has changed meanwhile", h.Name)
	}
	h.Size, h.PAXRecords = now.Size, extended(fd)
	if err := p.w.WriteHeader(h); err != nil {
		return err
	}
	return p.content(fd, h)
}

// content writes as many bytes as the header says. A file that is written to
// meanwhile may have fewer by now: the rest is zero, as with tar(1).
func (p *packer) content(fd int, h *tar.Header) error {
	for left := h.Size; left > 0; {
		part := p.buf[:min(left, int64(len(p.buf)))]
		n, err := unix.Read(fd, part)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", h.Name, err)
		}
		if n == 0 {
			clear(part)
			n = len(part)
		}
		if _, err := p.w.Write(part[:n]); err != nil {
			return err
		}
		left -= int64(n)
	}
	return nil
}

// extended gives the extended attributes that an image can have; overlay's
// own marks are of no meaning elsewhere.
func extended(fd int) map[string]string {
	names := make([]byte, 64<<10)
	n, err := unix.Flistxattr(fd, names)
	if err != nil || n == 0 {
		return nil
	}
	records := map[string]string{}
	for _, name := range strings.Split(strings.TrimRight(string(names[:n]), "\x00"), "\x00") {
		if name != "security.capability" && !strings.HasPrefix(name, "user.") || strings.HasPrefix(name, "user.overlay.") {
			continue
		}
		value := make([]byte, 64<<10)
		if n, err := unix.Fgetxattr(fd, name, value); err == nil {
			records["SCHILY.xattr."+name] = string(value[:n])
		}
	}
	return records
}

// Names gives the names in a directory in their order.
func Names(fd int) (names []string, err error) {
	for buf := make([]byte, 32<<10); ; {
		n, err := unix.ReadDirent(fd, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if n == 0 {
			slices.Sort(names)
			return names, nil
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}
