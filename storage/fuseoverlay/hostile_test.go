package fuseoverlay

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"containers/rl/storage/conformance"
)

func write(t *testing.T, text string, parts ...string) {
	t.Helper()
	path := filepath.Join(parts...)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestHostileLayers: links in the layers, also those that take a directory's
// place while it is mounted, lead the server nowhere.
func TestHostileLayers(t *testing.T) {
	if !conformance.InNamespace(t) {
		return
	}
	dir := t.TempDir()
	outside := filepath.Join(dir, "outside")
	write(t, "secret", outside, "secret")
	write(t, "0", dir, "l0/d/file")
	must(t, os.MkdirAll(dir+"/l1", 0o755))
	must(t, os.Symlink(outside, dir+"/l1/d"))
	must(t, os.Symlink(outside, dir+"/l1/link"))
	write(t, "1", dir, "l1/swapped/below")
	write(t, "1", dir, "l1/file")
	for _, name := range []string{"upper/swapped", "upper/work", "work"} {
		must(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
	}
	root := mountHere(t, Layers{Lower: []string{dir + "/l0", dir + "/l1"}, Upper: dir + "/upper", Work: dir + "/work"})

	if entries, err := os.ReadDir(root + "/d"); err != nil || len(entries) != 1 {
		t.Errorf("a directory over a link lists %v: %v", entries, err)
	}
	write(t, "new", root, "d/new")
	if to, err := os.Readlink(root + "/link"); err != nil || to != outside {
		t.Errorf("a link leads to %q: %v", to, err)
	}
	if err := unix.Mkdir(root+"/link", 0o755); err != unix.EEXIST {
		t.Errorf("mkdir over a link: %v", err)
	}

	if _, err := os.Stat(root + "/swapped"); err != nil {
		t.Fatal(err)
	}
	for _, layer := range []string{"/upper", "/l1"} {
		must(t, os.Rename(dir+layer+"/swapped", dir+layer+"/was"))
		must(t, os.Symlink(outside, dir+layer+"/swapped"))
	}
	if text, err := os.ReadFile(root + "/swapped/secret"); err == nil {
		t.Errorf("through a link that took a directory's place, %q was read", text)
	}
	if err := os.WriteFile(root+"/swapped/written", nil, 0o644); err == nil {
		t.Error("through a link that took a directory's place, a file was made")
	}

	if _, err := os.Stat(root + "/file"); err != nil {
		t.Fatal(err)
	}
	must(t, os.Remove(dir+"/l1/file"))
	must(t, unix.Mkfifo(dir+"/l1/file", 0o644))
	if text, err := os.ReadFile(root + "/file"); err == nil && len(text) > 0 {
		t.Errorf("of a fifo that took a file's place, %q was read", text)
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
		t.Errorf("outside there is now %v: %v", entries, err)
	}
}
