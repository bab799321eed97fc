package flat

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"containers/rl/storage/conformance"
)

func inNamespace(t *testing.T) bool {
	t.Helper()
	inside := conformance.InNamespace(t)
	if inside {
		unix.Umask(0)
	}
	return inside
}

// must is for what a test needs before it tests anything.
func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644))
	return name
}

// copied copies layers, topmost first, and gives the directory and when.
func copied(t *testing.T, layers ...string) (dir string, since unix.Timespec) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "root")
	must(t, os.Mkdir(dir, 0o700))
	root, err := os.Open(dir)
	must(t, err)
	defer root.Close()
	s, err := Open(layers)
	must(t, err)
	defer s.Close()
	if err := s.Copy(int(root.Fd())); err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond) // a tick of the clock of inodes
	stamp := write(t, filepath.Join(t.TempDir(), "stamp"), "")
	var st unix.Stat_t
	must(t, unix.Stat(stamp, &st))
	time.Sleep(20 * time.Millisecond)
	return dir, st.Mtim
}

// listing describes all that is in a tree, a line each.
func listing(t *testing.T, dir string) []string {
	t.Helper()
	var lines []string
	firsts := map[inode]string{}
	must(t, filepath.WalkDir(dir, func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(name, &st); err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, name)
		line := fmt.Sprintf("%q %o %d:%d %d.%09d", rel, st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec)
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFLNK:
			target, _ := os.Readlink(name)
			line += " -> " + target
		case unix.S_IFREG:
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %d %x", st.Size, hash(text))
			fallthrough
		case unix.S_IFDIR:
			line += " " + strings.Join(described(t, name), " ")
		}
		if id := (inode{uint64(st.Dev), st.Ino}); st.Mode&unix.S_IFMT != unix.S_IFDIR && st.Nlink > 1 {
			if firsts[id] == "" {
				firsts[id] = rel
			}
			line += " = " + firsts[id]
		}
		lines = append(lines, line)
		return nil
	}))
	return lines
}

func hash(text []byte) (sum uint64) {
	for _, b := range text {
		sum = sum*1099511628211 ^ uint64(b)
	}
	return sum
}

func described(t *testing.T, name string) (list []string) {
	t.Helper()
	fd, err := unix.Open(name, unix.O_RDONLY, 0)
	must(t, err)
	defer unix.Close(fd)
	names, err := attributes(fd)
	must(t, err)
	slices.Sort(names)
	for _, n := range names {
		text, err := value(fd, n)
		must(t, err)
		list = append(list, fmt.Sprintf("%s=%q", n, text))
	}
	return list
}

// capability is cap_net_raw+ep as security.capability has it (capabilities(7)).
const capability = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// makeLower makes a layer with every kind of file.
func makeLower(t *testing.T, dir string) {
	t.Helper()
	at := func(name string) string { return filepath.Join(dir, name) }
	write(t, at("etc/keep"), "keep\n")
	write(t, at("etc/change"), "before\n")
	write(t, at("etc/gone"), "gone\n")
	write(t, at("dir/inside/deep"), "deep\n")
	write(t, at("opaque/hidden"), "hidden\n")
	write(t, at("file-to-dir"), "a file\n")
	write(t, at("dir-to-file/child"), "a child\n")
	write(t, at("bin/tool"), "tool\n")
	must(t, os.Chmod(at("bin/tool"), 0o755|os.ModeSetuid|os.ModeSetgid), os.Link(at("bin/tool"), at("bin/same")), os.Link(at("bin/tool"), at("dir/same")))
	must(t, os.Symlink("/etc/passwd", at("absolute")), os.Symlink("../../../..", at("dir/up")), os.Symlink("nowhere", at("dangling")))
	must(t, unix.Mkfifo(at("fifo"), 0o622), unix.Mknod(at("socket"), unix.S_IFSOCK|0o640, 0))
	write(t, at(strings.Repeat("n", 255)), "long\n")
	write(t, at("not\xffutf8\x80"), "bytes\n")
	write(t, at("new\nline"), "line\n")
	must(t, os.Mkdir(at("closed"), 0o755))
	write(t, at("closed/file"), "closed\n")
	write(t, at("empty"), "")
	must(t, unix.Setxattr(at("etc/keep"), "user.note", []byte("a\x00b"), 0), unix.Setxattr(at("dir"), "user.note", []byte("dir"), 0),
		unix.Setxattr(at("etc/keep"), "user.large", []byte(strings.Repeat("x", 1500)), 0))
	if err := unix.Setxattr(at("bin/tool"), "security.capability", []byte(capability), 0); err != nil {
		t.Logf("no file capability: %v", err)
	}
	must(t, os.Chmod(at("closed"), 0), os.Mkdir(at("sticky"), 0o777), os.Chmod(at("sticky"), 0o777|os.ModeSticky|os.ModeSetgid))
	for _, name := range []string{"etc/keep", "absolute", "fifo"} {
		if err := os.Lchown(at(name), 5, 6); err != nil {
			t.Logf("owners are all root: %v", err)
		}
	}
	sparse(t, at("sparse"))
	old := []unix.Timespec{{Sec: 1000, Nsec: 5}, {Sec: 1_000_000_000, Nsec: 123_456_789}}
	for _, name := range []string{"etc/keep", "absolute", "dangling", "fifo", "socket", "dir/inside", "dir", "bin/tool", "sticky", "etc"} {
		must(t, unix.UtimesNanoAt(unix.AT_FDCWD, at(name), old, unix.AT_SYMLINK_NOFOLLOW))
	}
}

