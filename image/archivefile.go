package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"containers/rl/storage"
)

func openSource(o LoadOptions) (*archiveFile, error) {
	if o.Dir != "" {
		root, err := os.OpenRoot(o.Dir)
		if err != nil {
			return nil, err
		}
		return &archiveFile{dir: root}, nil
	}
	return openArchive(o.File, o.Dirs)
}

func (a *archiveFile) close() {
	for _, file := range a.opened {
		file.Close()
	}
	if a.dir != nil {
		a.dir.Close()
		return
	}
	a.file.Close()
}

// archiveFile is a tar whose entries can be read in any order, or a directory.
type archiveFile struct {
	file    *os.File
	entries map[string]archiveEntry
	dir     *os.Root
	taken   int64      // bytes of metadata
	mu      sync.Mutex // of opened: layers are opened side by side
	opened  []*os.File
}

// Bounds of an archive, whose images all are in memory before the first comes
// into the store.
const (
	maxNames = 16 << 20 // of its entries, with what each takes beside
	maxTaken = 64 << 20 // of manifests and configurations
)

type archiveEntry struct {
	offset, size int64
	link         string // of another entry
}

// openArchive copies what cannot be sought in, or is compressed, to a file that
// has no name.
func openArchive(file *os.File, d storage.Dirs) (_ *archiveFile, err error) {
	head := make([]byte, 6)
	n, err := file.ReadAt(head, 0)
	compressed := n == 6 && (head[0] == 0x1f && head[1] == 0x8b || strings.HasPrefix(string(head), "\x28\xb5\x2f\xfd") || string(head) == "\xfd7zXZ\x00" || string(head[:3]) == "BZh")
	if (err != nil && !errors.Is(err, io.EOF)) || compressed {
		if file, err = spool(file, d.Data); err != nil {
			return nil, err
		}
	}
	a := &archiveFile{file: file, entries: map[string]archiveEntry{}}
	if _, err = file.Seek(0, io.SeekStart); err == nil {
		err = a.index()
	}
	if err == nil && len(a.entries) == 0 {
		err = errors.New("it is empty, or no archive of images")
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return a, nil
}

// index notes where the entries are. Of two of a name the last counts.
func (a *archiveFile) index() error {
	names, counted := 0, &offsetReader{r: a.file}
	for r := tar.NewReader(counted); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := path.Clean("/" + h.Name)[1:]
		if names += len(name) + len(h.Linkname) + 64; names > maxNames {
			return fmt.Errorf("its entries take more than %d MiB to know, too many for an archive of images", maxNames>>20)
		}
		switch h.Typeflag {
		case tar.TypeReg:
			a.entries[name] = archiveEntry{offset: counted.n, size: h.Size}
		case tar.TypeSymlink:
			a.entries[name] = archiveEntry{link: path.Clean("/" + path.Dir(name) + "/" + h.Linkname)[1:]}
		case tar.TypeLink:
			a.entries[name] = archiveEntry{link: path.Clean("/" + h.Linkname)[1:]}
		}
	}
}

// offsetReader tells how far a reader has come, and lets tar skip by seeking.
type offsetReader struct {
	r *os.File
	n int64
}

func (o *offsetReader) Read(b []byte) (int, error) {
	n, err := o.r.Read(b)
	o.n += int64(n)
	return n, err
}

// Seek is what tar.Reader uses to skip an entry.
func (o *offsetReader) Seek(offset int64, whence int) (int64, error) {
	n, err := o.r.Seek(offset, whence)
	if err == nil {
		o.n = n
	}
	return n, err
}

func spool(file *os.File, dir string) (*os.File, error) {
	plain, err := inflate(file, "")
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	tmp, err := os.CreateTemp(dir, ".load-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(tmp.Name()); err != nil {
		tmp.Close()
		return nil, err
	}
	if _, err := io.Copy(tmp, bounded(plain, room(int(tmp.Fd())))); err != nil {
		tmp.Close()
		return nil, err
	}
	return tmp, nil
}

func (a *archiveFile) has(name string) bool {
	if a.dir == nil {
		_, ok := a.entries[name]
		return ok
	}
	_, err := a.dir.Stat(name)
	return err == nil
}

// fromDir opens a file of a directory. A link in it is followed within it.
func (a *archiveFile) fromDir(name string) (*os.File, int64, error) {
	file, err := a.dir.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0) // it may be a fifo
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", name)
	}
	if err != nil {
		file.Close()
		return nil, 0, err
	}
	return file, info.Size(), nil
}

// open gives an entry, by its links, until the archive is closed.
func (a *archiveFile) open(name string) (*io.SectionReader, error) {
	if a.dir == nil {
		return a.entry(name)
	}
	file, size, err := a.fromDir(name)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.opened = append(a.opened, file)
	a.mu.Unlock()
	return io.NewSectionReader(file, 0, size), nil
}

func (a *archiveFile) entry(name string) (*io.SectionReader, error) {
	asked := name
	for range maxLinks {
		e, ok := a.entries[path.Clean("/" + name)[1:]]
		if !ok {
			return nil, fmt.Errorf("%s: %w", shown(name), os.ErrNotExist)
		}
		if e.link == "" {
			return io.NewSectionReader(a.file, e.offset, e.size), nil
		}
		name = e.link
	}
	return nil, fmt.Errorf("%s: too many links", shown(asked))
}

// read gives a small entry.
func (a *archiveFile) read(name string) ([]byte, error) {
	if a.dir == nil {
		r, err := a.entry(name)
		if err != nil {
			return nil, err
		}
		return a.take(name, r, r.Size())
	}
	file, size, err := a.fromDir(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return a.take(name, file, size)
}

// take reads all of an entry, of which there may be as many as an index names.
func (a *archiveFile) take(name string, r io.Reader, size int64) ([]byte, error) {
	if size > maxMetadata {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are taken", shown(name), size, maxMetadata)
	}
	if a.taken += size; a.taken > maxTaken {
		return nil, fmt.Errorf("the manifests and configurations of its images have more than the %d bytes that are taken", maxTaken)
	}
	return io.ReadAll(io.LimitReader(r, size))
}

// blob gives a small blob of an OCI layout, which must be what its digest says.
func (a *archiveFile) blob(d digest.Digest) ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	text, err := a.read(a.blobName(d))
	if err == nil && d.Algorithm().FromBytes(text) != d {
		err = fmt.Errorf("blob %s has another digest", d)
	}
	return text, err
}

// flat says whether it is the form of the transport dir, which has no folders.
func (a *archiveFile) flat() bool { return a.dir != nil && a.has("manifest.json") && a.has("version") }

func (a *archiveFile) blobName(d digest.Digest) string {
	if a.flat() {
		return d.Encoded()
	}
	return "blobs/" + d.Algorithm().String() + "/" + d.Encoded()
}
