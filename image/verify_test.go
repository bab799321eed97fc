package image

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"containers/rl/storage/layers"
)

// framed unpacks an archive with its frame, as a pull does.
func framed(t *testing.T, text []byte) layers.Layer {
	t.Helper()
	base := t.TempDir()
	l := layers.Layer{ID: "test", DiffID: digest.FromBytes(text), Dir: filepath.Join(base, "diff"), Frame: filepath.Join(base, "frame")}
	if err := os.Mkdir(l.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	frame, err := os.Create(l.Frame)
	if err != nil {
		t.Fatal(err)
	}
	defer frame.Close()
	fd, err := unix.Open(l.Dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	whole := false
	if _, _, err := Unpack(context.Background(), fd, bytes.NewReader(text), UnpackOptions{SingleID: true, Frame: frame, Framed: &whole}); err != nil || !whole {
		t.Fatalf("Unpack: frame %v, %v", whole, err)
	}
	return l
}

// TestVerify: whatever is changed in a layer's directory is found. One directory has two names there, of which the last counts.
func TestVerify(t *testing.T) {
	text := archive(t,
		entry{name: "./", kind: tar.TypeDir, mode: 0o755},
		entry{name: "usr/lib/", kind: tar.TypeDir, mode: 0o700},
		entry{name: "lib", kind: tar.TypeSymlink, link: "usr/lib"},
		entry{name: "lib/twice/", kind: tar.TypeDir, mode: 0o711},
		entry{name: "usr/lib/twice/", kind: tar.TypeDir, mode: 0o1777},
		entry{name: "a/", kind: tar.TypeDir},
		entry{name: "a/file", kind: tar.TypeReg, body: "text", mode: 0o4755},
		entry{name: "implied/empty", kind: tar.TypeReg, mode: 0o600},
		entry{name: "soft", kind: tar.TypeSymlink, link: "/a/file"},
		entry{name: "hard", kind: tar.TypeLink, link: "a/file"},
		entry{name: "pipe", kind: tar.TypeFifo, mode: 0o640},
		entry{name: "dev/null", kind: tar.TypeChar, mode: 0o666},
		entry{name: "hides/.wh..wh..opq", kind: tar.TypeReg},
		entry{name: ".wh.gone", kind: tar.TypeReg},
		entry{name: ".wh.again", kind: tar.TypeReg},
		entry{name: "again/below", kind: tar.TypeReg},
		entry{name: "a/.wh..wh..opq", kind: tar.TypeReg},
		entry{name: ".wh..wh.plnk", kind: tar.TypeReg})
	for _, c := range []struct {
		name  string
		hurt  func(dir string) error
		fault string // "" for none
	}{
		{"nothing", func(string) error { return nil }, ""},
		{"marks of the archive", archiveMarks, ""},
		{"a mark too many", func(dir string) error { return rewrite(dir+"/a/.wh.other", "", 0o600) }, "a/.wh.other: it is not in the archive"},
		{"a directory not opaque", func(dir string) error { return unix.Removexattr(dir+"/again", "user.overlay.opaque") }, "again/.wh..wh..opq: what it hides is not hidden"},
		{"content", func(dir string) error { return rewrite(dir+"/a/file", "tex!", 0o4755) }, "was changed"},
		{"shorter", func(dir string) error { return os.Truncate(dir+"/a/file", 2) }, "a/file: unexpected EOF"},
		{"longer", func(dir string) error { return os.Truncate(dir+"/implied/empty", 1) }, "implied/empty: it has 1 bytes, not 0"},
		{"no file", func(dir string) error { return os.Remove(dir + "/implied/empty") }, "implied/empty: no such file"},
		{"mode", func(dir string) error { return unix.Chmod(dir+"/a/file", 0o755) }, "its mode is 755, not 4755"},
		{"time", func(dir string) error { return unix.Utimes(dir+"/a/file", []unix.Timeval{{Sec: 9}, {Sec: 9}}) }, "a/file: its time is 9, not 0"},
		{"mode of a directory", func(dir string) error { return unix.Chmod(dir+"/usr/lib/twice", 0o700) }, "twice: its mode is 700, not 1777"},
		{"link", func(dir string) error { return relink(dir+"/soft", "/etc") }, "soft: it does not lead to /a/file"},
		{"hard link", func(dir string) error { return replaceBy(dir+"/hard", dir+"/a/file") }, "it is no link to a/file"},
		{"pipe", func(dir string) error { return replaceBy(dir+"/pipe", dir+"/a/file") }, "pipe: its type is 100000, not 10000"},
		{"whiteout", func(dir string) error { return os.Remove(dir + "/gone") }, ".wh.gone: no such file"},
		{"no whiteout", func(dir string) error { return replaceBy(dir+"/gone", dir+"/a/file") }, ".wh.gone: what it hides is not hidden"},
		{"opaque", func(dir string) error { return unix.Removexattr(dir+"/a", "user.overlay.opaque") }, "a/.wh..wh..opq: what it hides is not hidden"},
		{"surplus", func(dir string) error { return os.WriteFile(dir+"/implied/more", nil, 0o600) }, "implied/more: it is not in the archive"},
		{"surplus opaque", func(dir string) error { return unix.Setxattr(dir+"/usr", "user.overlay.opaque", []byte("y"), 0) }, "usr: it hides what is below, and not in the archive"},
		{"opaque root", func(dir string) error { return unix.Setxattr(dir, "user.overlay.opaque", []byte("y"), 0) }, ".: it hides what is below"},
		{"empty directory", func(dir string) error { return os.MkdirAll(dir+"/implied/more/yet", 0o700) }, "implied/more/yet: it is not in the archive\nimplied/more: it is not in the archive"},
		{"mode of the root", func(dir string) error { return unix.Chmod(dir, 0o700) }, ".: its mode is 700, not 755"},
		{"directory for a file", func(dir string) error { return os.Rename(dir+"/a", dir+"/b") }, "a/file: no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := framed(t, text)
			if err := c.hurt(l.Dir); err != nil {
				t.Fatal(err)
			}
			err := verify(context.Background(), l)
			if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
				t.Errorf("verify: %v, want %q", err, c.fault)
			}
		})
	}
}

func rewrite(name, text string, mode uint32) error {
	if err := os.WriteFile(name, []byte(text), 0); err != nil {
		return err
	}
	return unix.Chmod(name, mode)
}

func relink(name, target string) error {
	if err := os.Remove(name); err != nil {
		return err
	}
	return os.Symlink(target, name)
}

func replaceBy(name, other string) error {
	text, err := os.ReadFile(other)
	if err == nil {
		err = os.Remove(name)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(name, text, 0o644)
}

// archiveMarks turns the marks of overlay into those that a layer has on NFS.
func archiveMarks(dir string) error {
	for _, name := range []string{"/a", "/again"} {
		if err := unix.Removexattr(dir+name, "user.overlay.opaque"); err != nil {
			return err
		}
	}
	for _, name := range []string{"/.wh.gone", "/.wh.again", "/a/.wh..wh..opq"} {
		if err := os.WriteFile(dir+name, nil, 0o600); err != nil {
			return err
		}
	}
	if err := os.Remove(dir + "/gone"); err != nil {
		return err
	}
	return os.Chtimes(dir+"/a", time.Unix(0, 0), time.Unix(0, 0))
}