// sparse has data, a hole, data and a hole.
func sparse(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte("begin"), 0)
	must(t, err)
	_, err = f.WriteAt([]byte("middle"), 8<<20)
	must(t, err, f.Truncate(16<<20))
}

// makeUpper hides and replaces, with the marks of overlay.
func makeUpper(t *testing.T, dir string) {
	t.Helper()
	at := func(name string) string { return filepath.Join(dir, name) }
	must(t, os.Mkdir(at("etc"), 0o711))
	write(t, at("etc/change"), "after\n")
	must(t, unix.Mknod(at("etc/gone"), unix.S_IFCHR, 0), unix.Mknod(at("dir"), unix.S_IFCHR, 0))
	write(t, at("opaque/shown"), "shown\n")
	must(t, unix.Setxattr(at("opaque"), "user.overlay.opaque", []byte("y"), 0))
	write(t, at("file-to-dir/child"), "in a directory now\n")
	write(t, at("dir-to-file"), "a file now\n")
}

// TestAgainstOverlay compares a copy with what the kernel's overlay shows.
func TestAgainstOverlay(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	base := t.TempDir()
	var layers []string
	for _, name := range []string{"top", "upper", "lower"} {
		layers = append(layers, filepath.Join(base, name))
		must(t, os.Mkdir(layers[len(layers)-1], 0o755))
	}
	makeLower(t, layers[2])
	makeUpper(t, layers[1])
	write(t, filepath.Join(layers[0], "dir/again"), "there again\n") // above a whiteout
	must(t, os.Chmod(layers[0], 0o751))
	merged := filepath.Join(base, "merged")
	must(t, os.Mkdir(merged, 0o755))
	if err := unix.Mount("overlay", merged, "overlay", unix.MS_RDONLY, "userxattr,lowerdir="+strings.Join(layers, ":")); err != nil {
		t.Skipf("no overlay to compare with: %v", err)
	}
	defer unix.Unmount(merged, unix.MNT_DETACH)
	dir, _ := copied(t, layers...)
	want, got := listing(t, merged), listing(t, dir)
	if len(want) < 20 {
		t.Fatalf("the overlay shows %d files", len(want))
	}
	for n := range max(len(want), len(got)) {
		a, b := "nothing", "nothing"
		if n < len(want) {
			a = want[n]
		}
		if n < len(got) {
			b = got[n]
		}
		if a != b {
			t.Fatalf("the copy has\n\t%s\nthe overlay\n\t%s", b, a)
		}
	}
	var st unix.Stat_t
	must(t, unix.Stat(filepath.Join(dir, "sparse"), &st))
	if st.Size != 16<<20 || st.Blocks*512 > 2<<20 {
		t.Errorf("the sparse file has %d bytes in %d blocks", st.Size, st.Blocks)
	}
}

// TestArchiveMarks: layers that could be given none of overlay's marks.
func TestArchiveMarks(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	lower, upper := t.TempDir(), t.TempDir()
	for _, name := range []string{"gone", "kept/a", "kept/b", "opaque/hidden", "dir/x", "replaced/old"} {
		write(t, filepath.Join(lower, name), name)
	}
	for _, name := range []string{".wh.gone", "kept/.wh.a", "opaque/.wh..wh..opq", "opaque/shown", ".wh.dir", ".wh.replaced", "replaced/new", ".wh..wh.plnk"} {
		write(t, filepath.Join(upper, name), "")
	}
	dir, _ := copied(t, upper, lower)
	var names []string
	for _, line := range listing(t, dir) {
		names = append(names, strings.Trim(strings.Fields(line)[0], `"`))
	}
	want := []string{".", "kept", "kept/b", "opaque", "opaque/shown", "replaced", "replaced/new"}
	if !slices.Equal(names, want) {
		t.Errorf("copied %q, want %q", names, want)
	}
}

