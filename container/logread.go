package container

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// Line is a part of a log: a line, or what was written of it at once.
type Line struct {
	Time   time.Time
	Stream string // stdout or stderr
	Text   []byte // valid until the next
	Ended  bool   // a newline followed
}

// LogQuery says which lines are wanted.
type LogQuery struct {
	Since, Until time.Time // zero: no limit
	Tail         int       // the last lines; negative: all
	Follow       bool      // go on until the container ends
	Ready        func()    // called when nothing that is written from now on is missed; or nil
}

// ErrNoLog says that a container was made with --log-driver none.
var ErrNoLog = errors.New("this container using the 'none' log driver, cannot read logs: --log-driver none keeps nothing")

// Logs gives the lines of a container's log, oldest first.
func (i *Info) Logs(q LogQuery, each func(Line) error) error {
	if i.Options.NoLog {
		return ErrNoLog
	}
	file, err := os.Open(path.Join(i.Dir, logFile))
	if errors.Is(err, os.ErrNotExist) && !i.Running() {
		return nil // never started
	}
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("reading the log of container %s: it runs in the foreground with --rm, so what it writes is not kept", i.Name())
	}
	if err != nil {
		return fmt.Errorf("reading the log of container %s: %w", i.Name(), err)
	}
	defer file.Close()
	if q.Tail >= 0 {
		if err := seekTail(file, q.Tail); err != nil {
			return fmt.Errorf("reading the log of container %s: %w", i.Name(), err)
		}
	}
	follow := func() (bool, error) { return false, nil }
	if q.Follow && i.Running() {
		watch, err := i.watch(file.Name())
		if err != nil {
			return err
		}
		defer watch.close()
		follow = watch.more
	}
	if q.Ready != nil {
		q.Ready()
	}
	return scan(file, q, follow, each)
}

// scan reads lines to the end of the file, and again as long as more says so.
func scan(r io.Reader, q LogQuery, more func() (bool, error), each func(Line) error) error {
	lines := bufio.NewReaderSize(r, 2*carrySize)
	var begun []byte // of a line that is being written
	for {
		text, err := lines.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			begun = append(begun, text...)
			if again, err := more(); err != nil || !again {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("reading a log: %w", err)
		}
		if len(begun) > 0 {
			text, begun = append(begun, text...), nil
		}
		line, ok := parseLine(text)
		if !ok || line.Time.Before(q.Since) {
			continue
		}
		if !q.Until.IsZero() && line.Time.After(q.Until) {
			return nil
		}
		if err := each(line); err != nil {
			return err
		}
	}
}

// parseLine reads TIME STREAM F|P TEXT.
func parseLine(text []byte) (line Line, ok bool) {
	stamp, rest, _ := bytes.Cut(text, []byte{' '})
	stream, rest, _ := bytes.Cut(rest, []byte{' '})
	mark, rest, found := bytes.Cut(rest, []byte{' '})
	at, err := time.Parse(time.RFC3339Nano, string(stamp))
	if err != nil || !found {
		return line, false
	}
	return Line{at, string(stream), bytes.TrimSuffix(rest, []byte{'\n'}), string(mark) == "F"}, true
}

// seekTail finds the place from which so many lines follow. It reads backwards:
// a log can be large.
func seekTail(file *os.File, lines int) error {
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	var tail []byte // from a place on
	for start := end; ; {
		size := min(start, 4*carrySize)
		block := make([]byte, size, size+int64(len(tail)))
		if _, err := file.ReadAt(block, start-size); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		start -= size
		tail = append(block, tail...)
		if at, found := tailOffset(tail, lines); found || start == 0 {
			_, err := file.Seek(start+int64(at), io.SeekStart)
			return err
		}
	}
}

// tailOffset finds the beginning of the last lines. A line without an end
// counts when it is the last.
func tailOffset(text []byte, lines int) (at int, found bool) {
	if lines == 0 {
		return len(text), true
	}
	for end, counted := len(text), 0; end > 0; {
		begin := bytes.LastIndexByte(text[:end-1], '\n') + 1
		line, ok := parseLine(text[begin:end])
		if ok && (line.Ended || end == len(text)) {
			if counted == lines {
				return end, true
			}
			counted++
		}
		end = begin
	}
	return 0, false
}

// logWatch waits for more to read.
type logWatch struct {
	changes int // inotify(7)
	monitor int // pidfd
	over    bool
}

func (i *Info) watch(file string) (*logWatch, error) {
	w := &logWatch{changes: -1, monitor: -1}
	var err error
	if w.monitor, err = i.State.Monitor.pidfd(); errors.Is(err, unix.ESRCH) {
		w.over, w.monitor = true, -1
		return w, nil
	}
	if err == nil {
		if w.changes, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err == nil {
			_, err = unix.InotifyAddWatch(w.changes, file, unix.IN_MODIFY)
		}
	}
	if err != nil {
		w.close()
		return nil, fmt.Errorf("following the log of container %s: %w", i.Name(), err)
	}
	return w, nil
}

func (w *logWatch) close() {
	for _, fd := range []int{w.changes, w.monitor} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// more waits. What was written before the monitor's end is still to be read,
// so the end is told once as more.
func (w *logWatch) more() (bool, error) {
	if w.over {
		return false, nil
	}
	fds := []unix.PollFd{{Fd: int32(w.changes), Events: unix.POLLIN}, {Fd: int32(w.monitor), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
		return false, err
	}
	var buffer [4096]byte
	_, _ = unix.Read(w.changes, buffer[:])
	w.over = fds[1].Revents != 0
	return true, nil
}
