package image

import (
	"archive/tar"
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// A layer in the store is a directory, but an image's id names the archives
// that its layers came as, byte by byte. What the directory does not tell, the
// headers and their order, is kept beside it: the frame of the archive. With it
// a layer can be written as the archive that it was. It is compressed by zstd
// and holds, in the order of the archive,
//
//	D LENGTH BYTES        bytes as they are
//	F SIZE LENGTH NAME    the content of a file of the layer
//
// numbers as in encoding/binary's Uvarint.

// frameWriter stands between an archive and its reader, and sees what is read.
type frameWriter struct {
	r     *bufio.Reader
	w     *bufio.Writer
	z     *zstd.Encoder
	bytes []byte // not yet written
	inner int64  // bytes of the current file's content; -1 outside of one
	err   error
}

const frameChunk = 64 << 10

func newFrameWriter(r *bufio.Reader, w io.Writer) (*frameWriter, error) {
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(256<<10))
	if err != nil {
		return nil, err
	}
	return &frameWriter{r: r, w: bufio.NewWriterSize(z, frameChunk), z: z, inner: -1}, nil
}

// errFrame says that an archive cannot be made again from what is unpacked.
var errFrame = errors.New("the archive has more than one file of a name")

// Read is the archive's.
func (f *frameWriter) Read(b []byte) (int, error) {
	n, err := f.r.Read(b)
	if f.inner >= 0 {
		f.inner += int64(n)
		return n, err
	}
	if f.bytes = append(f.bytes, b[:n]...); len(f.bytes) >= frameChunk {
		f.flush()
	}
	return n, err
}

func (f *frameWriter) flush() {
	if len(f.bytes) > 0 {
		f.put('D', uint64(len(f.bytes)))
		f.write(f.bytes)
		f.bytes = f.bytes[:0]
	}
}

func (f *frameWriter) put(kind byte, numbers ...uint64) {
	b := []byte{kind}
	for _, n := range numbers {
		b = binary.AppendUvarint(b, n)
	}
	f.write(b)
}

func (f *frameWriter) write(b []byte) {
	if f.err == nil {
		_, f.err = f.w.Write(b)
	}
}

// file begins the content of a file, which is not kept. A sparse one has less
// in the archive than it has, and is kept whole.
func (f *frameWriter) file(h *tar.Header, name string) {
	if h.Size == 0 || isSparse(h) {
		return
	}
	f.flush()
	f.put('F', uint64(h.Size), uint64(len(name)))
	f.write([]byte(name))
	f.inner = 0
}

// fileEnd ends it.
func (f *frameWriter) fileEnd(size int64) {
	if f.inner >= 0 && f.inner != size && f.err == nil {
		f.err = fmt.Errorf("%d bytes were read of a file of %d", f.inner, size)
	}
	f.inner = -1
}

// lose says that a file has gone whose content is not kept.
func (f *frameWriter) lose() {
	if f.err == nil {
		f.err = errFrame
	}
}

// end takes what follows the archive's end, too. It says whether the frame is of use.
func (f *frameWriter) end(archive bool) (bool, error) {
	if archive {
		if _, err := io.Copy(io.Discard, struct{ io.Reader }{f}); err != nil {
			f.err = errors.Join(f.err, f.z.Close())
			return false, err
		}
	}
	f.flush()
	if f.err == nil {
		f.err = f.w.Flush()
	}
	if err := f.z.Close(); f.err == nil {
		f.err = err
	}
	return archive && f.err == nil, nil
}

// Rebuild writes the archive that a layer came as: from its frame, and the
// files in its directory.
func Rebuild(ctx context.Context, w io.Writer, frame io.Reader, root int) error {
	return rebuildFrame(ctx, w, frame, filesOf(root))
}

// fileContent writes as many bytes of a layer's file as were asked for.
type fileContent func(w io.Writer, name string, size int64) error

// filesOf is the content of the files below a directory.
func filesOf(root int) fileContent {
	buf := make([]byte, 256<<10)
	return func(w io.Writer, name string, size int64) error { return copyFile(w, root, name, size, buf) }
}

func rebuildFrame(ctx context.Context, w io.Writer, frame io.Reader, files fileContent) error {
	z, err := zstd.NewReader(frame, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
	if err != nil {
		return err
	}
	defer z.Close()
	r := bufio.NewReaderSize(z, frameChunk)
	for {
		kind, err := r.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		n, err := binary.ReadUvarint(r)
		if err != nil {
			return err
		}
		switch kind {
		case 'D':
			_, err = io.CopyN(w, r, int64(n))
		case 'F':
			err = rebuildFile(w, r, int64(n), files)
		default:
			err = fmt.Errorf("unknown mark %q in the frame of a layer", kind)
		}
		if err != nil {
			return err
		}
	}
}

// rebuildFile copies the content of a file, whose name the frame has next.
func rebuildFile(w io.Writer, r *bufio.Reader, size int64, files fileContent) error {
	n, err := binary.ReadUvarint(r)
	if err != nil || n > unix.PathMax {
		return errors.Join(errors.New("reading the frame of a layer: not a name"), err)
	}
	name := make([]byte, n)
	if _, err := io.ReadFull(r, name); err != nil {
		return err
	}
	return files(w, string(name), size)
}

func copyFile(w io.Writer, root int, name string, size int64, buf []byte) error {
	fd, err := unix.Openat2(root, path.Clean(name), &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if err != nil {
		return fmt.Errorf("opening %s: %w", name, err)
	}
	defer unix.Close(fd)
	copied, err := io.CopyBuffer(w, io.LimitReader(readDescriptor(fd), size), buf)
	if err == nil && copied != size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return nil
}

// readDescriptor reads without the poller that an os.File would ask.
type readDescriptor int

func (d readDescriptor) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(int(d), b)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}