// TestUpper: in what a container changed, names like an archive's marks are files;
// and overlay has a third kind of whiteout.
func TestUpper(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	lower, upper := t.TempDir(), t.TempDir()
	for _, name := range []string{"kept", "gone", "dir/.wh.gone", "dir/kept", "files/gone", "files/kept"} {
		write(t, filepath.Join(lower, name), name)
	}
	for _, name := range []string{".wh.kept", "dir/.wh.kept", "dir/.wh..wh..opq", "files/gone", "files/kept"} {
		write(t, filepath.Join(upper, name), "")
	}
	must(t, unix.Mknod(filepath.Join(upper, "gone"), unix.S_IFCHR, 0), unix.Setxattr(filepath.Join(upper, "files"), "user.overlay.opaque", []byte("x"), 0),
		unix.Setxattr(filepath.Join(upper, "files/gone"), "user.overlay.whiteout", nil, 0))
	dir := t.TempDir()
	root, err := os.Open(dir)
	must(t, err)
	defer root.Close()
	s, err := OpenChanged(upper, []string{lower})
	must(t, err)
	defer s.Close()
	must(t, s.Copy(int(root.Fd())))
	var names []string
	for _, line := range listing(t, dir) {
		names = append(names, strings.Trim(strings.Fields(line)[0], `"`))
	}
	want := []string{".", ".wh.kept", "dir", "dir/.wh..wh..opq", "dir/.wh.kept", "dir/kept", "files", "files/kept", "kept"}
	if !slices.Equal(names, want) {
		t.Errorf("copied %q, want %q", names, want)
	}
}

// TestFull: a file system that is full says so, with the name.
func TestFull(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	layer, dir := t.TempDir(), t.TempDir()
	write(t, filepath.Join(layer, "usr/large"), strings.Repeat("x", 4<<20))
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("no tmpfs: %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	root, err := os.Open(dir)
	must(t, err)
	defer root.Close()
	s, err := Open([]string{layer})
	must(t, err)
	defer s.Close()
	if err = s.Copy(int(root.Fd())); err == nil || !strings.Contains(err.Error(), "usr/large: no space left on device") {
		t.Errorf("copying to a full file system: %v", err)
	}
}

// TestHostileLayer: a link in one layer where another has a directory leads nowhere.
func TestHostileLayer(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	base := t.TempDir()
	outside := filepath.Join(base, "outside")
	write(t, filepath.Join(outside, "secret"), "secret")
	lower, upper := filepath.Join(base, "lower"), filepath.Join(base, "upper")
	must(t, os.MkdirAll(filepath.Join(lower, "a/b"), 0o755), os.Symlink(outside, filepath.Join(lower, "a/b/c")), os.Symlink("../..", filepath.Join(lower, "up")))
	write(t, filepath.Join(upper, "a/b/c/new"), "new")
	write(t, filepath.Join(upper, "up/new"), "new")
	dir, _ := copied(t, upper, lower)
	if text, err := os.ReadFile(filepath.Join(dir, "a/b/c/new")); err != nil || string(text) != "new" {
		t.Errorf("%q, %v", text, err)
	}
	entries, err := os.ReadDir(outside)
	must(t, err)
	if _, err := os.Stat(filepath.Join(dir, "a/b/c/secret")); err == nil || len(entries) != 1 {
		t.Errorf("a link was followed: %v, %v", err, entries)
	}
}

// TestFollow: a link that leads to nothing has a place all the same.
func TestFollow(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	lower, upper := t.TempDir(), t.TempDir()
	write(t, filepath.Join(lower, "etc/hosts"), "")
	must(t, os.Mkdir(filepath.Join(lower, "old"), 0o755), os.Mkdir(filepath.Join(upper, "old"), 0o755))
	for name, to := range map[string]string{"lk": "/run/lock", "rel": "../../none/./deep", "etc/conf": "../run/conf", "loop": "loop", "chain": "lk/more", "old/l": "/etc", "gone": "/etc"} {
		must(t, os.Symlink(to, filepath.Join(lower, name)))
	}
	must(t, unix.Mknod(filepath.Join(upper, "gone"), unix.S_IFCHR, 0), unix.Setxattr(filepath.Join(upper, "old"), "user.overlay.opaque", []byte("y"), 0))
	s, err := OpenChanged(upper, []string{lower})
	must(t, err)
	defer s.Close()
	for name, want := range map[string]string{"/lk": "/run/lock", "/lk/sub/x": "/run/lock/sub/x", "/rel": "/none/deep", "/etc/conf": "/run/conf", "/etc/hosts": "/etc/hosts", "/etc/hosts/x": "/etc/hosts/x", "/chain": "/run/lock/more",
		"/lk/../up": "/run/up", "/old/l": "/old/l", "/gone/x": "/gone/x", "/no/where": "/no/where", "/loop": unix.ELOOP.Error()} {
		got, err := s.Follow(name, func(string) bool { return false })
		if err != nil {
			got = errors.Unwrap(err).Error()
		}
		if got != want {
			t.Errorf("%s leads to %s, want %s", name, got, want)
		}
	}
	if got, err := s.Follow("/etc/conf", func(dir string) bool { return dir == "/etc" }); err != nil || got != "/etc/conf" {
		t.Errorf("below another mount: %s, %v", got, err)
	}
}

// TestSub opens what a path leads to, as a container would see it.
func TestSub(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	lower, upper := t.TempDir(), t.TempDir()
	write(t, filepath.Join(lower, "var/lib/data/low"), "low")
	write(t, filepath.Join(lower, "var/lib/data/gone"), "gone")
	write(t, filepath.Join(upper, "var/lib/data/high"), "high")
	write(t, filepath.Join(upper, "file"), "")
	must(t, unix.Mknod(filepath.Join(upper, "var/lib/data/gone"), unix.S_IFCHR, 0), os.Symlink("/../var/./lib", filepath.Join(upper, "l")), os.Symlink("loop", filepath.Join(lower, "loop")))
	s, err := Open([]string{upper, lower})
	must(t, err)
	defer s.Close()
	for _, test := range []struct {
		path string
		want string // names, or an errno
	}{
		{"/var/lib/data", "[data/high data/low]"}, {"l/data/", "[data/high data/low]"}, {"/l/../lib/data", "[data/high data/low]"},
		{"/var/lib/data/gone", unix.ENOENT.Error()}, {"/none", unix.ENOENT.Error()}, {"/file", unix.ENOTDIR.Error()}, {"/loop", unix.ELOOP.Error()},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		must(t, os.Mkdir(dir, 0o711))
		got := ""
		for range 2 { // the second time over what the first one has left
			sub, err := s.Sub(test.path)
			if err != nil {
				got = strings.TrimPrefix(err.Error(), "opening "+test.path+": ")
				break
			}
			root, err := os.Open(dir)
			must(t, err, sub.CopyInside(int(root.Fd())))
			sub.Close()
			root.Close()
			names, err := filepath.Glob(dir + "/*")
			must(t, err)
			for n, name := range names {
				names[n] = "data/" + filepath.Base(name)
			}
			got = fmt.Sprint(names)
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.path, got, test.want)
		}
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o711 {
			t.Errorf("%s: the directory itself has changed: %v, %v", test.path, info.Mode(), err)
		}
	}
}

