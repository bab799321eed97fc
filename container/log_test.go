package container

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// written gives the log of writes to stdout, and its path.
func written(t *testing.T, writes ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), logFile)
	log, err := openLog(file, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer log.close()
	for _, text := range writes {
		log.write("stdout", []byte(text))
	}
	return file
}

func readLog(t *testing.T, file string, q LogQuery) string {
	t.Helper()
	f := &logFiles{base: file, rotated: true}
	defer f.Close()
	if err := f.start(q.Tail); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	err := scan(f, q, func() (bool, error) { return false, nil }, func(l Line) error {
		b.Write(l.Text)
		if l.Ended {
			b.WriteByte('\n')
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What was written comes back byte for byte, however it was cut.
func TestLogIsExact(t *testing.T) {
	for _, writes := range [][]string{{"a\nb\n"}, {"a", "b\n", "c"}, {"\n\n"}, {"x\r\n", "y\x00z\n"}, {"no end"}, {strings.Repeat("long ", 20000) + "\n"}, {" P F \n"}} {
		if got, want := readLog(t, written(t, writes...), LogQuery{Tail: -1}), strings.Join(writes, ""); got != want {
			t.Errorf("%.40q came back as %.40q", want, got)
		}
	}
}

func TestLogTail(t *testing.T) {
	lines := make([]string, 30000)
	for i := range lines {
		lines[i] = fmt.Sprintf("line %d\n", i)
	}
	for _, test := range []struct {
		writes []string
		tail   int
		want   string
	}{
		{[]string{"a\n", "b\n", "c\n"}, 2, "b\nc\n"}, {[]string{"a\nb\nc"}, 2, "b\nc"}, {[]string{"a", "b", "c\n", "d\n"}, 2, "abc\nd\n"},
		{[]string{"a\n"}, 5, "a\n"}, {[]string{"a\n"}, 0, ""}, {nil, 3, ""}, {lines, 2, "line 29998\nline 29999\n"}, {lines, 20000, strings.Join(lines[10000:], "")},
	} {
		if got := readLog(t, written(t, test.writes...), LogQuery{Tail: test.tail}); got != test.want {
			t.Errorf("the last %d of %.40q: %.60q, want %.60q", test.tail, test.writes, got, test.want)
		}
	}
}

func TestLogTimes(t *testing.T) {
	file := written(t, "now\n")
	now := time.Now()
	for _, test := range []struct {
		q    LogQuery
		want string
	}{
		{LogQuery{Tail: -1, Since: now.Add(-time.Hour)}, "now\n"}, {LogQuery{Tail: -1, Since: now.Add(time.Hour)}, ""},
		{LogQuery{Tail: -1, Until: now.Add(time.Hour)}, "now\n"}, {LogQuery{Tail: -1, Until: now.Add(-time.Hour)}, ""},
	} {
		if got := readLog(t, file, test.q); got != test.want {
			t.Errorf("%+v: %q, want %q", test.q, got, test.want)
		}
	}
}

// A torn line, as a full disk leaves it, is passed over.
func TestLogTorn(t *testing.T) {
	file := written(t, "good\n")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append([]byte("2026-11-25T09:00:00.00\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := readLog(t, file, LogQuery{Tail: -1}); got != "good\n" {
		t.Errorf("%q", got)
	}
}
