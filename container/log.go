package container

import (
	"bytes"
	"fmt"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// Log says where what a container writes is kept (docker-run(1),
// podman-run(1), --log-driver and --log-opt). The zero value is podman's
// k8s-file in the container's directory, without a limit.
type Log struct {
	Driver  string `json:",omitzero"` // "": k8s-file
	Path    string `json:",omitzero"` // of the file; "": in the container's directory
	MaxSize int64  `json:",omitzero"` // bytes; then another file is begun
	MaxFile int    `json:",omitzero"` // how many files are kept with MaxSize; 0: one
	Tag     string `json:",omitzero"` // CONTAINER_TAG of the journal
}

// The log drivers. json-file is written as k8s-file, as podman does it.
const (
	LogK8s         = "k8s-file"
	LogJSON        = "json-file"
	LogJournald    = "journald"
	LogNone        = "none"
	LogPassthrough = "passthrough" // the container has our own streams
)

// LogDriver is the name of what keeps the log.
func (o *Options) LogDriver() string {
	if o.NoLog {
		return LogNone
	}
	return first(o.Log.Driver, LogK8s)
}

// plain says whether the log is a file that is only ever appended to.
func (l *Log) plain() bool { return l.Driver != LogJournald && l.MaxSize == 0 }

// logTime is the time of a line, as podman's k8s-file has it.
const logTime = "2006-01-02T15:04:05.000000000-07:00"

// logger appends to a container's log, in the form of podman's k8s-file and of
// Kubernetes' CRI: TIME STREAM F|P TEXT, where P is a line not ended yet.
type logger struct {
	fd     int // -1: no file
	head   []byte
	buffer []byte
	rotation
	journal *journal // in place of a file
	cut     bool     // the last write failed
}

// noLog keeps nothing.
func noLog() *logger { return &logger{fd: -1} }

func openLog(file string, maxSize int64, maxFile int) (*logger, error) {
	l := &logger{fd: -1, rotation: rotation{base: file, limit: maxSize, keep: max(maxFile, 1)}}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	return l, nil
}

func (l *logger) open() (err error) {
	if l.fd, err = unix.Open(l.base, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600); err != nil {
		return fmt.Errorf("open %s: %w", l.base, err)
	}
	l.size = 0
	if l.limit > 0 {
		l.size, err = unix.Seek(l.fd, 0, unix.SEEK_END)
	}
	return err
}

// openLog opens the log of a container, or one that keeps nothing.
func (o *Options) openLog(dir string) (*logger, error) {
	switch {
	case o.Log.Driver == LogJournald:
		j, err := openJournal(journalSocket, o)
		return &logger{fd: -1, journal: j}, err
	case o.NoLog || o.Log.Driver == LogPassthrough, o.Remove && !o.Detached && o.Log.Path == "":
		return noLog(), nil
	}
	return openLog(first(o.Log.Path, path.Join(dir, logFile)), o.Log.MaxSize, o.Log.MaxFile)
}

// logged: the output of a container that stays goes into its log. Of one in the
// foreground that is removed at its end, nobody could read it.
func (o *Options) logged() bool {
	if o.TTY || o.Log.Driver == LogPassthrough {
		return false
	}
	return o.Detached || !o.Remove && !o.NoLog || o.Log.Driver == LogJournald || o.Log.Path != ""
}

// Write makes it an io.Writer, for a terminal: that has one stream.
func (l *logger) Write(text []byte) (int, error) {
	l.write("stdout", text)
	return len(text), nil
}

func (l *logger) write(stream string, text []byte) {
	if l.journal != nil {
		l.journal.write(stream, text)
		return
	}
	if l.fd < 0 {
		return
	}
	head := time.Now().AppendFormat(l.head[:0], logTime)
	head = append(append(append(head, ' '), stream...), " F "...)
	mark := len(head) - 2
	out := l.buffer[:0]
	if l.cut {
		out = append(out, '\n')
	}
	for len(text) > 0 {
		size := bytes.IndexByte(text, '\n') + 1
		if size == 0 || l.limit > 0 && int64(size) > l.limit {
			size, head[mark] = len(text), 'P'
			if l.limit > 0 {
				size = min(size, int(l.limit))
			}
		}
		begin := len(out)
		out = append(append(out, head...), text[:size]...)
		if head[mark] == 'P' {
			out, head[mark] = append(out, '\n'), 'F'
		}
		if l.limit > 0 && l.size+int64(len(out)) > l.limit && l.size+int64(begin) > 0 {
			l.put(out[:begin])
			l.rotate()
			out = append(out[:0], out[begin:]...)
		}
		text = text[size:]
	}
	l.head, l.buffer = head, out
	l.put(out)
}

// put: a full disk stops the log, not the container. A line that was cut off is
// ended before the next, which is read then; of itself the reader makes what it
// can.
func (l *logger) put(text []byte) {
	l.cut = writeAll(l.fd, text) != nil
	l.size += int64(len(text))
}

func (l *logger) close() {
	if l.fd >= 0 {
		unix.Close(l.fd)
		l.fd = -1
	}
	if l.journal != nil {
		l.journal.close()
		l.journal = nil
	}
}
