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

// ErrNoLog says that nothing of what a container writes is kept.
var ErrNoLog = errors.New("this container is not logging output")

// Logs gives the lines of a container's log, oldest first. That of the journal
// is read by other means.
func (i *Info) Logs(q LogQuery, each func(Line) error) error {
	o := &i.Options
	if driver := o.LogDriver(); driver == LogNone || driver == LogPassthrough {
		return fmt.Errorf("this container is using the '%s' log driver, cannot read logs: %w", driver, ErrNoLog)
	}
	failed := func(err error) error { return fmt.Errorf("reading the log of container %s: %w", i.Name(), err) }
	files := &logFiles{base: i.LogPath(), rotated: o.Log.MaxSize > 0}
	defer files.Close()
	follow := func() (bool, error) { return false, nil }
	if q.Follow && (i.Running() || i.Status == StatusRestarting) {
		watch, err := i.watch(q.Until)
		if err != nil {
			return err
		}
		defer watch.close()
		follow, files.entered = watch.more, watch.add
	}
	err := files.start(q.Tail)
	for n := 0; n < 200 && errors.Is(err, os.ErrNotExist) && i.Running() && (o.Detached || !o.Remove); n++ { // about to be made
		time.Sleep(5 * time.Millisecond)
		err = files.start(q.Tail)
	}
	if errors.Is(err, os.ErrNotExist) && o.Remove && !o.Detached && o.Log.Path == "" && i.Running() {
		return failed(errors.New("it runs in the foreground with --rm, so what it writes is not kept"))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) { // it may never have been started
		return failed(err)
	}
	if q.Ready != nil {
		q.Ready()
	}
	if err = scan(files, q, follow, each); err == nil && files.Lost {
		err = failed(errors.New("parts of it were removed before they were read: --log-opt max-size and max-file keep too little"))
	}
	return err
}

// LogPath is the file of the log; "" when it is not a file.
func (i *Info) LogPath() string {
	switch i.Options.LogDriver() {
	case LogNone, LogPassthrough, LogJournald:
		return ""
	}
	return first(i.Options.Log.Path, path.Join(i.Dir, logFile))
}

// scan reads lines to the end of the file, and again as long as more says so.
func scan(r io.Reader, q LogQuery, more func() (bool, error), each func(Line) error) error {
	lines := bufio.NewReaderSize(r, 2*carrySize)
	var parser lineParser
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
		line, ok := parser.parse(text)
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

// lineParser reads lines. Many have the time of the one before: what was
// written at once.
type lineParser struct {
	stamp []byte
	at    time.Time
}

// parse reads TIME STREAM F|P TEXT.
func (p *lineParser) parse(text []byte) (line Line, ok bool) {
	stamp, rest, _ := bytes.Cut(text, []byte{' '})
	stream, rest, _ := bytes.Cut(rest, []byte{' '})
	mark, rest, found := bytes.Cut(rest, []byte{' '})
	if !found {
		return line, false
	}
	if !bytes.Equal(stamp, p.stamp) {
		at, err := time.Parse(time.RFC3339Nano, string(stamp))
		if err != nil {
			return line, false
		}
		p.stamp, p.at = append(p.stamp[:0], stamp...), at
	}
	line = Line{Time: p.at, Text: bytes.TrimSuffix(rest, []byte{'\n'}), Ended: string(mark) == "F"}
	switch string(stream) {
	case "stdout":
		line.Stream = "stdout"
	case "stderr":
		line.Stream = "stderr"
	}
	return line, true
}

// logWatch waits for more to read.
type logWatch struct {
	changes int // inotify(7)
	monitor int // pidfd
	until   time.Time
	over    bool
}

func (i *Info) watch(until time.Time) (*logWatch, error) {
	w := &logWatch{changes: -1, monitor: -1, until: until}
	var err error
	if w.monitor, err = i.State.Monitor.pidfd(); errors.Is(err, unix.ESRCH) {
		w.over, w.monitor = true, -1
		return w, nil
	}
	if err == nil {
		w.changes, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	}
	if err != nil {
		w.close()
		return nil, fmt.Errorf("following the log of container %s: %w", i.Name(), err)
	}
	return w, nil
}

// add comes before the file is read: what is written, or renamed, from then on
// wakes us.
func (w *logWatch) add(file *os.File) {
	if w.changes >= 0 {
		_, _ = unix.InotifyAddWatch(w.changes, fdPath(int(file.Fd())), unix.IN_MODIFY|unix.IN_MOVE_SELF)
	}
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
	limit := -1
	if !w.until.IsZero() {
		limit = int(max(0, time.Until(w.until)+time.Millisecond-1) / time.Millisecond)
		w.over = limit == 0
	}
	fds := []unix.PollFd{{Fd: int32(w.changes), Events: unix.POLLIN}, {Fd: int32(w.monitor), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, limit); err != nil && !errors.Is(err, unix.EINTR) {
		return false, err
	}
	var buffer [4096]byte
	_, _ = unix.Read(w.changes, buffer[:])
	w.over = w.over || fds[1].Revents != 0
	return true, nil
}
