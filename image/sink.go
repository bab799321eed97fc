package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

func bytesReader(b []byte) io.Reader { return bytes.NewReader(b) }

// countedSum hashes and counts what is written.
type countedSum struct {
	w   io.Writer
	sum hash.Hash
	n   int64
}

func (c *countedSum) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.sum.Write(b[:n])
	c.n += int64(n)
	return n, err
}

// sink takes the files of an image: an archive, or a directory.
type sink interface {
	put(name string, size int64, r io.Reader) error
	close() error
}

// epoch is the time of all that we write, so that the same image makes the same archive.
var epoch = time.Unix(0, 0).UTC()

type tarSink struct{ w *tar.Writer }

func (s tarSink) put(name string, size int64, r io.Reader) error {
	if err := s.w.WriteHeader(&tar.Header{Name: name, Mode: 0o444, Size: size, ModTime: epoch, Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	n, err := io.Copy(s.w, r)
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

func (s tarSink) close() error { return s.w.Close() }

// dirSink writes below a directory, which it makes.
type dirSink string

func (s dirSink) put(name string, size int64, r io.Reader) (err error) {
	path := filepath.Join(string(s), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".put-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	n, err := io.Copy(tmp, r)
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return os.Rename(tmp.Name(), path)
}

func (s dirSink) close() error { return nil }

// Beside makes the file that is to be renamed to target: that is path, or what a
// link there leads to, which need not be there.
func Beside(path, pattern string) (tmp *os.File, target string, err error) {
	target = path
	for n := 0; ; n++ {
		to, err := os.Readlink(target)
		if err != nil {
			break // no link
		}
		if n == maxLinks {
			return nil, "", fmt.Errorf("opening %s: %w", path, unix.ELOOP)
		}
		if !filepath.IsAbs(to) {
			to = filepath.Dir(target) + "/" + to // not cleaned: a/.. may be elsewhere when a is a link
		}
		target = to
	}
	tmp, err = os.CreateTemp(filepath.Dir(target), pattern)
	var of *fs.PathError
	if errors.As(err, &of) {
		of.Path = path // which is what the user knows
	}
	return tmp, target, err
}
