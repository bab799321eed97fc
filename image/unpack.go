package image

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// UnpackOptions say what the unpacking process may do.
type UnpackOptions struct {
	SingleID bool              // only our own id exists: every file is root's
	MaxSize  int64             // bytes of all files, holes included, and of the archive; 0: what room says
	Plain    bool              // not a layer: names that would hide others are names
	Replace  bool              // with Plain: a file may take the place of a directory, and the other way round
	Device   func(name string) // is told of a device that was left out: none can be made in a user namespace; or nil
	// Name gives an entry another name, or says false to leave it out; or nil.
	Name func(string) (string, bool)
	// Frame takes what the archive has beside the content of files; see
	// frameWriter. Framed is then set when it is of use. Nil: not wanted.
	Frame  io.Writer
	Framed *bool
	Marked *bool // set when a whiteout could only be kept as in the archive; or nil
}

// unpacker writes one layer. All names are resolved below root.
type unpacker struct {
	ctx      context.Context
	root     int
	opts     UnpackOptions
	parent   int    // descriptor of the last parent directory
	where    string // its path
	times    []directoryTime
	timed    int // bytes that times keeps
	buf      []byte
	squashed bool
	size     int64
	links    int // followed on the way to the current entry
	frame    *frameWriter
}

type directoryTime struct {
	name string
	time unix.Timespec
}

// Unpack writes a layer's archive into a directory. It returns the size of the
// files and whether an owner was lost because only one id is mapped.
func Unpack(ctx context.Context, root int, r io.Reader, opts UnpackOptions) (size int64, squashed bool, err error) {
	if opts.MaxSize == 0 {
		opts.MaxSize = room(root)
	}
	u := &unpacker{ctx: ctx, root: root, opts: opts, parent: -1, buf: make([]byte, 256<<10)}
	defer u.leave()
	defer umask.none()()
	in := bufio.NewReaderSize(bounded(r, opts.MaxSize+headroom), 1<<20)
	archive := tar.NewReader(in)
	if opts.Frame != nil {
		if u.frame, err = newFrameWriter(in, opts.Frame); err != nil {
			return 0, false, err
		}
		archive = tar.NewReader(u.frame)
		defer func() {
			framed, endErr := u.frame.end(err == nil)
			*opts.Framed, err = framed, errors.Join(err, endErr)
		}()
	}
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return u.size, u.squashed, fmt.Errorf("reading the layer: %w", err)
		}
		if err := u.entry(h, archive); err != nil {
			return u.size, u.squashed, fmt.Errorf("unpacking %s: %w", shown(h.Name), err)
		}
	}
	return u.size, u.squashed, u.setTimes()
}

func (u *unpacker) leave() {
	if u.parent >= 0 && u.parent != u.root {
		unix.Close(u.parent)
	}
	u.parent, u.where = -1, ""
}

// enter opens the directory of a name and makes what is missing of it.
func (u *unpacker) enter(dir string) error {
	if u.parent >= 0 && u.where == dir {
		return nil
	}
	u.leave()
	fd, err := u.open(dir, unix.O_PATH|unix.O_DIRECTORY)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) { // missing, or hidden by a whiteout
		if err = u.makeParents(dir); err == nil {
			fd, err = u.open(dir, unix.O_PATH|unix.O_DIRECTORY)
		}
	}
	if err != nil {
		return err
	}
	u.parent, u.where = fd, dir
	return nil
}

func (u *unpacker) open(name string, flags uint64) (int, error) {
	return unix.Openat2(u.root, name, &unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
}

// maxLinks bounds the links in a path, as the kernel does.
const maxLinks = 40

func (u *unpacker) makeParents(dir string) error {
	u.links = 0
	return u.makeAll(dir)
}

// makeAll also makes what a link among the parents points to: below the root,
// like every path of a layer. The link's own target may be in a lower layer.
func (u *unpacker) makeAll(dir string) error {
	for i := 1; i <= len(dir); i++ {
		if i < len(dir) && dir[i] != '/' {
			continue
		}
		above, base := path.Dir(dir[:i]), path.Base(dir[:i])
		fd, err := u.open(above, unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			return err
		}
		err = unix.Mkdirat(fd, base, 0o755)
		target := ""
		if errors.Is(err, unix.EEXIST) {
			buf := make([]byte, unix.PathMax)
			n, e := unix.Readlinkat(fd, base, buf)
			if err = nil; e == nil {
				target = string(buf[:n])
			} else {
				err = u.uncover(fd, base)
			}
		}
		unix.Close(fd)
		if err != nil {
			return err
		}
		if target == "" {
			continue
		}
		if !path.IsAbs(target) {
			target = above + "/" + target
		}
		if u.links++; u.links > maxLinks {
			return unix.ELOOP
		}
		if target = path.Clean("/" + target)[1:]; target == "" {
			continue
		}
		if err := u.makeAll(target); err != nil {
			return err
		}
	}
	return nil
}

const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

func (u *unpacker) entry(h *tar.Header, r io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	name := path.Clean("/" + h.Name)[1:]
	if u.opts.Name != nil {
		var wanted bool
		if name, wanted = u.opts.Name(name); !wanted {
			return nil
		}
		if h.Typeflag == tar.TypeLink {
			h.Linkname, _ = u.opts.Name(path.Clean("/" + h.Linkname)[1:])
		}
	}
	if name == "" {
		return u.top(h)
	}
	if u.opts.Device != nil && (h.Typeflag == tar.TypeChar || h.Typeflag == tar.TypeBlock) {
		u.opts.Device(name)
		return nil
	}
	dir, base := path.Dir(name), path.Base(name)
	if !u.opts.Plain && strings.HasPrefix(base, whiteout) {
		return u.whiteout(dir, base)
	}
	if err := u.enter(dir); err != nil {
		return err
	}
	if err := u.create(h, base, r); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeLink, tar.TypeChar, tar.TypeBlock:
		return nil
	case tar.TypeDir:
		if err := u.later(name, timespec(h)); err != nil {
			return err
		}
	}
	return u.meta(h, u.parent, base)
}

