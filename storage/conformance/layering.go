package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// layering: what is seen of several layers.
var layering = []scenario{
	{name: "merge", layers: 3, prepare: prepareMerge, use: seeMerge, after: seeMerge},
	{name: "opaque", layers: 3,
		prepare: func(t *testing.T, lower []string) {
			write(t, "2", lower[2], "d/below")
			write(t, "2", lower[2], "d/sub/below")
			opaque(t, lower[1], "d")
			write(t, "1", lower[1], "d/middle")
			write(t, "0", lower[0], "d/top")
		},
		use: func(t *testing.T, root string) {
			lists(t, root+"/d", "middle", "top")
			absent(t, root, "d/below")
			absent(t, root, "d/sub")
			if names := xattrs(t, root+"/d"); len(names) > 0 {
				t.Errorf("an opaque directory has the attributes %q", names)
			}
		}},
	{name: "whiteoutsBelow", layers: 3,
		prepare: func(t *testing.T, lower []string) {
			write(t, "2", lower[2], "file")
			write(t, "2", lower[2], "dir/inside")
			write(t, "2", lower[2], "again")
			whiteout(t, lower[1], "file")
			whiteout(t, lower[1], "dir")
			whiteout(t, lower[1], "again")
			whiteout(t, lower[1], "nothing")
			write(t, "0", lower[0], "again")
			mkdir(t, lower[0], "dir")
		},
		use: func(t *testing.T, root string) {
			lists(t, root, "again", "dir")
			lists(t, root+"/dir")
			absent(t, root, "file")
			holds(t, "0", root, "again")
		}},
	{name: "xattrWhiteouts", layers: 2,
		prepare: func(t *testing.T, lower []string) {
			write(t, "1", lower[1], "d/gone")
			write(t, "1", lower[1], "d/kept")
			mkdir(t, lower[0], "d")
			must(t, unix.Setxattr(lower[0]+"/d", "user.overlay.opaque", []byte("x"), 0))
			must(t, unix.Setxattr(write(t, "", lower[0], "d/gone"), "user.overlay.whiteout", []byte("y"), 0))
			write(t, "", lower[0], "d/empty")
		},
		use: func(t *testing.T, root string) {
			if _, err := os.Lstat(root + "/d/gone"); err == nil && kernelBefore(6, 7) {
				t.Skip("the kernel's overlay has these since Linux 6.7")
			}
			lists(t, root+"/d", "empty", "kept")
			absent(t, root, "d/gone")
		}},
	{name: "fileOverDirectory", layers: 3,
		prepare: func(t *testing.T, lower []string) {
			write(t, "2", lower[2], "a/inside")
			write(t, "1", lower[1], "a")
			write(t, "2", lower[2], "b/inside")
			write(t, "1", lower[1], "b")
			write(t, "0", lower[0], "b/other")
		},
		use: func(t *testing.T, root string) {
			holds(t, "1", root, "a")
			lists(t, root+"/b", "other")
		}},
	{name: "manyLayers", layers: 300,
		prepare: func(t *testing.T, lower []string) {
			for i, dir := range lower {
				write(t, fmt.Sprint(i), dir, "d", fmt.Sprint("of", i))
				write(t, fmt.Sprint(i), dir, "d/all")
			}
			whiteout(t, lower[100], "d/of200")
		},
		use: func(t *testing.T, root string) {
			for i := range 300 {
				if i != 200 {
					holds(t, fmt.Sprint(i), root, "d", fmt.Sprint("of", i))
				}
			}
			absent(t, root, "d/of200")
			holds(t, "0", root, "d/all")
			if entries, err := os.ReadDir(root + "/d"); len(entries) != 300 || err != nil {
				t.Errorf("%d entries of 300: %v", len(entries), err)
			}
			appendTo(t, root+"/d/of299", "+")
			must(t, os.Remove(root+"/d/of298"))
		},
		after: func(t *testing.T, root string) {
			holds(t, "299+", root, "d/of299")
			absent(t, root, "d/of298")
		}},
}

func prepareMerge(t *testing.T, lower []string) {
	for i, dir := range lower {
		write(t, fmt.Sprint(i), dir, "common")
		write(t, fmt.Sprint(i), dir, "d/deep/common")
		write(t, fmt.Sprint(i), dir, "d", fmt.Sprint("only", i))
	}
	must(t, os.Symlink("only2", lower[2]+"/d/link"))
	must(t, os.Symlink("/nowhere", lower[0]+"/absolute"))
	must(t, os.Chmod(lower[0]+"/d", 0o750))
	must(t, os.Chmod(lower[1]+"/d", 0o700))
}

func seeMerge(t *testing.T, root string) {
	holds(t, "0", root, "common")
	holds(t, "0", root, "d/deep/common")
	holds(t, "2", root, "d/link")
	lists(t, root, "absolute", "common", "d")
	lists(t, root+"/d", "deep", "link", "only0", "only1", "only2")
	if st := lstat(t, root+"/d"); st.Mode != unix.S_IFDIR|0o750 {
		t.Errorf("a merged directory has mode %o, want that of the topmost", st.Mode)
	}
	if to, err := os.Readlink(root + "/absolute"); to != "/nowhere" {
		t.Errorf("a link leads to %q: %v", to, err)
	}
	absent(t, root, "d/only3")
	absent(t, root, "common/below")
	var st unix.Statfs_t
	if err := unix.Statfs(filepath.Join(root, "d"), &st); err != nil || st.Blocks == 0 {
		t.Errorf("statfs: %d blocks, %v", st.Blocks, err)
	}
}

func kernelBefore(major, minor int) bool {
	var u unix.Utsname
	var a, b int
	_ = unix.Uname(&u)
	_, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &a, &b)
	return err == nil && (a < major || a == major && b < minor)
}