// TestAgain copies over what a copy has left.
func TestAgain(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	layer := t.TempDir()
	makeLower(t, layer)
	dir, _ := copied(t, layer)
	want := listing(t, dir)
	write(t, filepath.Join(dir, "etc/keep"), "half")
	root, err := os.Open(dir)
	must(t, err)
	defer root.Close()
	s, err := Open([]string{layer})
	must(t, err)
	defer s.Close()
	must(t, s.Copy(int(root.Fd())))
	if got := listing(t, dir); !slices.Equal(got, want) {
		t.Errorf("copied twice:\n%s\nonce:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestDeep: a tree that is deeper than a process may open files.
func TestDeep(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	var limit unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	layer, deep := t.TempDir(), strings.Repeat("d/", 500)+"file"
	write(t, filepath.Join(layer, deep), "deep")
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 32, Max: limit.Max}))
	dir, _ := copied(t, layer)
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	if text, err := os.ReadFile(filepath.Join(dir, deep)); err != nil || string(text) != "deep" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestManyLayers: as many as an overlay takes.
func TestManyLayers(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	base := t.TempDir()
	var layers []string
	for n := range 300 {
		dir := filepath.Join(base, fmt.Sprint(n))
		write(t, filepath.Join(dir, "all/same"), fmt.Sprint(n))
		write(t, filepath.Join(dir, fmt.Sprintf("all/own-%d", n)), "")
		layers = append(layers, dir)
	}
	dir, _ := copied(t, layers...)
	entries, err := os.ReadDir(filepath.Join(dir, "all"))
	must(t, err)
	if text, err := os.ReadFile(filepath.Join(dir, "all/same")); err != nil || string(text) != "0" || len(entries) != 301 {
		t.Errorf("%q, %v, %d files", text, err, len(entries))
	}
}
