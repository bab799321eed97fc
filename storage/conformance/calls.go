package conformance

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// long ago: a time that nothing gets by chance, with nanoseconds.
var ago = time.Unix(1_000_000_000, 123_456_789)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t *testing.T, what string, err error, errnos ...error) {
	t.Helper()
	if !slices.ContainsFunc(errnos, func(e error) bool { return errors.Is(err, e) || e == nil && err == nil }) {
		t.Errorf("%s: %v, want one of %v", what, err, errnos)
	}
}

func mkdir(t *testing.T, parts ...string) string {
	t.Helper()
	dir := filepath.Join(parts...)
	must(t, os.MkdirAll(dir, 0o755))
	return dir
}

// write replaces or makes a file, with the directories to it.
func write(t *testing.T, text string, parts ...string) string {
	t.Helper()
	path := filepath.Join(parts...)
	mkdir(t, filepath.Dir(path))
	must(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

// old is write with times long ago.
func old(t *testing.T, text string, parts ...string) string {
	t.Helper()
	path := write(t, text, parts...)
	must(t, os.Chtimes(path, ago, ago))
	return path
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	_, err = f.WriteString(text)
	must(t, err)
	must(t, f.Close())
}

func holds(t *testing.T, want string, parts ...string) {
	t.Helper()
	path := filepath.Join(parts...)
	if text, err := os.ReadFile(path); err != nil || string(text) != want {
		t.Errorf("%q holds %.60q, want %.60q: %v", path, text, want, err)
	}
}

func absent(t *testing.T, parts ...string) {
	t.Helper()
	path := filepath.Join(parts...)
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("%q: %v, it must not be there", path, err)
	}
}

// lists checks a directory's names, sorted by the caller.
func lists(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q lists %q, want %q", dir, got, want)
	}
}

func lstat(t *testing.T, path string) unix.Stat_t {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatalf("lstat %q: %v", path, err)
	}
	return st
}

func xattr(t *testing.T, path, name string) string {
	t.Helper()
	value := make([]byte, 65536)
	n, err := unix.Lgetxattr(path, name, value)
	if errors.Is(err, unix.ENODATA) {
		return ""
	}
	must(t, err)
	return string(value[:n])
}

func xattrs(t *testing.T, path string) []string {
	t.Helper()
	list := make([]byte, 65536)
	n, err := unix.Llistxattr(path, list)
	must(t, err)
	var found []string
	for name := range bytes.SplitSeq(bytes.TrimSuffix(list[:n], []byte{0}), []byte{0}) {
		if s := string(name); s != "" && !strings.HasPrefix(s, "security.selinux") {
			found = append(found, s)
		}
	}
	slices.Sort(found)
	return found
}

// isOld checks that a file still has the time of old.
func isOld(t *testing.T, path string) {
	t.Helper()
	if st := lstat(t, path); st.Mtim.Nano() != ago.UnixNano() {
		t.Errorf("%q was modified at %v, want %v", path, time.Unix(st.Mtim.Unix()), ago)
	}
}

func whiteout(t *testing.T, parts ...string) {
	t.Helper()
	path := filepath.Join(parts...)
	mkdir(t, filepath.Dir(path))
	must(t, unix.Mknod(path, unix.S_IFCHR, 0))
}

func opaque(t *testing.T, parts ...string) {
	t.Helper()
	must(t, unix.Setxattr(mkdir(t, parts...), "user.overlay.opaque", []byte("y"), 0))
}
