package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"containers/rl/storage/layers"
)

// TestCompare: what tells that a layer of another store has another form. The
// files are the test's own, so they stand for root's when one id is mapped.
func TestCompare(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"plain/file", "marked/file", "aufs/.wh.gone", "aufs/.wh..wh..opq"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755), os.WriteFile(filepath.Join(dir, name), nil, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Symlink("/etc", filepath.Join(dir, "away")), os.Chmod(dir, 0o555), unix.Setxattr(filepath.Join(dir, "marked"), "user.overlay.opaque", []byte("y"), 0)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o755) })
	root, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(root)
	uid, gid := os.Getuid(), os.Getgid()
	for _, c := range []struct {
		header tar.Header
		want   string
	}{
		{tar.Header{Name: "./", Mode: 0o755, Uid: uid, Gid: gid}, ""},
		{tar.Header{Name: "./", Mode: 0o777, Uid: uid, Gid: gid}, "has the mode 555 there and 777 in the image"},
		{tar.Header{Name: "./plain/file", Mode: 0o644, Uid: uid, Gid: gid}, ""},
		{tar.Header{Name: "plain/file", Mode: 0o4755, Uid: uid, Gid: gid}, "has the mode 644 there and 4755 in the image"},
		{tar.Header{Name: "plain/file", Mode: 0o644, Uid: uid + 1, Gid: gid}, "plain/file belongs to"},
		{tar.Header{Name: "plain/file", Mode: 0o644, Uid: uid, Gid: gid + 1}, "plain/file belongs to"},
		{tar.Header{Name: "plain/\x1b[2J", Mode: 0o644, Uid: uid, Gid: gid}, `"/plain/\x1b[2J": no such file`},
		{tar.Header{Name: "\x1b[2J/.wh..wh..opq"}, `"/\x1b[2J/": no such file`},
		{tar.Header{Name: "\x1b[2J/.wh.x"}, `"/\x1b[2J/x" is hidden`},
		{tar.Header{Name: "plain/none", Mode: 0o644, Uid: uid, Gid: gid}, "no such file"},
		{tar.Header{Name: "away/passwd", Mode: 0o644, Uid: uid, Gid: gid}, "no such file"},
		{tar.Header{Name: "../../../../etc/passwd", Mode: 0o644, Uid: uid, Gid: gid}, "no such file"},
		{tar.Header{Name: "away", Typeflag: tar.TypeSymlink, Mode: 0o600, Uid: uid, Gid: gid}, ""},
		{tar.Header{Name: "plain/file", Typeflag: tar.TypeLink, Uid: uid + 1}, ""},
		{tar.Header{Name: "dev/null", Typeflag: tar.TypeChar}, ""},
		{tar.Header{Name: "marked/.wh..wh..opq"}, ""},
		{tar.Header{Name: "plain/.wh..wh..opq"}, "a mark that is not user.overlay.opaque"},
		{tar.Header{Name: "aufs/.wh..wh..opq"}, "a mark that is not user.overlay.opaque"},
		{tar.Header{Name: "aufs/.wh.gone"}, "a mark that is no device 0:0"},
		{tar.Header{Name: "plain/.wh.file"}, "a mark that is no device 0:0"},
	} {
		err := comparison{root: root}.compare(&c.header)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %o %d:%d: %v, want %q", c.header.Name, c.header.Mode, c.header.Uid, c.header.Gid, err, c.want)
		}
	}
	squashed := comparison{root: root, single: true}.compare(&tar.Header{Name: "plain/file", Mode: 0o644, Uid: 82})
	if (squashed == nil) != (uid == 0 && gid == 0) {
		t.Errorf("with one id: %v", squashed)
	}
}

// split describes an archive as containers/storage does.
func split(t *testing.T, entries ...splitEntry) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for _, e := range entries {
		if err := json.NewEncoder(z).Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(t.TempDir(), "split.gz")
	if err := errors.Join(z.Close(), os.WriteFile(name, b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestRebuildSplit(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a": "content", "\xff": "raw"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		entries    []splitEntry
		want, fail string
	}{
		{[]splitEntry{{Type: 2, Payload: []byte("<")}, {Type: 1, Name: "./a", Size: 7, Payload: []byte("CRC")}, {Type: 2, Payload: []byte(">")}, {Type: 1, Name: "none"}}, "<content>", ""},
		{[]splitEntry{{Type: 1, RawName: []byte("\xff"), Size: 3}}, "raw", ""},
		{[]splitEntry{{Type: 1, Name: "a", Size: 3}}, "con", ""}, // the digest tells
		{[]splitEntry{{Type: 1, Name: "a", Size: 8}}, "", "unexpected EOF"},
		{[]splitEntry{{Type: 1, Name: "a", Size: -1}}, "", "unknown entry"},
		{[]splitEntry{{Type: 3}}, "", "unknown entry"},
		{[]splitEntry{{Type: 1, Name: "link", Size: 1}}, "", "too many levels"},
		{[]splitEntry{{Type: 1, Name: "../../../etc/passwd", Size: 1}}, "", "no such file"},
	} {
		var got bytes.Buffer
		l := storedLayer{layers.Layer{Dir: dir, Split: split(t, c.entries...)}}
		err := l.rebuild(context.Background(), &got)
		if c.fail == "" && (err != nil || got.String() != c.want) || c.fail != "" && (err == nil || !strings.Contains(err.Error(), c.fail)) {
			t.Errorf("%+v: %q, %v", c.entries, got.String(), err)
		}
	}
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("no gzip"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (storedLayer{layers.Layer{Dir: dir, Split: text}}).rebuild(context.Background(), new(bytes.Buffer)); err == nil {
		t.Error("what is no gzip is no description")
	}
}

// TestOpenOwn: a layer's directory that is a link, or lies in one, is not opened.
func TestOpenOwn(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "id", "diff"), 0o755), os.Symlink("id", filepath.Join(dir, "other")), os.Mkdir(filepath.Join(dir, "third"), 0o755), os.Symlink("/etc", filepath.Join(dir, "third", "diff"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"other/diff", "third/diff", "none/diff"} {
		if fd, err := openOwn(filepath.Join(dir, name)); err == nil {
			unix.Close(fd)
			t.Errorf("%s was opened", name)
		}
	}
	fd, err := openOwn(filepath.Join(dir, "id/diff"))
	if err == nil {
		unix.Close(fd)
	}
	if (err == nil) != (os.Getuid() == 0) { // only root of the namespace is ours
		t.Errorf("id/diff: %v", err)
	}
	if os.Chown(filepath.Join(dir, "id/diff"), 1, 1) == nil {
		if fd, err := openOwn(filepath.Join(dir, "id/diff")); err == nil {
			unix.Close(fd)
			t.Error("id/diff of another user was opened")
		}
	}
}
