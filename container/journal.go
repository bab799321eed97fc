package container

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// journalSocket is where systemd-journald(8) listens for its native protocol.
const journalSocket = "/run/systemd/journal/socket"

// JournalID is the field by which a container's lines are found in the journal.
const JournalID = "CONTAINER_ID_FULL"

// JournalPartial marks a part of a line, in the words of docker's journald driver.
const JournalPartial = "CONTAINER_PARTIAL_MESSAGE"

// journal sends lines to journald: a datagram of fields each, FIELD=VALUE with
// a newline, or where the value may hold one FIELD, a newline, its length in
// eight bytes and the value (systemd's JOURNAL_NATIVE_PROTOCOL).
type journal struct {
	fd     int
	socket string
	fields []byte // the same for all lines
	buffer []byte
}

func openJournal(socket string, o *Options) (*journal, error) {
	if _, err := os.Stat(socket); err != nil {
		return nil, fmt.Errorf("--log-driver journald: there is no journal here: %w: --log-driver k8s-file keeps a file", err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("--log-driver journald: making a socket: %w", err)
	}
	j := &journal{fd: fd, socket: socket}
	tag := o.logTag()
	for _, f := range [][2]string{{"CONTAINER_ID", o.ID[:12]}, {JournalID, o.ID}, {"CONTAINER_NAME", o.Name}, {"CONTAINER_TAG", tag},
		{"IMAGE_NAME", o.ImageName}, {"SYSLOG_IDENTIFIER", first(tag, o.Name, o.ID[:12])}} {
		if f[1] != "" {
			j.fields = appendField(j.fields, f[0], []byte(f[1]))
		}
	}
	if err := j.send(nil); err != nil {
		j.close()
		return nil, fmt.Errorf("--log-driver journald: sending to %s: %w", socket, err)
	}
	return j, nil
}

// LogTags are what --log-opt tag can hold (docker's "Log tags for logging
// driver").
var LogTags = []string{"{{.ID}}", "{{.FullID}}", "{{.Name}}", "{{.ImageName}}", "{{.ImageID}}", "{{.ImageFullID}}", "{{.DaemonName}}"}

func (o *Options) logTag() string {
	image := ""
	if o.Image != nil {
		image = o.Image.ID
	}
	values := []string{o.ID[:12], o.ID, o.Name, o.ImageName, image[:min(12, len(image))], image, "rl"}
	var pairs []string
	for n, tag := range LogTags {
		pairs = append(pairs, tag, values[n])
	}
	return strings.NewReplacer(pairs...).Replace(o.Log.Tag)
}

func appendField(to []byte, name string, value []byte) []byte {
	to = append(to, name...)
	if bytes.IndexByte(value, '\n') < 0 {
		return append(append(append(to, '='), value...), '\n')
	}
	to = binary.LittleEndian.AppendUint64(append(to, '\n'), uint64(len(value)))
	return append(append(to, value...), '\n')
}

func (j *journal) write(stream string, text []byte) {
	priority := "6" // info
	if stream == "stderr" {
		priority = "3" // error
	}
	for len(text) > 0 {
		line, rest, ended := bytes.Cut(text, []byte{'\n'})
		out := append(j.buffer[:0], j.fields...)
		out = appendField(out, "PRIORITY", []byte(priority))
		if !ended {
			out = appendField(out, JournalPartial, []byte("true"))
		}
		out = appendField(out, "MESSAGE", line)
		j.buffer = out
		_ = j.send(out) // no journal stops no container
		text = rest
	}
}

// send finds the socket anew each time: journald may be started again, and is
// waited for a little.
func (j *journal) send(text []byte) (err error) {
	for range 50 {
		err = unix.Sendto(j.fd, text, unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: j.socket})
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ENOENT):
			time.Sleep(20 * time.Millisecond)
		default:
			return err
		}
	}
	return err
}

func (j *journal) close() { unix.Close(j.fd) }
