package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"containers/rl/storage/layers"
)

// mostFaults are told of one layer.
const mostFaults = 10

// verify compares a layer's directory with the archive that it came as. The
// archive is made of the files and the frame, so its digest vouches for the
// content of files and for the frame; what the headers say is looked for in the
// directory, and that nothing else is there.
func verify(ctx context.Context, l layers.Layer) error {
	if l.Frame == "" {
		return nil // made here, or of an archive that cannot be made again
	}
	archive := storedLayer{l}.open(ctx)
	defer archive.Close()
	headers, err := readHeaders(archive)
	if err == nil {
		_, err = io.Copy(io.Discard, archive) // the digest is compared at the end
	}
	if err != nil {
		return err
	}
	return storedLayer{l}.within(func(root int) error {
		v := &verifier{unpacker: unpacker{root: root, parent: -1}, known: map[uint64]bool{}, named: map[string]bool{}}
		defer v.leave()
		return v.compare(headers)
	})
}

// readHeaders leaves out what compare does not look at: it may be large.
func readHeaders(archive io.Reader) (headers []*tar.Header, err error) {
	for r := tar.NewReader(archive); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return headers, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeXGlobalHeader {
			maps.DeleteFunc(h.PAXRecords, func(key, _ string) bool { return !strings.HasPrefix(key, xattrPrefix+"user.") })
			//lint:ignore SA1019 the reader fills it with the same values
			h.Xattrs = nil
			headers = append(headers, h)
		}
	}
}

// verifier walks as the unpacker does: names are resolved below the root.
type verifier struct {
	unpacker
	known  map[uint64]bool // inodes of what the archive has
	named  map[string]bool // its names
	faults []error
}

func (v *verifier) fault(name, format string, args ...any) {
	if len(v.faults) < mostFaults {
		v.faults = append(v.faults, fmt.Errorf("%s: %s", name, fmt.Sprintf(format, args...)))
	}
}

// compare begins with the last: of a directory that the archive has twice, by
// whatever names, that is what it became. There is no frame when this happened
// to a file.
func (v *verifier) compare(headers []*tar.Header) error {
	for _, h := range headers {
		v.named[path.Clean("/" + h.Name)[1:]] = true
	}
	for _, h := range slices.Backward(headers) {
		if name := path.Clean("/" + h.Name)[1:]; name != "" {
			v.entry(name, h)
		}
	}
	v.top(headers)
	if _, err := v.surplus(v.places(headers), v.root, ".", 0); err != nil {
		v.faults = append(v.faults, err)
	}
	return errors.Join(v.faults...)
}

func (v *verifier) entry(name string, h *tar.Header) {
	base, hides := strings.CutPrefix(path.Base(name), whiteout)
	switch {
	case h.Typeflag == tar.TypeChar, h.Typeflag == tar.TypeBlock:
		return // not made
	case path.Base(name) == opaque:
		v.opaque(name)
		return
	case hides && (base == "" || base == "." || base == ".." || strings.HasPrefix(base, whiteout)):
		return
	}
	dir, err := v.open(path.Dir(name), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		v.fault(name, "%v", err)
		return
	}
	defer unix.Close(dir)
	if hides {
		v.whiteout(name, dir, base)
		return
	}
	var st unix.Stat_t
	if err := unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		v.fault(name, "%v", err)
		return
	}
	seen := v.known[st.Ino]
	v.known[st.Ino] = true
	switch {
	case seen && h.Typeflag == tar.TypeDir:
	case h.Typeflag == tar.TypeLink:
		v.hardLink(name, path.Clean("/" + h.Linkname)[1:], st)
	default:
		v.attributes(name, h, dir, st)
	}
}

// whiteout has one of the forms that unpacker.hide gives it.
func (v *verifier) whiteout(name string, dir int, base string) {
	var st unix.Stat_t
	if v.marked(dir, whiteout+base) {
		return
	}
	if err := unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		v.fault(name, "%v", err)
		return
	}
	switch kind := st.Mode & unix.S_IFMT; {
	case kind == unix.S_IFCHR && st.Rdev == 0:
		v.known[st.Ino] = true
	case kind == unix.S_IFDIR:
		v.opaque(path.Join(path.Dir(name), base, opaque))
	case !v.named[path.Join(path.Dir(name), base)]: // a file of the layer itself hides as well
		v.fault(name, "what it hides is not hidden")
	}
}

// marked: where a file system takes none of overlay's marks, an empty file has the
// archive's name for it (unpacker.mark).
func (v *verifier) marked(dir int, base string) bool {
	var st unix.Stat_t
	if unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > 0 {
		return false
	}
	v.known[st.Ino] = true
	return true
}

// opaque is a mark on the directory, or in it.
func (v *verifier) opaque(name string) {
	dir, err := v.open(path.Dir(name), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		v.fault(name, "%v", err)
		return
	}
	defer unix.Close(dir)
	if !isOpaque(dir) && !v.marked(dir, opaque) {
		v.fault(name, "what it hides is not hidden")
	}
}

func (v *verifier) hardLink(name, target string, st unix.Stat_t) {
	dir, err := v.open(path.Dir(target), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		v.fault(name, "%v", err)
		return
	}
	defer unix.Close(dir)
	var other unix.Stat_t
	if err := unix.Fstatat(dir, path.Base(target), &other, unix.AT_SYMLINK_NOFOLLOW); err != nil || other.Ino != st.Ino {
		v.fault(name, "it is no link to %s", target)
	}
}

// top is the root, as the archive has it in the end. Its time is not set.
func (v *verifier) top(headers []*tar.Header) {
	for _, h := range slices.Backward(headers) {
		if path.Clean("/"+h.Name) != "/" {
			continue
		}
		var st unix.Stat_t
		if err := unix.Fstat(v.root, &st); err != nil {
			v.fault(".", "%v", err)
			return
		}
		st.Mtim = timespec(h)
		v.attributes(".", h, v.root, st)
		return
	}
}

