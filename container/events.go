package container

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"containers/rl/storage"
)

// Event is something that happened, in podman's words (podman-events(1)).
type Event struct {
	Time            time.Time
	Type            string // container, image, pod, volume, ...
	Status          string // create, start, died, remove, ...
	ID, Name, Image string
	Attributes      []string // NAME=VALUE: the pod's id, labels, exitCode
}

// PodAttribute is the name under which a container's events have its pod.
const PodAttribute = "pod_id"

// Events are lines of a file in the data directory, written at once each, so
// that no two writers mix:
//
//	1700000000000000000 container start ID "name" "image" "exitCode=0" ...
//
// The file is begun anew when it is large; one older file is kept.
const (
	eventsFile = "events"
	noID       = "-"
	mostEvents = 4 << 20 // bytes
)

// event is one of this container, now.
func (o *Options) event(status string, attributes ...string) Event {
	for name, value := range o.Labels {
		attributes = append(attributes, name+"="+value)
	}
	slices.Sort(attributes)
	if o.Pod != nil {
		attributes = append([]string{PodAttribute + "=" + o.Pod.ID}, attributes...)
	}
	return Event{time.Now(), "container", status, o.ID, o.Name, o.ImageName, attributes}
}

// at is the same event with another status.
func (e Event) at(status string, attributes ...string) Event {
	e.Status, e.Attributes = status, append(slices.Clone(e.Attributes), attributes...)
	return e
}

// Emit records events of what is no container.
func Emit(d storage.Dirs, events ...Event) { emit(d, events...) }

// Emit records an event of a container. That a disk is full is told by other
// means.
func (i *Info) Emit(d storage.Dirs, status string, attributes ...string) {
	emit(d, i.Options.event(status, attributes...))
}

func emit(d storage.Dirs, events ...Event) {
	var text []byte
	for _, e := range events {
		text = fmt.Appendf(text, "%d %s %s %s %q %q", e.Time.UnixNano(), e.Type, e.Status, first(e.ID, noID), e.Name, e.Image)
		for _, a := range e.Attributes {
			text = fmt.Appendf(text, " %q", a)
		}
		text = append(text, '\n')
	}
	file := path.Join(d.Data, eventsFile)
	fd, err := unix.Open(file, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	_ = writeAll(fd, text)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) == nil && st.Size > mostEvents {
		_ = os.Rename(file, file+".1")
	}
}

// parseEvent reads a line. ok is false for one that is none.
func parseEvent(line string) (e Event, ok bool) {
	var words []string
	for line = strings.TrimSuffix(line, "\n"); line != ""; line = strings.TrimPrefix(line, " ") {
		word, rest, _ := strings.Cut(line, " ")
		if line[0] == '"' {
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return e, false
			}
			word, _ = strconv.Unquote(quoted)
			rest = line[len(quoted):]
		}
		words, line = append(words, word), rest
	}
	if len(words) < 6 {
		return e, false
	}
	if words[3] == noID {
		words[3] = ""
	}
	at, err := strconv.ParseInt(words[0], 10, 64)
	return Event{time.Unix(0, at), words[1], words[2], words[3], words[4], words[5], words[6:]}, err == nil
}

// Events gives those since a time, oldest first, and with until in the future
// or zero and follow goes on to wait for more.
func Events(d storage.Dirs, since, until time.Time, follow bool, each func(Event) error) error {
	file := path.Join(d.Data, eventsFile)
	fd, err := unix.Open(file, unix.O_WRONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600) // to be watched
	if err != nil {
		return fmt.Errorf("opening the events: %w", &os.PathError{Op: "open", Path: file, Err: err})
	}
	unix.Close(fd)
	take := func(line string) error {
		e, ok := parseEvent(line)
		if !ok || e.Time.Before(since) || !until.IsZero() && e.Time.After(until) {
			return nil
		}
		return each(e)
	}
	if old, err := os.Open(file + ".1"); err == nil {
		err = eventLines(old, take)
		old.Close()
		if err != nil {
			return err
		}
	}
	current, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("opening the events: %w", err)
	}
	defer current.Close()
	if err := eventLines(current, take); err != nil || !follow {
		return err
	}
	return followEvents(current, until, take)
}

func eventLines(r io.Reader, take func(string) error) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return nil // a line is written at once
		}
		if err != nil {
			return fmt.Errorf("reading the events: %w", err)
		}
		if err := take(line); err != nil {
			return err
		}
	}
}

// followEvents waits for lines until a time. A file that was begun anew is
// found by its inode.
func followEvents(file *os.File, until time.Time, take func(string) error) error {
	for until.IsZero() || time.Now().Before(until) {
		time.Sleep(eventDelay)
		now, err := os.Open(file.Name())
		if err == nil && !same(file, now) {
			err = eventLines(file, take)
			*file, *now = *now, *file
		}
		if now != nil {
			now.Close()
		}
		if err == nil || errors.Is(err, os.ErrNotExist) {
			err = eventLines(file, take)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// eventDelay is how late an event may be seen.
const eventDelay = 50 * time.Millisecond

func same(a, b *os.File) bool {
	x, err1 := a.Stat()
	y, err2 := b.Stat()
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}
