package container

import (
	"errors"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// rotation keeps a log below a size: a file that is full is renamed to FILE.1,
// that to FILE.2 and so on, and the oldest is removed.
//
// Who reads a file holds a lock of it (flock(2)). One that is being read is
// kept beyond the number of files asked for, and so are all that are younger:
// a reader that is not quite as fast loses nothing, and stops nobody.
type rotation struct {
	base  string
	limit int64 // bytes; 0: the file grows
	keep  int   // files
	size  int64 // of the file being written
}

// keptForReaders bounds what a reader that sleeps may cost.
const keptForReaders = 256

func (r *rotation) name(n int) string { return logName(r.base, n) }

func logName(base string, n int) string {
	if n == 0 {
		return base
	}
	return base + "." + strconv.Itoa(n)
}

// rotate begins another file. Files are renamed oldest first, so that no name
// is given twice; readers rely on that order.
func (l *logger) rotate() {
	last := 0
	for exists(l.name(last + 1)) {
		last++
	}
	for n := last; n >= 0; n-- {
		_ = os.Rename(l.name(n), l.name(n+1))
	}
	old := l.fd
	if l.open() != nil {
		l.fd = old // better in the old file than nowhere
		return
	}
	unix.Close(old)
	for n := last + 1; n >= l.keep; n-- {
		if n < l.keep+keptForReaders && beingRead(l.name(n)) {
			return
		}
		_ = os.Remove(l.name(n))
	}
}

func exists(name string) bool {
	var st unix.Stat_t
	return unix.Lstat(name, &st) == nil
}

func beingRead(name string) bool {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return errors.Is(unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
}

// logFiles reads the files of a log as one, oldest first, while it grows and
// is rotated.
type logFiles struct {
	base    string
	rotated bool     // there may be more than one
	file    *os.File // locked, or nil: there is none yet
	over    bool     // nothing more is written to file
	entered func(*os.File)
	Lost    bool // files were removed before they were read
}

func (f *logFiles) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

// openLocked opens a file that is still there when it is locked.
func openLocked(name string) (*os.File, error) {
	for range 100 {
		file, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			return nil, err
		}
		if err = unix.Flock(int(file.Fd()), unix.LOCK_SH); err == nil && linked(file) {
			return file, nil
		}
		file.Close()
		if err != nil {
			return nil, &os.PathError{Op: "flock", Path: name, Err: err}
		}
	}
	return nil, &os.PathError{Op: "open", Path: name, Err: unix.EBUSY}
}

func linked(file *os.File) bool {
	var st unix.Stat_t
	return unix.Fstat(int(file.Fd()), &st) == nil && st.Nlink > 0
}

// enter goes on with another file.
func (f *logFiles) enter(file *os.File) {
	if f.file != nil {
		f.file.Close()
	}
	f.file, f.over = file, false
	if f.entered != nil {
		f.entered(file)
	}
}

// oldest enters the oldest file there is.
func (f *logFiles) oldest() error {
	for {
		file, err := openLocked(logName(f.base, f.highest()))
		if err == nil {
			f.enter(file)
			return nil
		}
		if !errors.Is(err, os.ErrNotExist) || f.highest() == 0 {
			return err
		}
	}
}

// highest is the number of the oldest file.
func (f *logFiles) highest() (most int) {
	if !f.rotated {
		return 0
	}
	entries, _ := os.ReadDir(path.Dir(f.base))
	for _, e := range entries {
		if number, ok := strings.CutPrefix(e.Name(), path.Base(f.base)+"."); ok {
			if n, err := strconv.Atoi(number); err == nil && n > most && n < keptForReaders*1000 {
				most = n
			}
		}
	}
	return most
}

// Read gives io.EOF where no more is written yet.
func (f *logFiles) Read(buffer []byte) (int, error) {
	for {
		if f.file == nil {
			if err := f.oldest(); errors.Is(err, os.ErrNotExist) {
				return 0, io.EOF
			} else if err != nil {
				return 0, err
			}
		}
		n, err := f.file.Read(buffer)
		if n > 0 || err != nil && !errors.Is(err, io.EOF) {
			return n, err
		}
		more, err := f.next()
		if err != nil {
			return 0, err
		}
		if !more {
			return 0, io.EOF
		}
	}
}

// next goes on to the next file, when there is one: first of all to what was
// written to this one before it was left. The younger file is opened before
// this one is let go, and is the next one if this one has its name still.
func (f *logFiles) next() (more bool, err error) {
	for end := time.Now().Add(renaming); ; time.Sleep(time.Millisecond) {
		n := f.index()
		switch {
		case n == 0:
			return false, nil
		case n > 0 && !f.over:
			f.over = true
			return true, nil
		case n < 0 && !linked(f.file):
			return f.passedOver()
		case n > 0:
			file, err := f.younger(n, time.Now().After(end))
			if err == nil && f.index() == n {
				f.enter(file)
				return true, nil
			}
			if err == nil {
				file.Close()
			} else if !errors.Is(err, os.ErrNotExist) {
				return false, err
			}
		}
		if time.Now().After(end.Add(renaming)) {
			return false, nil // its rl was killed while it renamed
		}
	}
}

// passedOver is for a file that is gone: with --rm all are.
func (f *logFiles) passedOver() (more bool, err error) {
	if !f.rotated {
		return false, nil
	}
	err = f.oldest()
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	f.Lost = true
	return true, err
}

// renaming is how long a number may be missing.
const renaming = 200 * time.Millisecond

// younger opens the file after number n; with gaps, when numbers are missing.
func (f *logFiles) younger(n int, gaps bool) (file *os.File, err error) {
	for n--; n >= 0; n-- {
		file, err = openLocked(logName(f.base, n))
		if !gaps || !errors.Is(err, os.ErrNotExist) {
			break
		}
	}
	return file, err
}

// index is the number of the file's name; -1 when it has none just now.
func (f *logFiles) index() int {
	ours, err := f.file.Stat()
	if err != nil {
		return -1
	}
	for n, most := 0, 0; n <= most; n++ {
		if info, err := os.Lstat(logName(f.base, n)); err == nil && os.SameFile(ours, info) {
			return n
		}
		if n == 0 {
			if most = f.highest() + 1; !f.rotated {
				most = 0
			}
		}
	}
	return -1
}
