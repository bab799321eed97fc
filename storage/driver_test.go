package storage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDriverFile: a choice holds for the kernel and the file system that it was made on.
func TestDriverFile(t *testing.T) {
	here := place{"6.1.0", 61267}
	choice := Driver{Name: VFS, Reason: "overlay cannot\nbe " + strings.Repeat("x", 2*maxDriver), Told: true}
	text := string(choice.encode(here))
	if len(text) > maxDriver {
		t.Errorf("%d bytes are written, %d read", len(text), maxDriver)
	}
	got, ok := decodeDriver(text, here)
	if !ok || got.Name != VFS || !got.Told || got.Forced || !strings.HasPrefix(got.Reason, "overlay cannot; be xxx") {
		t.Errorf("%v, %+v", ok, got)
	}
	for _, test := range []struct {
		text string
		here place
	}{
		{text, place{"6.1.1", 61267}}, {text, place{"6.1.0", 26985}}, {"", here}, {"driver vfs\n", here},
		{strings.Replace(text, "driver vfs", "driver other", 1), here}, {"\x00\xff\nkernel", here},
	} {
		if got, ok := decodeDriver(test.text, test.here); ok {
			t.Errorf("%.40q on %v is taken for %+v", test.text, test.here, got)
		}
	}
}

// TestMain is the server of an overlay, when it is started again as one.
func TestMain(m *testing.M) {
	if os.Args[0] == RoleOverlay {
		if ServeAsked(os.Stdin) != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestWantedDriver(t *testing.T) {
	for _, name := range []string{Overlay, Fuse, VFS} {
		if r, ok := (Dirs{Data: t.TempDir(), Wanted: name}).Driver(); !ok || r.Name != name || !r.Forced {
			t.Errorf("%s: %v, %+v", name, ok, r)
		}
	}
	env := map[string]string{"HOME": t.TempDir(), DriverVariable: "btrfs"}
	_, err := Locate(func(name string) string { return env[name] }, os.Getuid())
	if err == nil || !strings.Contains(err.Error(), `storage driver "btrfs": rl has the drivers overlay, fuse-overlayfs and vfs`) {
		t.Errorf("STORAGE_DRIVER=btrfs: %v", err)
	}
}

// TestTryDriver: where an overlay can be mounted it is chosen, and on an overlay it is not.
func TestTryDriver(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	base := t.TempDir()
	d := Dirs{Data: filepath.Join(base, "data")}
	leftover := filepath.Join(d.Data, "trying", "upper")
	if err := os.MkdirAll(leftover, 0o700); err != nil {
		t.Fatal(err)
	}
	first, err := d.TryDriver()
	if err != nil {
		t.Fatal(err)
	}
	if first.Name != Overlay {
		t.Skip("no overlay: ", first.Reason)
	}
	if again, ok := d.Driver(); !ok || again != first {
		t.Errorf("kept: %v, %+v; tried: %+v", ok, again, first)
	}
	if _, err := os.Stat(filepath.Dir(leftover)); err == nil {
		t.Error("the trial has left its directory")
	}
	merged := filepath.Join(base, "merged")
	for _, dir := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(base, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	_, options, err := OverlayOf([]string{filepath.Join(base, "lower")}, filepath.Join(base, "upper"), filepath.Join(base, "work"), "", filepath.Join(base, "l"))
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(base)
	if err := unix.Mount("overlay", merged, "overlay", 0, options); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(merged, unix.MNT_DETACH)
	second, err := Dirs{Data: filepath.Join(merged, "data")}.TryDriver()
	// It takes no whiteouts either, so none that a server of ours could make.
	if err != nil || second.Name != VFS || !strings.Contains(second.Reason, "overlay cannot be used on") || !strings.Contains(second.Reason, "making a whiteout") {
		t.Errorf("on an overlay: %+v, %v", second, err)
	}
}
