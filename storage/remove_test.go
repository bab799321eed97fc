package storage

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// asNobody runs the test again as a user whom permissions bind, and says
// whether this is that second run.
func asNobody(t *testing.T) bool {
	t.Helper()
	if os.Getuid() != 0 {
		return true
	}
	dir := t.TempDir()
	for p := dir; len(p) > len(os.TempDir()); p = filepath.Dir(p) {
		if err := os.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	// The test binary lies where only root may look.
	copied := filepath.Join(dir, "test")
	if err := os.WriteFile(copied, self, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(copied, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
	return false
}

func mkdir(t *testing.T, mode os.FileMode, parts ...string) string {
	t.Helper()
	dir := filepath.Join(parts...)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o400); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestRemoveTreeModes removes directories that their owner may not enter.
func TestRemoveTreeModes(t *testing.T) {
	if !asNobody(t) {
		return
	}
	for _, mode := range []os.FileMode{0, 0o100, 0o200, 0o300, 0o400, 0o500, 0o600} {
		root := filepath.Join(t.TempDir(), "tree")
		mkdir(t, mode, root, "a", "b")
		if err := os.Chmod(filepath.Join(root, "a"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(root, mode); err != nil {
			t.Fatal(err)
		}
		if err := RemoveTree(unix.AT_FDCWD, root); err != nil || exists(root) {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

// TestRemoveTreeDeep removes a tree deeper than descriptors and path names go.
func TestRemoveTreeDeep(t *testing.T) {
	if !asNobody(t) {
		return
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	lower := unix.Rlimit{Cur: 256, Max: limit.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lower); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	root := filepath.Join(t.TempDir(), "tree")
	if err := os.Mkdir(root, 0o700); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(root, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3000 {
		if err := unix.Mkdirat(fd, "directory", 0o700); err != nil {
			t.Fatal(err)
		}
		next, err := unix.Openat(fd, "directory", unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if i%7 == 0 { // closed behind us
			if err := os.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), 0o500); err != nil {
				t.Fatal(err)
			}
		}
		unix.Close(fd)
		fd = next
	}
	unix.Close(fd)
	if err := RemoveTree(unix.AT_FDCWD, root); err != nil || exists(root) {
		t.Errorf("RemoveTree: %v", err)
	}
}

// TestRemoveTreeLinks: what links lead to stays.
func TestRemoveTreeLinks(t *testing.T) {
	outside := mkdir(t, 0o700, t.TempDir(), "outside")
	root := mkdir(t, 0o700, t.TempDir(), "tree")
	for name, target := range map[string]string{"dir": outside, "file-link": filepath.Join(outside, "file"), "dangling": "nowhere"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{root, link} {
		if err := RemoveTree(unix.AT_FDCWD, path); err != nil || exists(path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if !exists(filepath.Join(outside, "file")) {
		t.Error("a link was followed")
	}
	if err := RemoveTree(unix.AT_FDCWD, link); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("removing what is not there: %v", err)
	}
}

// TestRemoveTreeWide removes more entries than one read of a directory gives.
func TestRemoveTreeWide(t *testing.T) {
	root := t.TempDir()
	tree := mkdir(t, 0o700, root, "tree")
	for i := range 3000 {
		if err := os.WriteFile(filepath.Join(tree, fmt.Sprintf("a-file-with-a-longer-name-%d", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fd, err := unix.Open(root, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := RemoveTree(fd, "tree"); err != nil || exists(tree) {
		t.Errorf("RemoveTree: %v", err)
	}
}
