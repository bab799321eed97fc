package container

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What is sent has the form of journald's native protocol.
func TestJournal(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "socket")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	id := strings.Repeat("0123456789abcdef", 4)
	j, err := openJournal(socket, &Options{ID: id, Name: "web", ImageName: "two\nlines", Log: Log{Tag: "{{.Name}}/{{.ID}}"}})
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	receive := func() string {
		buffer := make([]byte, 4096)
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				t.Fatal(err)
			}
			if n > 0 { // the first of all is empty
				return string(buffer[:n])
			}
		}
	}
	j.write("stdout", []byte("one\nhalf"))
	first, second := receive(), receive()
	for _, want := range []string{"CONTAINER_ID=" + id[:12], "CONTAINER_ID_FULL=" + id, "CONTAINER_NAME=web", "CONTAINER_TAG=web/" + id[:12], "PRIORITY=6", "MESSAGE=one"} {
		if !slices.Contains(strings.Split(first, "\n"), want) {
			t.Errorf("no %s in %q", want, first)
		}
	}
	if !strings.Contains(first, "IMAGE_NAME\n\x09\x00\x00\x00\x00\x00\x00\x00two\nlines\n") {
		t.Errorf("no length before a value of two lines: %q", first)
	}
	if strings.Contains(first, JournalPartial) || !strings.Contains(second, JournalPartial+"=true\n") || !strings.Contains(second, "MESSAGE=half\n") {
		t.Errorf("%q, %q", first, second)
	}
	j.write("stderr", []byte("e\n"))
	if got := receive(); !strings.Contains(got, "PRIORITY=3\n") {
		t.Errorf("%q", got)
	}
}

func TestNoJournal(t *testing.T) {
	_, err := openJournal("/nonexistent/socket", &Options{})
	if err == nil || !strings.Contains(err.Error(), "--log-driver journald: there is no journal here") {
		t.Errorf("%v", err)
	}
}
