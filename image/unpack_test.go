package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

type entry struct {
	name, link, body string
	kind             byte
	mode             int64
	attrs            map[string]string
}

func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if e.mode == 0 {
			e.mode = 0o755
		}
		h := &tar.Header{Name: e.name, Linkname: e.link, Typeflag: e.kind, Mode: e.mode, Size: int64(len(e.body))}
		for name, value := range e.attrs {
			if h.PAXRecords == nil {
				h.PAXRecords = map[string]string{}
			}
			h.PAXRecords[xattrPrefix+name] = value
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestUnpack(t *testing.T) {
	dir, err := unpackIn(t, archive(t,
		entry{name: "./", kind: tar.TypeDir},
		entry{name: "a/b/", kind: tar.TypeDir, mode: 0o1777},
		entry{name: "a/file", kind: tar.TypeReg, body: "hello", mode: 0o4755},
		entry{name: "a/hard", kind: tar.TypeLink, link: "a/file"},
		entry{name: "a/soft", kind: tar.TypeSymlink, link: "/etc/passwd"},
		entry{name: "a/pipe", kind: tar.TypeFifo},
		entry{name: "x/y/deep", kind: tar.TypeReg, body: "made"},
		entry{name: "a/file2", kind: tar.TypeReg, body: "one"},
		entry{name: "a/file2", kind: tar.TypeReg, body: "two"},
	))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a/file": "hello", "a/hard": "hello", "x/y/deep": "made", "a/file2": "two"} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	for name, want := range map[string]fs.FileMode{"a/file": fs.ModeSetuid | 0o755, "a/b": fs.ModeDir | fs.ModeSticky | 0o777, "a/pipe": fs.ModeNamedPipe | 0o755} {
		if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want %v", name, info, err, want)
		}
	}
	if target, err := os.Readlink(filepath.Join(dir, "a/soft")); err != nil || target != "/etc/passwd" {
		t.Errorf("a/soft: %q, %v", target, err)
	}
}

// TestUnpackSideBySide: the umask is the process's, and comes back after the last.
func TestUnpackSideBySide(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	layer := archive(t, entry{name: "d/f", kind: tar.TypeReg, mode: 0o644})
	root := t.TempDir()
	dir, err := os.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	start := func(name string) (begin func(), done chan error) {
		r, w := io.Pipe()
		done = make(chan error, 1)
		go func() {
			_, _, err := Unpack(context.Background(), int(dir.Fd()), r, UnpackOptions{SingleID: true, Name: func(in string) (string, bool) { return name + "/" + in, true }})
			done <- err
		}()
		if _, err := w.Write(layer[:1]); err != nil { // what is read from has begun
			t.Fatal(err)
		}
		return func() { _, _ = w.Write(layer[1:]); w.Close() }, done
	}
	first, firstDone := start("first")
	second, secondDone := start("second")
	first()
	err = <-firstDone
	second()
	if err = errors.Join(err, <-secondDone); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"first", "second"} {
		for file, want := range map[string]fs.FileMode{"d": fs.ModeDir | 0o755, "d/f": 0o644} {
			if info, err := os.Stat(filepath.Join(root, name, file)); err != nil || info.Mode() != want {
				t.Errorf("%s/%s: %v, %v, want %v", name, file, info.Mode(), err, want)
			}
		}
	}
	if got := unix.Umask(0o077); got != 0o077 {
		t.Errorf("the umask is %#o afterwards", got)
	}
}

func TestUnpackTruncated(t *testing.T) {
	layer := archive(t, entry{name: "f", kind: tar.TypeReg, body: strings.Repeat("x", 5000)})
	if _, err := unpackIn(t, layer[:2000]); err == nil {
		t.Error("half an archive is taken")
	}
}

// A hole costs nothing in the archive, and the disk in the store.
func TestUnpackTooLarge(t *testing.T) {
	layer := archive(t, entry{name: "a", kind: tar.TypeReg, body: strings.Repeat("x", 1<<20)}, entry{name: "b", kind: tar.TypeReg, body: "x"})
	if _, err := unpackIn(t, layer); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("a byte too much: %v", err)
	}
}
