package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// descriptor writes without the poller that an os.File would ask.
type descriptor int

func (d descriptor) Write(b []byte) (n int, err error) {
	for n < len(b) {
		m, err := unix.Write(int(d), b[n:])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return n, err
		}
		n += m
	}
	return n, nil
}

// umask is that of the process: layers are unpacked side by side, and none of
// them may see it as long as another is at work.
var umask mask

type mask struct {
	mu    sync.Mutex
	users int
	was   int
}

// none takes the umask away until again is called.
func (m *mask) none() (again func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.users++; m.users == 1 {
		m.was = unix.Umask(0)
	}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.users--; m.users == 0 {
			unix.Umask(m.was)
		}
	}
}

// isSparse says whether the archive has less of a file than the file has.
func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// hole is the least that is left out of a file: a block of most file systems.
const hole = 4 << 10

// holes writes a file without what is zero, so that an archive of a few bytes
// does not fill the disk.
func (u *unpacker) holes(fd int, r io.Reader, size int64) error {
	zeros := make([]byte, hole)
	for at := int64(0); at < size; {
		part := u.buf[:min(int64(len(u.buf)), size-at)]
		if _, err := io.ReadFull(r, part); err != nil {
			return err
		}
		if err := u.ctx.Err(); err != nil {
			return err
		}
		for len(part) > 0 {
			block := part[:min(hole, len(part))]
			if !bytes.Equal(block, zeros[:len(block)]) {
				if err := writeAt(fd, block, at); err != nil {
					return err
				}
			}
			part, at = part[len(block):], at+int64(len(block))
		}
	}
	return unix.Ftruncate(fd, size)
}

func writeAt(fd int, b []byte, at int64) error {
	if _, err := unix.Seek(fd, at, io.SeekStart); err != nil {
		return err
	}
	_, err := descriptor(fd).Write(b)
	return err
}

// room is what an archive may take: much more than the disk has free, as holes
// and compression of the file system are no offence, but no exabytes of holes.
func room(dir int) int64 {
	const least, most = 1 << 30, math.MaxInt64 / 2
	var st unix.Statfs_t
	if unix.Fstatfs(dir, &st) != nil || st.Blocks == 0 || st.Bsize <= 0 || st.Bavail > most/4/uint64(st.Bsize) {
		return most
	}
	return max(least, int64(st.Bavail)*st.Bsize*4)
}

// headroom is for the headers of an archive whose files take all that there is.
const headroom = 1 << 20

// bounded fails after so many bytes, of what may have no end.
func bounded(r io.Reader, most int64) io.Reader { return &boundedReader{r: r, left: most, most: most} }

type boundedReader struct {
	r          io.Reader
	left, most int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 { // one more tells the end from too much
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("it is longer than the %d bytes that are taken", b.most)
	}
	return n, err
}

// maxTimes bounds the memory for directories' times: some millions of them.
const maxTimes = 256 << 20

// later notes the time of a directory.
func (u *unpacker) later(name string, t unix.Timespec) error {
	if u.timed += len(name) + 64; u.timed > maxTimes {
		return fmt.Errorf("with it the archive has too many directories: their names take more than %d MiB", maxTimes>>20)
	}
	u.times = append(u.times, directoryTime{name, t})
	return nil
}

// shown is a name of an archive for a message: without what a terminal obeys,
// and no longer than is of use.
func shown(name string) string {
	const most = 200
	more := ""
	if len(name) > most {
		name, more = name[:most], "..."
	}
	if quoted := strconv.Quote(name); quoted != `"`+name+`"` {
		return quoted + more
	}
	return name + more
}
