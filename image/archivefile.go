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
	mu      sync.Mutex // of opened: layers are opened side by side
	opened  []*os.File
}

type archiveEntry struct {
	offset, size int64
	link         string // of another entry
}

// openArchive copies what cannot be sought in, or is compressed, to a file that
// has no name.
func openArchive(file *os.File, d storage.Dirs) (*archiveFile, error) {
	head := make([]byte, 6)
	n, err := file.ReadAt(head, 0)
	compressed := n == 6 && (head[0] == 0x1f && head[1] == 0x8b || strings.HasPrefix(string(head), "\x28\xb5\x2f\xfd") || string(head) == "\xfd7zXZ\x00" || string(head[:3]) == "BZh")
	if (err != nil && !errors.Is(err, io.EOF)) || compressed {
		if file, err = spool(file, d.Data); err != nil {
			return nil, err
		}
	}
	a := &archiveFile{file: file, entries: map[string]archiveEntry{}}
	counted := &offsetReader{r: file}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	for r := tar.NewReader(counted); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		name := path.Clean("/" + h.Name)[1:]
		switch h.Typeflag {
		case tar.TypeReg:
			a.entries[name] = archiveEntry{offset: counted.n, size: h.Size}
		case tar.TypeSymlink:
			a.entries[name] = archiveEntry{link: path.Clean("/" + path.Dir(name) + "/" + h.Linkname)[1:]}
		case tar.TypeLink:
			a.entries[name] = archiveEntry{link: path.Clean("/" + h.Linkname)[1:]}
		}
	}
	if len(a.entries) == 0 {
		return nil, errors.New("it is empty, or no archive of images")
	}
	return a, nil
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
	if _, err := io.Copy(tmp, plain); err != nil {
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

// file opens one of a directory.
func (a *archiveFile) fromDir(name string) (*io.SectionReader, error) {
	file, err := a.dir.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0) // it may be a fifo
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.opened = append(a.opened, file)
	a.mu.Unlock()
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", name)
	}
	if err != nil {
		return nil, err
	}
	return io.NewSectionReader(file, 0, info.Size()), nil
}

// open gives an entry, by its links.
func (a *archiveFile) open(name string) (*io.SectionReader, error) {
	if a.dir != nil {
		return a.fromDir(name)
	}
	for range maxLinks {
		e, ok := a.entries[path.Clean("/" + name)[1:]]
		if !ok {
			return nil, fmt.Errorf("%s: %w", name, os.ErrNotExist)
		}
		if e.link == "" {
			return io.NewSectionReader(a.file, e.offset, e.size), nil
		}
		name = e.link
	}
	return nil, fmt.Errorf("%s: too many links", name)
}

// read gives a small entry.
func (a *archiveFile) read(name string) ([]byte, error) {
	r, err := a.open(name)
	if err != nil {
		return nil, err
	}
	if r.Size() > maxMetadata {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are taken", name, r.Size(), maxMetadata)
	}
	return io.ReadAll(r)
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
