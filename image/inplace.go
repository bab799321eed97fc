package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"containers/rl/storage/layers"
	"containers/rl/storage/shared"
)

// A layer of another store can be mounted as it is when it lies there in the form
// that overlay has in our user namespace: whiteouts are devices 0:0, opaque
// directories have user.overlay.opaque (trusted.overlay.opaque is root's, and
// files .wh.NAME are fuse-overlayfs'), and every file has the owner, in our ids,
// and the mode that its archive says. The kernel copies up no file whose owner
// has no id in the namespace: so another user's layers would be for reading
// alone, and of no one. Both is seen by going through the headers of the archive.

// errForm says that a layer is of another form.
var errForm = errors.New("cannot be used in place")

// inPlace says why an image cannot be mounted from where it lies; nil: it can. Who
// asks is root of the user namespace that would mount it.
func inPlace(ctx context.Context, img *shared.Image, single bool) error {
	for _, l := range img.Layers {
		if err := layerInPlace(ctx, l, single); err != nil {
			return fmt.Errorf("image %s in the store %s: layer %s %w", img.ID, img.In.Root, l.DiffID, err)
		}
	}
	return nil
}

func layerInPlace(ctx context.Context, l layers.Layer, single bool) error {
	at := storedLayer{l}
	if !at.whole() {
		return fmt.Errorf("%w: how its archive was is not known", errForm)
	}
	root, err := openOwn(l.Dir)
	if err != nil {
		return fmt.Errorf("%w: %w", errForm, err)
	}
	defer unix.Close(root)
	c := comparison{root: root, single: single}
	if n, err := unix.Fgetxattr(root, "user.containers.override_stat", nil); err == nil && n > 0 {
		return fmt.Errorf("%w: owners and modes are attributes there (force_mask in its storage.conf)", errForm)
	}
	r := readerOf(ctx, func(ctx context.Context, w io.Writer) error { return at.assemble(ctx, w, noContent) })
	defer r.Close()
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = c.compare(h)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errForm, err)
		}
	}
}

// openOwn opens a layer's directory if it, and the one it lies in, are ours: what
// another user can change is not mounted.
func openOwn(dir string) (int, error) {
	home, err := unix.Open(path.Dir(dir), unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("opening %s: %w", path.Dir(dir), err)
	}
	defer unix.Close(home)
	var st unix.Stat_t
	if err := unix.Fstat(home, &st); err != nil {
		return -1, err
	}
	if st.Uid != 0 {
		return -1, errors.New("it belongs to another user, whose ids are not ours")
	}
	root, err := unix.Openat(home, path.Base(dir), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("opening %s: %w", dir, err)
	}
	return root, nil
}

// noContent stands for files that nobody looks into.
func noContent(w io.Writer, _ string, size int64) error {
	_, err := io.CopyN(w, zeros{}, size)
	return err
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// comparison is of a layer's directory with the headers of its archive.
type comparison struct {
	root   int
	single bool // one id is mapped: all files are root's
}

func (c comparison) compare(h *tar.Header) error {
	dir, base := path.Split(path.Clean("/" + h.Name))
	switch {
	case base == opaque:
		return c.opaque(dir)
	case strings.HasPrefix(base, whiteout):
		return c.whiteout(path.Join(dir, strings.TrimPrefix(base, whiteout)))
	case h.Typeflag == tar.TypeXGlobalHeader, h.Typeflag == tar.TypeChar, h.Typeflag == tar.TypeBlock: // devices cannot be made in a user namespace
		return nil
	}
	st, err := c.stat(path.Join(dir, base))
	if err != nil || h.Typeflag == tar.TypeLink { // owner and mode are those of the file that it is
		return err
	}
	uid, gid := uint32(h.Uid), uint32(h.Gid)
	if c.single {
		uid, gid = 0, 0
	}
	mode := uint32(h.Mode) & 0o7777
	switch {
	case st.Uid != uid || st.Gid != gid:
		return fmt.Errorf("%s belongs to %d:%d there and to %d:%d in the image", h.Name, st.Uid, st.Gid, uid, gid)
	case base == "" && st.Mode&0o7777 == 0o555 && mode == 0o755: // containers/storage makes it so; nobody but root could write in either
	case h.Typeflag != tar.TypeSymlink && st.Mode&0o7777 != mode:
		return fmt.Errorf("%s has the mode %o there and %o in the image", h.Name, st.Mode&0o7777, mode)
	}
	return nil
}

func (c comparison) opaque(dir string) error {
	fd, err := c.open(dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	value := make([]byte, 8)
	if n, err := unix.Fgetxattr(fd, "user.overlay.opaque", value); err != nil || string(value[:n]) != "y" {
		return fmt.Errorf("%s hides what is below by a mark that is not user.overlay.opaque: it was made by root, or by fuse-overlayfs", dir)
	}
	return nil
}

func (c comparison) whiteout(name string) error {
	st, err := c.stat(name)
	if err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != 0 {
		return fmt.Errorf("%s is hidden by a mark that is no device 0:0: it was made by fuse-overlayfs", name)
	}
	return nil
}

func (c comparison) stat(name string) (st unix.Stat_t, err error) {
	fd, err := c.open(name, unix.O_PATH)
	if err != nil {
		return st, err
	}
	defer unix.Close(fd)
	return st, unix.Fstat(fd, &st)
}

func (c comparison) open(name string, flags uint64) (int, error) {
	fd, err := unix.Openat2(c.root, name, &unix.OpenHow{Flags: flags | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if err != nil {
		return -1, fmt.Errorf("looking at %s: %w", name, err)
	}
	return fd, nil
}
