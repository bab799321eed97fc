package image

import (
	"archive/tar"
	"bytes"
	"context"
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

// unpackIn gives the layer's directory, and one beside it that must not change.
func unpackIn(t testing.TB, layer []byte) (dir, outside string, err error) {
	t.Helper()
	base := t.TempDir()
	dir, outside = filepath.Join(base, "layer"), filepath.Join(base, "outside")
	for _, d := range []string{dir, outside} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(outside, "kept"), []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	fd, openErr := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if openErr != nil {
		t.Fatal(openErr)
	}
	defer unix.Close(fd)
	_, _, err = Unpack(context.Background(), fd, bytes.NewReader(layer), UnpackOptions{SingleID: true, MaxSize: 1 << 20})
	return dir, outside, err
}

func untouched(t testing.TB, outside string) {
	t.Helper()
	list, err := os.ReadDir(outside)
	text, readErr := os.ReadFile(filepath.Join(outside, "kept"))
	if err != nil || readErr != nil || len(list) != 1 || string(text) != "kept" {
		t.Fatalf("outside of the layer: %v %v %v %q", list, err, readErr, text)
	}
	above, err := os.ReadDir(filepath.Dir(outside))
	if err != nil || len(above) != 2 {
		t.Fatalf("above the layer: %v, %v", above, err)
	}
}

func TestUnpack(t *testing.T) {
	dir, outside, err := unpackIn(t, archive(t,
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
	untouched(t, outside)
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

// What a hostile layer tries: every attempt stays inside or fails.
func TestUnpackStaysInside(t *testing.T) {
	for name, entries := range map[string][]entry{
		"parents":         {{name: "../outside/kept", kind: tar.TypeReg, body: "x"}, {name: "../../outside/new", kind: tar.TypeReg}},
		"absolute":        {{name: "/outside/kept", kind: tar.TypeReg, body: "x"}},
		"link to outside": {{name: "l", kind: tar.TypeSymlink, link: "../outside"}, {name: "l/kept", kind: tar.TypeReg, body: "x"}},
		"absolute link":   {{name: "l", kind: tar.TypeSymlink, link: "/"}, {name: "l/outside/kept", kind: tar.TypeReg, body: "x"}},
		"file over link":  {{name: "l", kind: tar.TypeSymlink, link: "../outside/kept"}, {name: "l", kind: tar.TypeReg, body: "x"}},
		"hard link":       {{name: "h", kind: tar.TypeLink, link: "../outside/kept"}, {name: "h", kind: tar.TypeReg, body: "x"}},
		"dir over link":   {{name: "l", kind: tar.TypeSymlink, link: "../outside"}, {name: "l", kind: tar.TypeDir, mode: 0o700}},
		"loop":            {{name: "l", kind: tar.TypeSymlink, link: "l"}, {name: "l/x", kind: tar.TypeReg, body: "x"}},
		"whiteout":        {{name: "l", kind: tar.TypeSymlink, link: "../outside"}, {name: "l/.wh.kept", kind: tar.TypeReg}},
		"opaque":          {{name: "l", kind: tar.TypeSymlink, link: "../outside"}, {name: "l/.wh..wh..opq", kind: tar.TypeReg}},
	} {
		t.Run(name, func(t *testing.T) {
			_, outside, err := unpackIn(t, archive(t, entries...))
			t.Logf("error: %v", err)
			untouched(t, outside)
		})
	}
}

func TestUnpackTruncated(t *testing.T) {
	layer := archive(t, entry{name: "f", kind: tar.TypeReg, body: strings.Repeat("x", 5000)})
	if _, _, err := unpackIn(t, layer[:2000]); err == nil {
		t.Error("half an archive is taken")
	}
}

// A hole costs nothing in the archive, and the disk in the store.
func TestUnpackTooLarge(t *testing.T) {
	layer := archive(t, entry{name: "a", kind: tar.TypeReg, body: strings.Repeat("x", 1<<20)}, entry{name: "b", kind: tar.TypeReg, body: "x"})
	if _, _, err := unpackIn(t, layer); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("a byte too much: %v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(archive(f, entry{name: "l", kind: tar.TypeSymlink, link: "../outside"}, entry{name: "l/kept", kind: tar.TypeReg, body: "x"}))
	f.Add(archive(f, entry{name: "a/.wh.b", kind: tar.TypeReg}, entry{name: "h", kind: tar.TypeLink, link: "/etc/passwd"}))
	f.Fuzz(func(t *testing.T, layer []byte) {
		_, outside, _ := unpackIn(t, layer)
		untouched(t, outside)
	})
}
