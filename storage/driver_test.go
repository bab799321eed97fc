package storage

import (
	"errors"
	"fmt"
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

// TestPassing: an error that will be gone has the trial fail, and is not kept as an answer.
func TestPassing(t *testing.T) {
	d := Dirs{Data: t.TempDir()}
	for _, test := range []struct {
		err  error
		kept bool
	}{
		{unix.EPERM, true}, {unix.ENODEV, true}, {unix.EINVAL, true}, {unix.ENOMEM, false}, {unix.EMFILE, false}, {unix.EIO, false},
		{said([]byte(encodeFailure(&os.PathError{Op: "open", Path: "/dev/fuse", Err: unix.ENOENT}))), true},
		{said([]byte(encodeFailure(&os.PathError{Op: "open", Path: "/dev/fuse", Err: unix.ENFILE}))), false},
	} {
		refused, err := d.try(filepath.Join(d.Data, "trying"), Fuse, func(_, _, _, _ string) (error, error) { return fmt.Errorf("mounting: %w", test.err), nil })
		if got := refused != nil && err == nil; got != test.kept || errors.Is(err, test.err) == test.kept {
			t.Errorf("%v: refused %v, err %v", test.err, refused, err)
		}
	}
}

// TestForgetDriver: the best one stays known.
func TestForgetDriver(t *testing.T) {
	d := Dirs{Data: t.TempDir()}
	for _, name := range []string{Overlay, Fuse, VFS} {
		if err := errors.Join(d.recordDriver(Driver{Name: name}), d.ForgetDriver()); err != nil {
			t.Error(err)
		}
		if _, ok := d.Driver(); ok != (name == Overlay) {
			t.Errorf("%s is known: %v", name, ok)
		}
	}
}

// TestKeptNames: what NFS keeps of a removed file that is open is in nobody's way, and nothing else is taken for it.
func TestKeptNames(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	d := Dirs{Data: t.TempDir()}
	home := filepath.Join(d.Data, "trying")
	for name, want := range map[string]bool{".nfs0001": true, "file": false} { // a mount on it has the same error
		file := filepath.Join(home, "upper", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o600), unix.Mount("/dev/null", file, "", unix.MS_BIND, "")); err != nil {
			t.Fatal(err)
		}
		if _, err := d.TryDriver(); (err == nil) != want {
			t.Errorf("trying beside %s: %v", name, err)
		}
		if err := RemoveTree(unix.AT_FDCWD, home); errors.Is(err, ErrOpen) != want || err == nil {
			t.Errorf("removing %s: %v", name, err)
		}
		if err := errors.Join(unix.Unmount(file, unix.MNT_DETACH), RemoveTree(unix.AT_FDCWD, d.Data)); err != nil {
			t.Fatal(err)
		}
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
	if err := errors.Join(os.MkdirAll(d.Frames(), 0o700), os.WriteFile(d.Marks("layer"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if r, err := d.firstOf(filepath.Join(d.Data, "trying")); err != nil || r.Name != VFS || !strings.Contains(r.Reason, "whiteouts that only copies know") {
		t.Errorf("with a layer of an archive's marks: %+v, %v", r, err)
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
