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

// rotating gives a log of small files.
func rotating(t *testing.T, limit int64, keep int) (*logger, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), logFile)
	log, err := openLog(file, limit, keep)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.close)
	return log, file
}

func logSizes(t *testing.T, file string) (sizes []int64) {
	t.Helper()
	for n := 0; ; n++ {
		info, err := os.Stat(logName(file, n))
		if err != nil {
			return sizes
		}
		sizes = append(sizes, info.Size())
	}
}

// The files are no larger and no more than asked for, and hold the last that was written.
func TestLogRotates(t *testing.T) {
	for _, test := range []struct {
		limit int64
		keep  int
	}{{1000, 1}, {1000, 3}, {100, 5}, {50, 2}, {1 << 20, 2}} {
		log, file := rotating(t, test.limit, test.keep)
		var all strings.Builder
		for n := range 400 {
			text := fmt.Sprintf("line %d\n", n)
			if n%7 == 0 {
				text = strings.Repeat("long ", n%300) + text
			}
			log.write("stdout", []byte(text))
			all.WriteString(text)
		}
		sizes := logSizes(t, file)
		if len(sizes) > test.keep || len(sizes) < test.keep && test.limit < 1<<20 {
			t.Errorf("%+v: %d files", test, len(sizes))
		}
		for _, size := range sizes {
			if size > test.limit+100 { // a part of a line is never cut to nothing
				t.Errorf("%+v: a file of %d bytes", test, size)
			}
		}
		got := readLog(t, file, LogQuery{Tail: -1})
		if !strings.HasSuffix(all.String(), got) || got == "" {
			t.Errorf("%+v: not the end of what was written: %q", test, got)
		}
		if got := readLog(t, file, LogQuery{Tail: 1}); test.limit > 1000 && !strings.HasSuffix(got, "line 399\n") {
			t.Errorf("%+v: the last line is %q", test, got)
		}
	}
}

// The last lines are found through all files.
func TestLogTailRotated(t *testing.T) {
	log, file := rotating(t, 500, 10)
	var all []string
	for n := range 60 {
		all = append(all, fmt.Sprintf("line %d\n", n))
		log.write("stdout", []byte(all[n][:3]))
		log.write("stdout", []byte(all[n][3:]))
	}
	if sizes := logSizes(t, file); len(sizes) != 10 {
		t.Fatalf("%d files", len(sizes))
	}
	for _, tail := range []int{0, 1, 2, 5, 9, 20, 25} {
		want := strings.Join(all[len(all)-tail:], "")
		if got := readLog(t, file, LogQuery{Tail: tail}); got != want {
			t.Errorf("the last %d: %q, want %q", tail, got, want)
		}
	}
}

// A reader that follows loses nothing though one file alone is kept, and when it is gone no more is kept for it.
func TestLogFollowsRotation(t *testing.T) {
	log, file := rotating(t, 2000, 1)
	const lines = 20000
	files := &logFiles{base: file, rotated: true}
	if err := files.start(-1); err != nil {
		t.Fatal(err)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		for n := range lines {
			log.write("stdout", []byte(fmt.Sprintf("line %d\n", n)))
			if n%500 == 0 {
				time.Sleep(2 * time.Millisecond) // so that the reader is not left behind for good
			}
		}
	}()
	more := func() (bool, error) {
		select {
		case <-written:
			written = nil
			return true, nil
		case <-time.After(time.Millisecond):
			return written != nil, nil
		}
	}
	n, wrong := 0, 0
	err := scan(files, LogQuery{Tail: -1}, more, func(l Line) error {
		if want := fmt.Appendf(nil, "line %d", n); !bytes.Equal(l.Text, want) {
			wrong++
		}
		n++
		return nil
	})
	if err != nil || n != lines || wrong > 0 || files.Lost {
		t.Errorf("%d lines of %d, %d wrong, lost %v: %v", n, lines, wrong, files.Lost, err)
	}
	files.Close()
	log.write("stdout", bytes.Repeat([]byte("x\n"), 100))
	if sizes := logSizes(t, file); len(sizes) != 1 {
		t.Errorf("%d files are kept for nobody", len(sizes))
	}
}

// A reader that sleeps is left behind in the end, and learns of it.
func TestLogReaderSleeps(t *testing.T) {
	log, file := rotating(t, 100, 1)
	log.write("stdout", []byte("first\n"))
	files := &logFiles{base: file, rotated: true}
	if err := files.start(-1); err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	for n := range 3 * keptForReaders {
		log.write("stdout", []byte(fmt.Sprintf("line %d %s\n", n, strings.Repeat("x", 60))))
	}
	if sizes := logSizes(t, file); len(sizes) > keptForReaders+2 {
		t.Errorf("%d files are kept for a reader that sleeps", len(sizes))
	}
	last := ""
	err := scan(files, LogQuery{Tail: -1}, func() (bool, error) { return false, nil }, func(l Line) error { last = string(l.Text); return nil })
	if err != nil || !files.Lost || !strings.HasPrefix(last, fmt.Sprintf("line %d ", 3*keptForReaders-1)) {
		t.Errorf("lost %v, last %q: %v", files.Lost, last, err)
	}
}