// madeAs are the types of what is made for the types of an archive.
var madeAs = map[byte]uint32{tar.TypeReg: unix.S_IFREG, tar.TypeGNUSparse: unix.S_IFREG, tar.TypeCont: unix.S_IFREG, tar.TypeDir: unix.S_IFDIR,
	tar.TypeSymlink: unix.S_IFLNK, tar.TypeFifo: unix.S_IFIFO}

// attributes: the time to the second, as file systems differ in the rest. The
// mode of a link is nobody's, and root has all where only one id was mapped.
func (v *verifier) attributes(name string, h *tar.Header, dir int, st unix.Stat_t) {
	if want := madeAs[h.Typeflag]; st.Mode&unix.S_IFMT != want {
		v.fault(name, "its type is %o, not %o", st.Mode&unix.S_IFMT, want)
		return
	}
	if mode := uint32(h.Mode) & 0o7777; h.Typeflag != tar.TypeSymlink && st.Mode&0o7777 != mode {
		v.fault(name, "its mode is %o, not %o", st.Mode&0o7777, mode)
	}
	if owner := [2]int{int(st.Uid), int(st.Gid)}; owner != [2]int{} && owner != [2]int{h.Uid, h.Gid} {
		v.fault(name, "its owner is %d:%d, not %d:%d", st.Uid, st.Gid, h.Uid, h.Gid)
	}
	if madeAs[h.Typeflag] == unix.S_IFREG && st.Size != h.Size {
		v.fault(name, "it has %d bytes, not %d", st.Size, h.Size)
	}
	if want := timespec(h).Sec; st.Mtim.Sec != want {
		v.fault(name, "its time is %d, not %d", st.Mtim.Sec, want)
	}
	if h.Typeflag == tar.TypeSymlink {
		target := make([]byte, unix.PathMax)
		if n, err := unix.Readlinkat(dir, path.Base(name), target); err != nil || string(target[:n]) != h.Linkname {
			v.fault(name, "it does not lead to %s", h.Linkname)
		}
		return
	}
	v.extended(name, h, dir)
}

// extended attributes of the user class alone: a capability is there in another
// form, or not at all where it could not be set.
func (v *verifier) extended(name string, h *tar.Header, dir int) {
	for key, want := range h.PAXRecords {
		attribute, ok := strings.CutPrefix(key, xattrPrefix)
		if !ok || strings.HasPrefix(attribute, "user.overlay.") || !strings.HasPrefix(attribute, "user.") {
			continue
		}
		fd, err := unix.Openat(dir, path.Base(name), unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			v.fault(name, "%v", err)
			return
		}
		value := make([]byte, len(want)+1)
		n, err := unix.Fgetxattr(fd, attribute, value)
		unix.Close(fd)
		if !errors.Is(err, unix.ENOTSUP) && (err != nil || string(value[:n]) != want) {
			v.fault(name, "its attribute %s is another", attribute)
		}
	}
}

// places are directories of a layer, by their inodes.
type places struct {
	made   map[uint64]bool // for what the archive has in them, also where nothing was made of that
	hiding map[uint64]bool // that hide what is below
}

func (v *verifier) places(headers []*tar.Header) places {
	p := places{map[uint64]bool{}, map[uint64]bool{}}
	last, at, there := "", uint64(0), false
	for _, h := range headers {
		name := path.Clean("/" + h.Name)[1:]
		dir, base := path.Dir(name), path.Base(name)
		if dir != last {
			at, there = v.directory(dir, 0)
			last = dir
		}
		if !there {
			continue
		}
		p.made[at] = true
		if base == opaque {
			p.hiding[at] = true
		} else if hidden, ok := strings.CutPrefix(base, whiteout); ok {
			if sub, ok := v.directory(path.Join(dir, hidden), unix.O_NOFOLLOW); ok {
				p.hiding[sub] = true
			}
		}
	}
	return p
}

func (v *verifier) directory(name string, flags uint64) (inode uint64, ok bool) {
	fd, err := v.open(name, flags|unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return 0, false
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	return st.Ino, unix.Fstat(fd, &st) == nil
}

// surplus looks for what the archive does not have, and says whether there is
// anything that it has. Directories are made for what is in them, whether the
// archive has them or not.
func (v *verifier) surplus(p places, dir int, name string, depth int) (inside bool, err error) {
	if depth > unix.PathMax/2 {
		return false, fmt.Errorf("%s: too deep", name)
	}
	fd, err := unix.Openat(dir, path.Base(name), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, fmt.Errorf("%s: %w", name, err)
	}
	defer unix.Close(fd)
	names, err := Names(fd)
	if err != nil {
		return false, fmt.Errorf("%s: %w", name, err)
	}
	for _, base := range names {
		var st unix.Stat_t
		if err := unix.Fstatat(fd, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return false, fmt.Errorf("%s: %w", path.Join(name, base), err)
		}
		has := v.known[st.Ino] || p.made[st.Ino]
		if st.Mode&unix.S_IFMT == unix.S_IFDIR {
			within, err := v.surplus(p, fd, path.Join(name, base), depth+1)
			if err != nil {
				return false, err
			}
			has = has || within
		}
		if !has {
			v.fault(path.Join(name, base), "it is not in the archive")
		}
		inside = inside || has
	}
	var st unix.Stat_t
	if isOpaque(fd) && (unix.Fstat(fd, &st) != nil || !p.hiding[st.Ino]) {
		v.fault(name, "it hides what is below, and not in the archive")
	}
	return inside, nil
}
