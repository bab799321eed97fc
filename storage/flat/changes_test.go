package flat

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// changes gives them as docker diff does.
func changes(t *testing.T, dir string, since unix.Timespec, hidden map[string]bool, layers ...string) (lines []string) {
	t.Helper()
	root, err := os.Open(dir)
	must(t, err)
	defer root.Close()
	s, err := Open(layers)
	must(t, err)
	defer s.Close()
	list, err := s.Changes(Copied{int(root.Fd()), since, hidden})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range list {
		lines = append(lines, fmt.Sprintf("%c %s", c.Kind, c.Path))
	}
	return lines
}

func TestChanges(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	lower, upper := t.TempDir(), t.TempDir()
	makeLower(t, lower)
	makeUpper(t, upper)
	for _, test := range []struct {
		name   string
		change func(at func(string) string) error
		want   []string
	}{
		{"nothing", func(func(string) string) error { return nil }, nil},
		{"a new file", func(at func(string) string) error { return os.WriteFile(at("etc/new"), nil, 0o600) }, []string{"C /etc", "A /etc/new"}},
		{"a new tree", func(at func(string) string) error { return os.MkdirAll(at("opt/a/b"), 0o755) }, []string{"A /opt", "A /opt/a", "A /opt/a/b"}},
		{"removed", func(at func(string) string) error { return os.RemoveAll(at("opaque")) }, []string{"D /opaque"}},
		{"written to", func(at func(string) string) error { return os.WriteFile(at("etc/keep"), []byte("other"), 0o600) }, []string{"C /etc", "C /etc/keep"}},
		{"another mode", func(at func(string) string) error { return os.Chmod(at("bin/same"), 0o700) }, []string{"C /bin", "C /bin/same", "C /bin/tool"}},
		{"a file for a directory", func(at func(string) string) error {
			if err := os.RemoveAll(at("file-to-dir")); err != nil {
				return err
			}
			return os.WriteFile(at("file-to-dir"), nil, 0o644)
		}, []string{"C /file-to-dir"}},
		{"a directory for a file", func(at func(string) string) error {
			if err := os.Remove(at("empty")); err != nil {
				return err
			}
			return os.MkdirAll(at("empty/sub"), 0o755)
		}, []string{"C /empty", "A /empty/sub"}},
		{"a link that leads elsewhere", func(at func(string) string) error {
			return replaceLink(at("dangling"), "anywher")
		}, []string{"C /dangling"}},
		{"an attribute", func(at func(string) string) error { return unix.Setxattr(at("etc/keep"), "user.more", []byte("1"), 0) }, []string{"C /etc", "C /etc/keep"}},
		{"the same size and time", func(at func(string) string) error { return disguised(at("etc/keep"), "KEEP\n") }, []string{"C /etc", "C /etc/keep"}},
		{"touched and the same", func(at func(string) string) error { return disguised(at("etc/keep"), "keep\n") }, nil},
		{"a place to mount on", func(at func(string) string) error { return os.MkdirAll(at("mnt/a"), 0o755) }, nil},
		{"a place that is filled", func(at func(string) string) error { return os.MkdirAll(at("mnt/a/b"), 0o755) }, []string{"A /mnt", "A /mnt/a", "A /mnt/a/b"}},
	} {
		dir, since := copied(t, upper, lower)
		must(t, test.change(func(name string) string { return filepath.Join(dir, name) }))
		hidden := map[string]bool{"/mnt": true, "/mnt/a": true}
		if got := changes(t, dir, since, hidden, upper, lower); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// replaceLink keeps the time.
func replaceLink(name, target string) error {
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err != nil {
		return err
	}
	if err := os.Remove(name); err != nil {
		return err
	}
	if err := os.Symlink(target, name); err != nil {
		return err
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}

// disguised writes to a file, and sets its time to what it was.
func disguised(name, text string) error {
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		return err
	}
	file, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.WriteString(text); err != nil {
		return err
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{st.Atim, st.Mtim}, 0)
}

// TestChangesMeanwhile: a container that runs removes and replaces what is being compared.
func TestChangesMeanwhile(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	layer := t.TempDir()
	for n := range 20 {
		write(t, filepath.Join(layer, fmt.Sprintf("d/sub%d/file", n)), "text\n")
		write(t, filepath.Join(layer, fmt.Sprintf("f%d", n)), strings.Repeat("text\n", 1000))
		must(t, os.Symlink("somewhere", filepath.Join(layer, fmt.Sprintf("l%d", n))))
	}
	dir, _ := copied(t, layer)
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; ; n = (n + 1) % 20 {
			select {
			case <-end:
				return
			default:
			}
			for _, name := range []string{"d/sub%d", "f%d", "l%d"} {
				churn(filepath.Join(dir, fmt.Sprintf(name, n)), filepath.Join(filepath.Dir(dir), "kept"))
			}
		}
	}()
	for stop := time.Now().Add(2 * time.Second); time.Now().Before(stop) && !t.Failed(); {
		changes(t, dir, unix.Timespec{}, nil, layer) // all is read; it fails on an error
	}
	close(end)
	<-ended
}

// churn makes a name nothing, a link, a socket and a directory for a moment each.
func churn(name, kept string) {
	_ = os.Rename(name, kept)
	_ = os.Symlink("elsewhere", name)
	_ = os.Remove(name)
	_ = unix.Mknod(name, unix.S_IFSOCK|0o600, 0)
	_ = os.Remove(name)
	_ = os.Mkdir(name, 0o700)
	_ = os.Remove(name)
	_ = os.Rename(kept, name)
}
