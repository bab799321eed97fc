package conformance

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// removals: what is removed of a layer stays removed, and may come again.
var removals = []scenario{
	{name: "remove", layers: 2,
		prepare: func(t *testing.T, lower []string) {
			write(t, "1", lower[1], "d/a")
			write(t, "0", lower[0], "d/a")
			write(t, "1", lower[1], "d/b")
			write(t, "1", lower[1], "d/kept")
		},
		use: func(t *testing.T, root string) {
			must(t, os.Remove(root+"/d/a"))
			must(t, os.Remove(root+"/d/b"))
			wants(t, "removing twice", os.Remove(root+"/d/b"), unix.ENOENT)
			lists(t, root+"/d", "kept")
			write(t, "new", root, "d/own")
			must(t, os.Remove(root+"/d/own"))
			absent(t, root, "d/own")
		},
		after: func(t *testing.T, root string) { lists(t, root+"/d", "kept") }},
	{name: "removeAndMakeAgain",
		prepare: func(t *testing.T, lower []string) {
			for i := range 4 {
				write(t, "below", lower[0], fmt.Sprint("f", i))
			}
			write(t, "below", lower[0], "d/inside/deep")
			write(t, "below", lower[0], "e/inside")
		},
		use: func(t *testing.T, root string) {
			for i := range 4 {
				must(t, os.Remove(fmt.Sprint(root, "/f", i)))
			}
			write(t, "new", root, "f0")
			must(t, os.Mkdir(root+"/f1", 0o755))
			must(t, os.Symlink("to", root+"/f2"))
			must(t, os.Link(root+"/f0", root+"/f3"))
			must(t, os.RemoveAll(root+"/d"))
			must(t, os.Mkdir(root+"/d", 0o755))
			lists(t, root+"/d")
			must(t, os.RemoveAll(root+"/e"))
			write(t, "file", root, "e")
			seeAgain(t, root)
		},
		after: seeAgain},
	{name: "rmdir", layers: 2,
		prepare: func(t *testing.T, lower []string) {
			write(t, "", lower[1], "full/file")
			mkdir(t, lower[1], "empty")
			mkdir(t, lower[0], "empty")
			write(t, "", lower[1], "whited/file")
			whiteout(t, lower[0], "whited/file")
			write(t, "", lower[1], "file")
		},
		use: func(t *testing.T, root string) {
			wants(t, "rmdir of a full directory", unix.Rmdir(root+"/full"), unix.ENOTEMPTY)
			wants(t, "rmdir of a file", unix.Rmdir(root+"/file"), unix.ENOTDIR)
			wants(t, "unlink of a directory", unix.Unlink(root+"/empty"), unix.EISDIR)
			must(t, unix.Rmdir(root+"/empty"))
			must(t, unix.Rmdir(root+"/whited"))
			must(t, os.Remove(root+"/full/file"))
			must(t, unix.Rmdir(root+"/full"))
			lists(t, root, "file")
		},
		after: func(t *testing.T, root string) { lists(t, root, "file") }},
	{name: "rmdirOwn",
		use: func(t *testing.T, root string) {
			mkdir(t, root, "a/b/c")
			wants(t, "rmdir of a full directory", unix.Rmdir(root+"/a/b"), unix.ENOTEMPTY)
			must(t, os.RemoveAll(root+"/a"))
			lists(t, root)
		},
		after: func(t *testing.T, root string) { lists(t, root) }},
	{name: "linkOverRemovedInSetgid", prepare: prepareOld,
		use: func(t *testing.T, root string) {
			if err := os.Chown(root+"/d", 0, 2); errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
				t.Skip("one id is mapped")
			}
			must(t, os.Chmod(root+"/d", os.ModeSetgid|0o755))
			must(t, os.Remove(root+"/d/file"))
			must(t, os.Chown(write(t, "own", root, "own"), 3, 4))
			must(t, os.Chmod(root+"/own", os.ModeSetuid|0o755))
			must(t, os.Link(root+"/own", root+"/d/file"))
			for _, name := range []string{"/own", "/d/file"} {
				if st := lstat(t, root+name); st.Uid != 3 || st.Gid != 4 || st.Mode&0o7777 != 0o4755 {
					t.Errorf("%s belongs to %d:%d and has mode %o", name, st.Uid, st.Gid, st.Mode)
				}
			}
		}},
	{name: "unlinkOpen", prepare: prepareOld, use: unlinkOpen},
	{name: "existing", prepare: prepareOld,
		use: func(t *testing.T, root string) {
			path := root + "/d/file"
			wants(t, "mkdir", unix.Mkdir(path, 0o755), unix.EEXIST)
			wants(t, "mknod", unix.Mknod(path, unix.S_IFIFO, 0), unix.EEXIST)
			wants(t, "mknod of a whiteout", unix.Mknod(root+"/d/whiteout", unix.S_IFCHR, 0), unix.EPERM)
			wants(t, "symlink", unix.Symlink("x", path), unix.EEXIST)
			wants(t, "link", unix.Link(root+"/d/other", path), unix.EEXIST)
			_, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
			wants(t, "O_EXCL", err, unix.EEXIST)
			_, err = os.OpenFile(root+"/none/file", os.O_CREATE|os.O_WRONLY, 0o644)
			wants(t, "no directory", err, unix.ENOENT)
			wants(t, "below a file", unix.Mkdir(path+"/x", 0o755), unix.ENOTDIR)
			isOld(t, root+"/d")
		}},
}

func seeAgain(t *testing.T, root string) {
	holds(t, "new", root, "f0")
	holds(t, "new", root, "f3")
	lists(t, root+"/f1")
	lists(t, root+"/d")
	holds(t, "file", root, "e")
	if to, err := os.Readlink(root + "/f2"); to != "to" {
		t.Errorf("link over a removed file: %q, %v", to, err)
	}
	lists(t, root, "d", "e", "f0", "f1", "f2", "f3")
}

// unlinkOpen uses files that have no name any more: one of a layer, changed
// before or after, and an own one.
func unlinkOpen(t *testing.T, root string) {
	write(t, "own", root, "d/own")
	for _, c := range []struct{ name, text string }{{"file", "text"}, {"other", "other"}, {"own", "own"}} {
		f, err := os.OpenFile(root+"/d/"+c.name, os.O_RDWR, 0)
		must(t, err)
		if c.name == "other" {
			must(t, f.Chmod(0o600))
		}
		must(t, os.Remove(f.Name()))
		text := make([]byte, 10)
		if n, _ := f.ReadAt(text, 0); string(text[:n]) != c.text {
			t.Errorf("%s, unlinked: reads %q", c.name, text[:n])
		}
		_, err = f.WriteAt([]byte("much more text"), 1)
		wants(t, "writing an unlinked file", err, nil)
		wants(t, "syncing an unlinked file", f.Sync(), nil)
		wants(t, "truncating an unlinked file", f.Truncate(3), nil)
		wants(t, "chmod of an unlinked file", f.Chmod(0o640), nil)
		var st unix.Stat_t
		must(t, unix.Fstat(int(f.Fd()), &st))
		if st.Size != 3 || st.Mode&0o777 != 0o640 || st.Nlink != 0 {
			t.Errorf("%s, unlinked: size %d, mode %o, %d links", c.name, st.Size, st.Mode, st.Nlink)
		}
		if n, _ := f.ReadAt(text, 0); string(text[:n]) != c.text[:1]+"mu" {
			t.Errorf("%s, unlinked and written: reads %q", c.name, text[:n])
		}
		absent(t, f.Name())
		must(t, f.Close())
	}
	lists(t, root+"/d")
}
