package conformance

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// renames: rename(2) and renameat2(2) across layers.
var renames = []scenario{
	{name: "renameFile", layers: 2, prepare: prepareRename, use: renameFiles, after: seeRenamedFiles},
	{name: "renameOwnDirectory", prepare: prepareOld,
		use: func(t *testing.T, root string) {
			write(t, "1", root, "own/sub/file")
			f, err := os.Open(root + "/own/sub/file")
			must(t, err)
			defer f.Close()
			must(t, os.Rename(root+"/own", root+"/d/moved"))
			absent(t, root, "own")
			holds(t, "1", root, "d/moved/sub/file")
			write(t, "2", root, "d/moved/sub/file")
			must(t, os.Rename(root+"/d/moved/sub", root+"/again"))
			must(t, f.Chmod(0o600))
			holds(t, "2", root, "again/file")
			wants(t, "a directory into itself", unix.Rename(root+"/again", root+"/again/x"), unix.EINVAL)
			lists(t, root, "again", "d")
		},
		after: func(t *testing.T, root string) { holds(t, "2", root, "again/file"); lists(t, root+"/d/moved") }},
	{name: "renameMergedDirectory", layers: 2,
		prepare: func(t *testing.T, lower []string) {
			write(t, "1", lower[1], "d/a")
			write(t, "0", lower[0], "d/b")
		},
		use: func(t *testing.T, root string) {
			write(t, "own", root, "d/c")
			err := os.Rename(root+"/d", root+"/e")
			wants(t, "renaming a merged directory", err, nil, unix.EXDEV)
			from, to := "d", "e"
			if errors.Is(err, unix.EXDEV) {
				from, to = "e", "d"
			}
			absent(t, root, from)
			lists(t, root+"/"+to, "a", "b", "c")
			holds(t, "1", root, to, "a")
		}},
	{name: "renameOverDirectory", layers: 2,
		prepare: func(t *testing.T, lower []string) {
			write(t, "below", lower[1], "full/file")
			write(t, "below", lower[1], "emptied/file")
			mkdir(t, lower[1], "empty")
			write(t, "below", lower[1], "file")
		},
		use: func(t *testing.T, root string) {
			for _, name := range []string{"a", "b"} {
				write(t, name, root, name, "inside")
			}
			must(t, os.Remove(root+"/emptied/file"))
			wants(t, "over a full one", unix.Rename(root+"/a", root+"/full"), unix.ENOTEMPTY, unix.EEXIST)
			wants(t, "over a file", unix.Rename(root+"/a", root+"/file"), unix.ENOTDIR)
			wants(t, "a file over a directory", unix.Rename(root+"/file", root+"/a"), unix.EISDIR)
			must(t, unix.Rename(root+"/a", root+"/empty"))
			must(t, unix.Rename(root+"/b", root+"/emptied"))
			seeOverDirectory(t, root)
		},
		after: seeOverDirectory},
	{name: "renameOverRemoved",
		prepare: func(t *testing.T, lower []string) {
			write(t, "below", lower[0], "d/file")
			write(t, "below", lower[0], "f")
		},
		use: func(t *testing.T, root string) {
			must(t, os.RemoveAll(root+"/d"))
			must(t, os.Remove(root+"/f"))
			write(t, "1", root, "new/file2")
			must(t, os.Rename(root+"/new", root+"/d"))
			write(t, "2", root, "g")
			must(t, os.Rename(root+"/g", root+"/f"))
			lists(t, root+"/d", "file2")
		},
		after: func(t *testing.T, root string) {
			lists(t, root, "d", "f")
			lists(t, root+"/d", "file2")
			holds(t, "2", root, "f")
		}},
	{name: "renameTwiceOverRemoved", // the whiteout of the second place comes to the first
		prepare: func(t *testing.T, lower []string) {
			mkdir(t, lower[0], "a/empty")
			write(t, "below", lower[0], "b/gone")
		},
		use: func(t *testing.T, root string) {
			must(t, os.Remove(root+"/b/gone"))
			write(t, "1", root, "own/file")
			must(t, unix.Rename(root+"/own", root+"/a/empty"))
			must(t, unix.Rename(root+"/a/empty", root+"/b/gone"))
			lists(t, root+"/a")
		},
		after: func(t *testing.T, root string) {
			lists(t, root+"/a")
			holds(t, "1", root, "b/gone/file")
		}},
	{name: "renameNoReplace", prepare: prepareOld,
		use: func(t *testing.T, root string) {
			move := func(from, to string) error {
				return unix.Renameat2(unix.AT_FDCWD, root+"/d/"+from, unix.AT_FDCWD, root+"/d/"+to, unix.RENAME_NOREPLACE)
			}
			wants(t, "noreplace over a file", move("file", "other"), unix.EEXIST)
			must(t, move("file", "new"))
			holds(t, "text", root, "d/new")
			must(t, os.Remove(root+"/d/other"))
			must(t, move("new", "other"))
		},
		after: func(t *testing.T, root string) { lists(t, root+"/d", "other"); holds(t, "text", root, "d/other") }},
	{name: "renameExchange", prepare: prepareOld, use: exchange,
		after: func(t *testing.T, root string) {
			holds(t, "other", root, "d/file")
			holds(t, "text", root, "d/other")
			lists(t, root, "d", "own", "own2")
			holds(t, "in2", root, "own/file")
		}},
}

func prepareRename(t *testing.T, lower []string) {
	for _, name := range []string{"a", "b", "c"} {
		old(t, name, lower[1], "d", name)
	}
	old(t, "top", lower[0], "d/c")
	mkdir(t, lower[0], "e")
	must(t, os.Symlink("target", lower[1]+"/d/link"))
}

func renameFiles(t *testing.T, root string) {
	must(t, os.Rename(root+"/d/a", root+"/e/a"))
	must(t, os.Rename(root+"/d/b", root+"/d/c"))
	must(t, os.Rename(root+"/d/link", root+"/link"))
	write(t, "own", root, "own")
	must(t, os.Rename(root+"/own", root+"/e/own"))
	must(t, os.Rename(root+"/e/own", root+"/e/own"))
	wants(t, "of none", unix.Rename(root+"/none", root+"/x"), unix.ENOENT)
	seeRenamedFiles(t, root)
}

func seeRenamedFiles(t *testing.T, root string) {
	lists(t, root+"/d", "c")
	lists(t, root+"/e", "a", "own")
	lists(t, root, "d", "e", "link")
	holds(t, "a", root, "e/a")
	holds(t, "b", root, "d/c")
	isOld(t, root+"/e/a")
	if to, err := os.Readlink(root + "/link"); to != "target" {
		t.Errorf("the link leads to %q: %v", to, err)
	}
}

func seeOverDirectory(t *testing.T, root string) {
	lists(t, root, "emptied", "empty", "file", "full")
	holds(t, "a", root, "empty/inside")
	lists(t, root+"/emptied", "inside")
	holds(t, "below", root, "full/file")
}

func exchange(t *testing.T, root string) {
	swap := func(a, b string) error {
		return unix.Renameat2(unix.AT_FDCWD, root+"/"+a, unix.AT_FDCWD, root+"/"+b, unix.RENAME_EXCHANGE)
	}
	must(t, swap("d/file", "d/other"))
	holds(t, "other", root, "d/file")
	write(t, "in1", root, "own/file")
	write(t, "in2", root, "own2/file")
	must(t, swap("own", "own2"))
	holds(t, "in1", root, "own2/file")
	wants(t, "exchange with none", swap("own", "none"), unix.ENOENT)
	wants(t, "exchange of a merged directory", swap("d", "own"), unix.EXDEV)
}
