package storage

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// The index is made of small files, so that a lookup is one open and a read:
//
//	index/images/ID.image      an image; its lock says that someone uses it
//	index/names/FULL-NAME     link to ../images/ID.image
//	index/aliases/AS-TYPED    link to ../names/FULL-NAME
//	index/digests/DIGEST@ID   link to ../images/ID.image: see KeepDigest
//	index/shared/AS-TYPED     what a read-only store has under the name: see Remember
//
// Every change is one rename or one unlink.

const suffix = ".image"

// maxEntry bounds what is read of an entry: the config of an image is at most
// as large as a manifest may be.
const maxEntry = 8 << 20

// escape makes a reference a file name.
func escape(ref string) string {
	return strings.ReplaceAll(strings.ReplaceAll(ref, "%", "%25"), "/", "%2F")
}

func unescape(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "%2F", "/"), "%25", "%")
}

// Lookup finds an image by what the user typed: a name that was pulled, a full
// name, or an id or its beginning. The image is not removed until it is closed,
// unless it is another user's.
func (d Dirs) Lookup(ref string) (*Image, error) {
	img, err := d.lookup(ref)
	if err != nil || img.Store == "" {
		return img, err
	}
	if err := img.present(); err != nil {
		img.Close()
		return nil, err
	}
	return img, nil
}

func (d Dirs) lookup(ref string) (*Image, error) {
	// No reference begins otherwise; the rest never meets "..", nor a file being made.
	if ref == "" || ref[0] == '.' || ref[0] == '/' || strings.ContainsRune(ref, 0) {
		return nil, noImage(ref)
	}
	if id := strings.TrimPrefix(ref, "sha256:"); IsID(id) { // no name hides an image from its whole id
		if img, err := open(path.Join(d.images(), id+suffix)); !errors.Is(err, ErrNoImage) {
			return img, err
		}
	}
	for _, file := range d.candidates(ref) {
		img, err := open(file)
		if err == nil {
			img.Names = []string{ref}
		}
		if !errors.Is(err, ErrNoImage) {
			return img, err
		}
	}
	if img := d.adopted(ref, true); img != nil {
		return img, nil
	}
	if id := strings.TrimPrefix(ref, "sha256:"); len(id) <= 64 && isHex(id) {
		if img, err := d.byID(id); !errors.Is(err, ErrNoImage) {
			return img, err
		}
	}
	full, err := d.search(ref)
	if err != nil {
		if img := d.adopted(ref, false); img != nil && errors.Is(err, ErrNoImage) {
			return img, nil
		}
		return nil, err
	}
	img, err := open(path.Join(d.names(), escape(full)))
	if err == nil {
		img.Names = []string{full}
	} else if errors.Is(err, ErrNoImage) {
		err = noImage(ref)
	}
	return img, err
}

// noImage says it in podman's words and in docker's.
func noImage(ref string) error { return fmt.Errorf("%s: %w: No such image: %s", ref, ErrNoImage, ref) }

// search finds the full name of an image that has the manifest of a digest, or
// whose name ends in a short name: podman looks at all images as the last resort.
func (d Dirs) search(ref string) (string, error) {
	names, err := d.Names()
	if err != nil {
		return "", err
	}
	match := PartOf(ref)
	found := ""
	for id, list := range names {
		has := func(digest string) bool { return d.hasDigest(id, digest) }
		for _, name := range list {
			if (found == "" || name < found) && match(name, has) {
				found = name
			}
		}
	}
	if found == "" {
		return "", noImage(ref)
	}
	return found, nil
}

// PartOf tells whether a full name ends in ref, or is one of the repository whose
// digest ref gives, of an image that has it. A repository may leave out its registry.
func PartOf(ref string) func(name string, has func(digest string) bool) bool {
	repository, digest, pinned := strings.Cut(ref, "@")
	if pinned {
		repository = untagged(repository)
		return func(name string, has func(string) bool) bool {
			name, _, _ = strings.Cut(name, "@")
			name = untagged(name)
			return (name == repository || strings.HasSuffix(name, "/"+repository)) && has(digest)
		}
	}
	full := ref
	if untagged(ref) == ref {
		full += ":latest"
	}
	return func(name string, _ func(string) bool) bool { return strings.HasSuffix(name, "/"+full) }
}

func untagged(name string) string {
	if at := strings.LastIndexByte(name, ':'); at > strings.LastIndexByte(name, '/') {
		return name[:at]
	}
	return name
}

func (d Dirs) hasDigest(id, digest string) bool {
	if d.hasLink(id, digest) {
		return true
	}
	img, err := open(path.Join(d.images(), id+suffix))
	if err != nil {
		return false
	}
	defer img.Close()
	return img.HasDigest(digest)
}

// candidates are the files that may hold ref, the surest first.
func (d Dirs) candidates(ref string) []string {
	list := []string{path.Join(d.aliases(), escape(ref))}
	for _, name := range FullNames(ref) {
		list = append(list, path.Join(d.names(), escape(name)))
	}
	return list
}

// FullNames are those that a name may stand for, the surest first.
func FullNames(ref string) []string {
	last := ref[strings.LastIndexByte(ref, '/')+1:]
	if !strings.ContainsAny(last, ":@") {
		ref += ":latest"
	}
	full := []string{ref, "localhost/" + ref, "docker.io/" + ref} // localhost: made here, by commit
	if first, rest, slash := strings.Cut(ref, "/"); !slash {
		full = append(full, "docker.io/library/"+ref)
	} else if first == "docker.io" && !strings.Contains(rest, "/") {
		full = append(full, "docker.io/library/"+rest)
	}
	return full
}

