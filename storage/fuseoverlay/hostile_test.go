package fuseoverlay

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
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

// TestFullDisk: what fails for want of room has changed nothing, and no later
// change reaches a layer.
func TestFullDisk(t *testing.T) {
	if !conformance.InNamespace(t) {
		return
	}
	for _, xattrs := range []bool{false, true} {
		t.Run(fmt.Sprint("xattrs=", xattrs), func(t *testing.T) { onFullDisk(t, xattrs) })
	}
}

func onFullDisk(t *testing.T, xattrs bool) {
	dir, disk := t.TempDir(), t.TempDir()
	names := []string{"gone", "over", "from", "changed"}
	for _, name := range names {
		write(t, name, dir, name)
		must(t, os.Chmod(filepath.Join(dir, name), 0o644))
	}
	write(t, "below", dir, "d/below")
	must(t, unix.Mount("none", disk, "tmpfs", 0, "nr_inodes=40"))
	t.Cleanup(func() { must(t, unix.Unmount(disk, unix.MNT_DETACH)) })
	must(t, os.MkdirAll(disk+"/upper", 0o755))
	must(t, os.MkdirAll(disk+"/work", 0o755))
	if err := unix.Setxattr(disk+"/upper", "user.test", nil, 0); err != nil {
		t.Skipf("attributes on a tmpfs: %v", err)
	}
	root := mountHere(t, Layers{Lower: []string{dir}, Upper: disk + "/upper", Work: disk + "/work", XattrWhiteouts: xattrs})
	must(t, os.Chmod(root+"/from", 0o600)) // copied up
	must(t, os.RemoveAll(root+"/d"))
	write(t, "own", root, "d/own") // an own directory where a layer has one
	must(t, os.Mkdir(root+"/empty", 0o755))
	full := 0
	for ; ; full++ {
		if err := unix.Mknod(fmt.Sprint(disk, "/", full), unix.S_IFREG, 0); err == unix.ENOSPC {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}

	for what, err := range map[string]error{
		"removing a layer's file":                   unix.Unlink(root + "/gone"),
		"moving a layer's file over one":            unix.Rename(root+"/from", root+"/over"),
		"moving over a changed one":                 unix.Rename(root+"/from", root+"/empty/new"),
		"moving a directory":                        unix.Rename(root+"/d", root+"/new"),
		"moving a directory over an empty one":      unix.Rename(root+"/d", root+"/empty"),
		"moving a layer's file that is not changed": unix.Rename(root+"/changed", root+"/new"),
	} {
		if err != unix.ENOSPC {
			t.Errorf("%s on a full disk: %v", what, err)
		}
	}
	for i := range full {
		must(t, os.Remove(fmt.Sprint(disk, "/", i)))
	}
	for _, name := range names {
		must(t, os.Chmod(filepath.Join(root, name), 0o640))
		must(t, unix.Setxattr(filepath.Join(root, name), "user.test", nil, 0))
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(root, name))
		var st, below unix.Stat_t
		must(t, unix.Stat(filepath.Join(root, name), &st))
		must(t, unix.Stat(filepath.Join(dir, name), &below))
		if err != nil || string(text) != name || st.Mode&0o777 != 0o640 || below.Mode&0o777 != 0o644 {
			t.Errorf("%s holds %q with mode %o: %v; in the layer it has mode %o", name, text, st.Mode, err, below.Mode)
		}
	}
	seeUnchanged(t, root)
}

// seeUnchanged is for onFullDisk.
func seeUnchanged(t *testing.T, root string) {
	t.Helper()
	entries, err := os.ReadDir(root)
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	if want := []string{"changed", "d", "empty", "from", "gone", "over"}; err != nil || !slices.Equal(list, want) {
		t.Errorf("there is %q, want %q: %v", list, want, err)
	}
	if entries, err := os.ReadDir(root + "/empty"); err != nil || len(entries) > 0 {
		t.Errorf("in an empty directory: %v, %v", entries, err)
	}
	if entries, err := os.ReadDir(root + "/d"); err != nil || len(entries) != 1 || entries[0].Name() != "own" {
		t.Errorf("in an own directory: %v, %v", entries, err)
	}
}