// top is the root itself, which an archive may describe but not replace: what
// it says of a link or a file would be done to a directory (CVE-2021-29136).
func (u *unpacker) top(h *tar.Header) error {
	if h.Typeflag != tar.TypeDir {
		return fmt.Errorf("the root is no directory there, but of type %q", h.Typeflag)
	}
	return u.meta(h, u.root, ".")
}

// whiteout hides what lower layers have (OCI image-spec, layer.md) in the form
// of overlay in a user namespace: overlayfs.rst, userxattr.
func (u *unpacker) whiteout(dir, base string) error {
	if base == opaque {
		if err := u.enter(dir); err != nil {
			return err
		}
		return u.opaque(u.parent, ".")
	}
	name := strings.TrimPrefix(base, whiteout)
	if name == "" || name == "." || name == ".." || strings.HasPrefix(name, whiteout) {
		return nil // marks of aufs, without a meaning here
	}
	if err := u.enter(dir); err != nil {
		return err
	}
	return u.hide(name)
}

// clear removes what an earlier entry of the layer left in the way.
func (u *unpacker) clear(base string) error {
	err := unix.Unlinkat(u.parent, base, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case err == nil:
		u.lost()
		return nil
	case u.opts.Plain && !u.opts.Replace && errors.Is(err, unix.EISDIR):
		return fmt.Errorf("cannot overwrite directory %s with a file", base)
	case errors.Is(err, unix.EISDIR), errors.Is(err, unix.EPERM):
		u.lost()
		return removeAt(u.parent, base)
	}
	return err
}

func (u *unpacker) lost() {
	if u.frame != nil {
		u.frame.lose()
	}
}

func (u *unpacker) create(h *tar.Header, base string, r io.Reader) error {
	if h.Typeflag == tar.TypeDir {
		return u.directory(base, uint32(h.Mode)&0o7777)
	}
	if err := u.clear(base); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont: // the reader turns the old mark into TypeReg
		return u.file(h, base, r)
	case tar.TypeSymlink:
		return unix.Symlinkat(h.Linkname, u.parent, base)
	case tar.TypeLink:
		return u.hardLink(h.Linkname, base)
	case tar.TypeFifo:
		return unix.Mknodat(u.parent, base, unix.S_IFIFO|uint32(h.Mode)&0o777, 0)
	case tar.TypeChar, tar.TypeBlock:
		return nil // no device can be made in a user namespace; /dev is mounted
	}
	return fmt.Errorf("entry of unknown type %q", h.Typeflag)
}

func (u *unpacker) directory(base string, mode uint32) error {
	err := unix.Mkdirat(u.parent, base, mode&0o1777)
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(u.parent, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return nil
	}
	if u.opts.Plain && !u.opts.Replace {
		return fmt.Errorf("cannot overwrite %s with a directory", base)
	}
	if !u.opts.Plain && st.Mode&unix.S_IFMT == unix.S_IFCHR {
		return u.uncover(u.parent, base)
	}
	u.lost()
	if err := unix.Unlinkat(u.parent, base, 0); err != nil {
		return err
	}
	return unix.Mkdirat(u.parent, base, mode&0o1777)
}

func (u *unpacker) file(h *tar.Header, base string, r io.Reader) error {
	if h.Size > u.opts.MaxSize-u.size {
		return fmt.Errorf("%d bytes: with it the archive is larger than the %d that are taken", h.Size, u.opts.MaxSize)
	}
	fd, err := unix.Openat(u.parent, base, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(h.Mode)&0o777)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if u.frame != nil {
		u.frame.file(h, path.Join(u.where, base))
		defer u.frame.fileEnd(h.Size)
	}
	if isSparse(h) {
		err = u.holes(fd, r, h.Size)
	} else {
		_, err = io.CopyBuffer(descriptor(fd), struct{ io.Reader }{r}, u.buf)
	}
	u.size += h.Size
	return err
}

// hardLink: the target's directory is resolved below the root, and the last
// part is not followed.
func (u *unpacker) hardLink(target, base string) error {
	target = path.Clean("/" + target)[1:]
	dir, err := u.open(path.Dir(target), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return fmt.Errorf("linking to %s: %w", shown(target), err)
	}
	defer unix.Close(dir)
	if err := unix.Linkat(dir, path.Base(target), u.parent, base, 0); err != nil {
		return fmt.Errorf("linking to %s: %w", shown(target), err)
	}
	return nil
}
