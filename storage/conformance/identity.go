package conformance

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

var longest = strings.Repeat("n", 255)

// names that only bytes can say.
var names = []scenario{
	{name: "oddNames",
		prepare: func(t *testing.T, lower []string) {
			for _, name := range oddNames() {
				write(t, name, lower[0], "d", name)
			}
		},
		use: func(t *testing.T, root string) {
			sorted := oddNames()
			slices.Sort(sorted)
			lists(t, root+"/d", sorted...)
			for _, name := range sorted {
				holds(t, name, root, "d", name)
				appendTo(t, root+"/d/"+name, "+")
				write(t, name, root, "new", name)
			}
			must(t, os.Remove(root+"/d/"+longest))
			_, err := os.Lstat(root + "/d/" + longest + "n")
			wants(t, "a name of 256 bytes", err, unix.ENAMETOOLONG)
			wants(t, "making one of 256 bytes", os.Mkdir(root+"/d/"+longest+"n", 0o755), unix.ENAMETOOLONG)
			must(t, os.Symlink(strings.Repeat("t", 4095), root+"/link"))
		},
		after: func(t *testing.T, root string) {
			for _, name := range oddNames()[1:] {
				holds(t, name+"+", root, "d", name)
				holds(t, name, root, "new", name)
			}
			absent(t, root, "d", longest)
			if to, err := os.Readlink(root + "/link"); len(to) != 4095 {
				t.Errorf("a long link has %d bytes: %v", len(to), err)
			}
		}},
}

func oddNames() []string {
	return []string{longest, "\xff\xfe\x80", "new\nline", " ", "...", ".wh", "a,b:c\\d", "%s", "#1", "ä\u202e"}
}

// listings: getdents64(2).
var listings = []scenario{
	{name: "readdir", layers: 2,
		prepare: func(t *testing.T, lower []string) {
			for i := range 3000 {
				write(t, "", lower[i%2], "d", fmt.Sprint("file", i))
			}
			write(t, "", lower[0], "d/file1")
			mkdir(t, lower[1], "d/dir")
			must(t, os.Symlink("x", lower[1]+"/d/link"))
			must(t, unix.Mkfifo(lower[1]+"/d/fifo", 0o600))
		},
		use: seeDirectory},
	{name: "removeWhileReading",
		prepare: func(t *testing.T, lower []string) {
			for i := range 1500 {
				write(t, "", lower[0], "d", fmt.Sprint("file", i))
			}
		},
		use: func(t *testing.T, root string) {
			for i := range 1500 {
				write(t, "", root, "d", fmt.Sprint("own", i))
			}
			d, err := os.Open(root + "/d")
			must(t, err)
			defer d.Close()
			total := 0
			for {
				some, _ := d.Readdirnames(50)
				for _, name := range some {
					must(t, os.Remove(root+"/d/"+name))
				}
				if total += len(some); len(some) == 0 {
					break
				}
			}
			if total != 3000 {
				t.Errorf("%d names were read, want 3000", total)
			}
			lists(t, root+"/d")
			must(t, os.Remove(root+"/d"))
		},
		after: func(t *testing.T, root string) { lists(t, root) }},
	{name: "rewind", prepare: prepareOld,
		use: func(t *testing.T, root string) {
			d, err := os.Open(root + "/d")
			must(t, err)
			defer d.Close()
			first, _ := d.Readdirnames(-1)
			write(t, "", root, "d/new")
			_, err = d.Seek(0, 0)
			must(t, err)
			if again, _ := d.Readdirnames(-1); len(first) != 2 || !slices.Contains(again, "new") {
				t.Errorf("%q, and after a new file and rewinding %q", first, again)
			}
		}},
}

// dirent is what a test needs of linux_dirent64.
type dirent struct {
	name string
	ino  uint64
	kind byte
	next int64
}

// getdents reads a part of a directory, of a buffer's size.
func getdents(t *testing.T, fd, size int) (found []dirent) {
	t.Helper()
	buf := make([]byte, size)
	n, err := unix.Getdents(fd, buf)
	must(t, err)
	for buf = buf[:n]; len(buf) > 0; {
		length := binary.NativeEndian.Uint16(buf[16:])
		found = append(found, dirent{
			name: unix.ByteSliceToString(buf[19:length]), ino: binary.NativeEndian.Uint64(buf),
			kind: buf[18], next: int64(binary.NativeEndian.Uint64(buf[8:])),
		})
		buf = buf[length:]
	}
	return found
}