// IsID says whether it is a whole id.
func IsID(text string) bool { return len(text) == 64 && isHex(text) }

func isHex(text string) bool {
	return len(text) >= 3 && strings.Trim(text, "0123456789abcdef") == ""
}

func (d Dirs) byID(prefix string) (*Image, error) {
	entries, err := os.ReadDir(d.images())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading the image index: %w", err)
	}
	found := ""
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		if found != "" {
			return nil, fmt.Errorf("%s: more than one image id begins so", prefix)
		}
		found = e.Name()
	}
	if found == "" {
		return nil, noImage(prefix)
	}
	return open(path.Join(d.images(), found))
}

// open reads an entry and holds its shared lock.
func open(path string) (*Image, error) {
	for range attempts {
		file, err := openEntry(path)
		if err != nil {
			return nil, err
		}
		img, err := read(file)
		if err == nil {
			return img, nil
		}
		file.Close()
		if !errors.Is(err, errReplaced) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("reading %s: it changes all the time", path)
}

func openEntry(path string) (*os.File, error) {
	var fd int
	var err error
	// os.Open would set up the poller of the runtime, of no use to a file.
	for fd, err = -1, unix.EINTR; errors.Is(err, unix.EINTR); {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENAMETOOLONG) || errors.Is(err, unix.EINVAL) {
		return nil, ErrNoImage
	}
	if err != nil {
		return nil, fmt.Errorf("opening the image index: %w", &os.PathError{Op: "open", Path: path, Err: err})
	}
	return os.NewFile(uintptr(fd), path), nil
}

// errReplaced says that an entry was removed, or replaced, between open and lock.
var errReplaced = errors.New("replaced")

func read(file *os.File) (*Image, error) {
	if err := lock(file, unix.LOCK_SH); err != nil {
		return nil, fmt.Errorf("locking %s: %w", file.Name(), err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		return nil, fmt.Errorf("looking at %s: %w", file.Name(), err)
	}
	if st.Nlink == 0 {
		return nil, errReplaced
	}
	text := make([]byte, min(st.Size, maxEntry))
	if _, err := io.ReadFull(file, text); err != nil {
		return nil, fmt.Errorf("reading %s: %w", file.Name(), err)
	}
	img := &Image{entry: file}
	if err := img.decode(string(text)); err != nil {
		return nil, fmt.Errorf("reading %s: %w: rl system check --repair", file.Name(), err)
	}
	return img, nil
}

// lock takes a lock that goes with the descriptor. File systems without locks
// (Lustre without -o flock) answer ENOSYS, and NFS answers EBADF where one alone is
// to have what is not open for writing, a directory say: what lies there is not
// protected from a removal at the same moment.
func lock(file *os.File, how int) error { return lockFD(int(file.Fd()), how) }

// Lock waits until no other has the lock.
func Lock(file *os.File) error { return lock(file, unix.LOCK_EX) }

func lockFD(fd, how int) error {
	for {
		err := unix.Flock(fd, how)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOLCK), errors.Is(err, unix.EBADF):
			return nil
		default:
			return err
		}
	}
}

// Images lists all images with all their names. An entry that cannot be read is an
// error.
func (d Dirs) Images() ([]*Image, error) {
	list, broken, err := d.CheckIndex()
	for _, id := range slices.Sorted(maps.Keys(broken)) {
		return nil, broken[id]
	}
	return list, err
}

// Names gives the full names of each image id.
func (d Dirs) Names() (map[string][]string, error) {
	entries, err := os.ReadDir(d.names())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading the image index: %w", err)
	}
	names := map[string][]string{}
	for _, e := range entries {
		target, err := os.Readlink(path.Join(d.names(), e.Name()))
		if err != nil {
			continue
		}
		id := strings.TrimSuffix(path.Base(target), suffix)
		names[id] = append(names[id], unescape(e.Name()))
	}
	return names, nil
}

// FullName gives the full name that ref stands for; ErrNoImage when it is
// none, but an id.
func (d Dirs) FullName(ref string) (string, error) {
	if id := strings.TrimPrefix(ref, "sha256:"); IsID(id) {
		if _, err := os.Lstat(path.Join(d.images(), id+suffix)); err == nil {
			return "", noImage(ref)
		}
	}
	for _, file := range d.candidates(ref) {
		target, err := os.Readlink(file)
		if err != nil {
			continue
		}
		if path.Dir(file) == d.aliases() {
			return unescape(path.Base(target)), nil
		}
		return unescape(path.Base(file)), nil
	}
	if img := d.adopted(ref, true); img != nil {
		img.Close()
		return img.Names[0], nil
	}
	if id := strings.TrimPrefix(ref, "sha256:"); len(id) <= 64 && isHex(id) {
		if img, err := d.byID(id); err == nil {
			img.Close()
			return "", noImage(ref)
		}
	}
	full, err := d.search(ref)
	if errors.Is(err, ErrNoImage) {
		if img := d.adopted(ref, false); img != nil {
			img.Close()
			return img.Names[0], nil
		}
	}
	return full, err
}