func seeDirectory(t *testing.T, root string) {
	write(t, "", root, "d/file2")
	write(t, "", root, "d/own")
	must(t, os.Remove(root+"/d/file4"))
	fd, err := unix.Open(root+"/d", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	must(t, err)
	defer unix.Close(fd)
	var all []dirent
	for {
		some := getdents(t, fd, 2048)
		if len(some) == 0 {
			break
		}
		all = append(all, some...)
	}
	seen := map[string]bool{}
	kinds := map[string]byte{"dir": unix.DT_DIR, ".": unix.DT_DIR, "..": unix.DT_DIR, "link": unix.DT_LNK, "fifo": unix.DT_FIFO}
	for _, e := range all {
		want, odd := kinds[e.name]
		if !odd {
			want = unix.DT_REG
		}
		if seen[e.name] || e.kind != want {
			t.Errorf("%q is there twice (%v), or of kind %d", e.name, seen[e.name], e.kind)
		}
		seen[e.name] = true
		if st := lstat(t, root+"/d/"+e.name); st.Ino != e.ino && e.name != ".." {
			t.Errorf("%q: d_ino %d, st_ino %d", e.name, e.ino, st.Ino)
		}
	}
	if len(all) != 3000+3+1+2-1 || !seen["own"] || seen["file4"] {
		t.Errorf("%d entries", len(all))
	}
	_, err = unix.Seek(fd, all[1000].next, 0)
	must(t, err)
	if some := getdents(t, fd, 2048); len(some) == 0 || some[0].name != all[1001].name {
		t.Errorf("after seeking to the 1001st: %v", some)
	}
}

// identities: st_dev, st_ino and links.
var identities = []scenario{
	{name: "inodes", layers: 2,
		prepare: func(t *testing.T, lower []string) {
			prepareTypes(t, lower)
			write(t, "", lower[1], "types/dir/deep/file")
		},
		use: func(t *testing.T, root string) {
			ids := map[string][2]uint64{}
			paths := append([]string{"dir/inside", "dir/deep", "."}, types...)
			for _, p := range paths {
				st := lstat(t, root+"/types/"+p)
				ids[p] = [2]uint64{st.Dev, st.Ino}
			}
			appendTo(t, root+"/types/file", "+")
			write(t, "", root, "types/dir/deep/new")
			for _, p := range paths {
				must(t, os.Lchown(root+"/types/"+p, 0, 0))
			}
			seen := map[[2]uint64]string{}
			for _, p := range paths {
				st := lstat(t, root+"/types/"+p)
				id := [2]uint64{st.Dev, st.Ino}
				if id != ids[p] || seen[id] != "" {
					t.Errorf("%s: st_dev, st_ino %d before and %d after copy-up; %q has the same", p, ids[p], id, seen[id])
				}
				seen[id] = p
			}
		}},
	{name: "hardLinks", use: useLinks, after: seeLinks},
	{name: "hardLinksOfLayer",
		prepare: func(t *testing.T, lower []string) {
			write(t, "text", lower[0], "a")
			must(t, os.Link(lower[0]+"/a", lower[0]+"/b"))
			must(t, os.Symlink("a", lower[0]+"/s"))
		},
		use: func(t *testing.T, root string) {
			if a, b := lstat(t, root+"/a"), lstat(t, root+"/b"); a.Nlink != 2 || a.Ino != b.Ino {
				t.Errorf("%d links, inodes %d and %d", a.Nlink, a.Ino, b.Ino)
			}
			must(t, os.Link(root+"/a", root+"/c"))
			appendTo(t, root+"/c", "+")
			must(t, unix.Linkat(unix.AT_FDCWD, root+"/s", unix.AT_FDCWD, root+"/s2", 0))
			must(t, os.Remove(root+"/b"))
			holds(t, "text+", root, "a")
		},
		after: func(t *testing.T, root string) {
			holds(t, "text+", root, "a")
			holds(t, "text+", root, "c")
			holds(t, "text+", root, "s2")
			lists(t, root, "a", "c", "s", "s2")
		}},
}

func useLinks(t *testing.T, root string) {
	write(t, "text", root, "a")
	mkdir(t, root, "d")
	must(t, os.Link(root+"/a", root+"/d/b"))
	must(t, os.Link(root+"/d/b", root+"/c"))
	must(t, os.Link(root+"/a", root+"/e"))
	appendTo(t, root+"/c", "+")
	must(t, os.Chmod(root+"/d/b", 0o600))
	must(t, os.Remove(root+"/a"))
	must(t, os.Rename(root+"/c", root+"/d/c"))
	must(t, os.Rename(root+"/d/c", root+"/d/b")) // the same file: nothing happens
	must(t, os.Remove(root+"/d/c"))
	appendTo(t, root+"/e", "-")
	seeLinks(t, root)
	wants(t, "a link to a directory", os.Link(root+"/d", root+"/x"), unix.EPERM)
}

func seeLinks(t *testing.T, root string) {
	b, e := lstat(t, root+"/d/b"), lstat(t, root+"/e")
	if b.Ino != e.Ino || b.Nlink != 2 || e.Mode&0o777 != 0o600 || e.Nlink != 2 {
		t.Errorf("two links: inodes %d and %d, %d links, mode %o", b.Ino, e.Ino, b.Nlink, e.Mode)
	}
	holds(t, "text+-", root, "d/b")
	holds(t, "text+-", root, "e")
	lists(t, root+"/d", "b")
}
