package conformance

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const sparseSize = 64 << 20

// capability is cap_net_raw=ep, of version 2 (linux/capability.h).
var capability = string([]byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})

// copyUps: what becomes of a layer's file when it is changed.
var copyUps = []scenario{
	{name: "append", prepare: prepareOld,
		use: func(t *testing.T, root string) {
			appendTo(t, root+"/d/file", "+")
			holds(t, "text+", root, "d/file")
			isOld(t, root+"/d/other")
		},
		after: func(t *testing.T, root string) { holds(t, "text+", root, "d/file") }},
	{name: "openedNotWritten", prepare: prepareOld,
		use: func(t *testing.T, root string) {
			f, err := os.OpenFile(root+"/d/file", os.O_RDWR, 0)
			must(t, err)
			must(t, f.Close())
			isOld(t, root+"/d/file")
			holds(t, "text", root, "d/file")
		}},
	{name: "chmod", prepare: prepareTypes, use: chmodTypes, after: seeChmod},
	{name: "times", prepare: prepareTypes, use: timeTypes, after: seeTimes},
	{name: "chown", prepare: prepareTypes, use: chownTypes},
	{name: "mtimes", prepare: prepareOld,
		use: func(t *testing.T, root string) {
			must(t, os.Chmod(root+"/d/file", 0o600))
			isOld(t, root+"/d/file")
			isOld(t, root+"/d")
			write(t, "", root, "d/new")
			if st := lstat(t, root+"/d"); time.Since(time.Unix(st.Mtim.Unix())) > time.Hour {
				t.Error("a directory's time is the old one after a file was made in it")
			}
		},
		after: func(t *testing.T, root string) { isOld(t, root+"/d/file") }},
	{name: "xattrs", prepare: prepareXattrs, use: useXattrs, after: seeXattrs},
	{name: "capabilities",
		prepare: func(t *testing.T, lower []string) {
			must(t, unix.Setxattr(old(t, "program", lower[0], "ping"), "security.capability", []byte(capability), 0))
		},
		use: func(t *testing.T, root string) {
			if got := xattr(t, root+"/ping", "security.capability"); got != capability {
				t.Errorf("the layer's capabilities are %q, want %q", got, capability)
			}
			must(t, os.Chmod(root+"/ping", 0o755))
			must(t, unix.Setxattr(write(t, "", root, "own"), "security.capability", []byte(capability), 0))
			appendTo(t, write(t, "", root, "written"), "x")
			must(t, unix.Setxattr(root+"/written", "security.capability", []byte(capability), 0))
			appendTo(t, root+"/written", "x")
			if got := xattr(t, root+"/written", "security.capability"); got != "" {
				t.Errorf("after writing, a file still has the capabilities %q", got)
			}
		},
		after: func(t *testing.T, root string) {
			for _, name := range []string{"/ping", "/own"} {
				if got := xattr(t, root+name, "security.capability"); got != capability {
					t.Errorf("%s has the capabilities %q, want %q", name, got, capability)
				}
			}
		}},
	{name: "sparse",
		prepare: func(t *testing.T, lower []string) {
			f, err := os.Create(lower[0] + "/sparse")
			must(t, err)
			_, err = f.WriteAt([]byte("middle"), sparseSize/2)
			must(t, err)
			must(t, f.Truncate(sparseSize))
			must(t, f.Close())
		},
		use: func(t *testing.T, root string) { appendTo(t, root+"/sparse", "end") },
		after: func(t *testing.T, root string) {
			st := lstat(t, root+"/sparse")
			if st.Size != sparseSize+3 || st.Blocks*512 > sparseSize/4 {
				t.Errorf("size %d, %d bytes on disk", st.Size, st.Blocks*512)
			}
			text, err := os.ReadFile(root + "/sparse")
			if err != nil || string(text[sparseSize/2:sparseSize/2+6]) != "middle" || string(text[sparseSize:]) != "end" || text[0] != 0 {
				t.Errorf("content of a sparse file: %v", err)
			}
		}},
}

func prepareOld(t *testing.T, lower []string) {
	old(t, "text", lower[0], "d/file")
	old(t, "other", lower[0], "d/other")
	must(t, os.Chtimes(lower[0]+"/d", ago, ago))
}

// types are files of every type that an unprivileged user can make.
var types = []string{"file", "dir", "fifo", "socket", "link"}

func prepareTypes(t *testing.T, lower []string) {
	dir := mkdir(t, lower[0], "types")
	write(t, "text", dir, "file")
	write(t, "inside", dir, "dir/inside")
	must(t, unix.Mknod(dir+"/fifo", unix.S_IFIFO|0o644, 0))
	must(t, unix.Mknod(dir+"/socket", unix.S_IFSOCK|0o644, 0))
	must(t, os.Symlink("file", dir+"/link"))
	for _, name := range types {
		must(t, unix.Setxattr(dir+"/dir", "user.kept", []byte("kept"), 0))
		must(t, unix.UtimesNanoAt(unix.AT_FDCWD, dir+"/"+name, []unix.Timespec{unix.NsecToTimespec(ago.UnixNano()), unix.NsecToTimespec(ago.UnixNano())}, unix.AT_SYMLINK_NOFOLLOW))
	}
}

func chmodTypes(t *testing.T, root string) {
	for _, name := range types[:4] {
		must(t, unix.Chmod(root+"/types/"+name, 0o711))
	}
	seeChmod(t, root)
}

func seeChmod(t *testing.T, root string) {
	formats := []uint32{unix.S_IFREG, unix.S_IFDIR, unix.S_IFIFO, unix.S_IFSOCK}
	for i, name := range types[:4] {
		path := root + "/types/" + name
		if st := lstat(t, path); st.Mode != formats[i]|0o711 {
			t.Errorf("%s has mode %o", name, st.Mode)
		}
		isOld(t, path)
	}
	holds(t, "text", root, "types/file")
	holds(t, "inside", root, "types/dir/inside")
	if got := xattr(t, root+"/types/dir", "user.kept"); got != "kept" {
		t.Errorf("a directory's attribute is %q after chmod", got)
	}
}

func timeTypes(t *testing.T, root string) {
	to := []unix.Timespec{{Sec: 1, Nsec: 2}, {Sec: 3, Nsec: 4}}
	for _, name := range types {
		must(t, unix.UtimesNanoAt(unix.AT_FDCWD, root+"/types/"+name, to, unix.AT_SYMLINK_NOFOLLOW))
	}
	seeTimes(t, root)
}

func seeTimes(t *testing.T, root string) {
	for _, name := range types {
		st := lstat(t, root+"/types/"+name)
		if st.Mtim != (unix.Timespec{Sec: 3, Nsec: 4}) {
			t.Errorf("%s: times %v %v", name, st.Atim, st.Mtim)
		}
	}
	if to, err := os.Readlink(root + "/types/link"); to != "file" {
		t.Errorf("the link leads to %q: %v", to, err)
	}
}

func chownTypes(t *testing.T, root string) {
	for _, name := range types {
		path := root + "/types/" + name
		err := os.Lchown(path, 1, 2)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
			t.Skip("one id is mapped")
		}
		must(t, err)
		if st := lstat(t, path); st.Uid != 1 || st.Gid != 2 {
			t.Errorf("%s belongs to %d:%d", name, st.Uid, st.Gid)
		}
	}
	must(t, os.Chmod(root+"/types/file", 0o6755))
	must(t, os.Chown(root+"/types/file", 3, -1))
	if st := lstat(t, root+"/types/file"); st.Mode&0o7777 != 0o755 || st.Uid != 3 || st.Gid != 2 {
		t.Errorf("after chown of a set-user-id file: mode %o of %d:%d", st.Mode, st.Uid, st.Gid)
	}
}

func prepareXattrs(t *testing.T, lower []string) {
	for _, path := range []string{old(t, "text", lower[0], "file"), mkdir(t, lower[0], "dir")} {
		must(t, unix.Setxattr(path, "user.kept", []byte("kept\x00\xff"), 0))
		must(t, unix.Setxattr(path, "user.empty", nil, 0))
		must(t, unix.Setxattr(path, "user.gone", []byte("gone"), 0))
	}
}

func useXattrs(t *testing.T, root string) {
	for _, path := range []string{root + "/file", root + "/dir"} {
		if got := xattr(t, path, "user.kept"); got != "kept\x00\xff" {
			t.Errorf("%s: an attribute is %q", path, got)
		}
		must(t, unix.Setxattr(path, "user.new", []byte(strings.Repeat("n", 2000)), unix.XATTR_CREATE))
		wants(t, "XATTR_CREATE of one that exists", unix.Setxattr(path, "user.new", nil, unix.XATTR_CREATE), unix.EEXIST)
		wants(t, "XATTR_REPLACE of none", unix.Setxattr(path, "user.none", nil, unix.XATTR_REPLACE), unix.ENODATA)
		must(t, unix.Removexattr(path, "user.gone"))
		wants(t, "removing none", unix.Removexattr(path, "user.gone"), unix.ENODATA)
		n, err := unix.Getxattr(path, "user.new", nil)
		if n != 2000 || err != nil {
			t.Errorf("size of an attribute: %d, %v", n, err)
		}
		_, err = unix.Getxattr(path, "user.new", make([]byte, 10))
		wants(t, "a short buffer", err, unix.ERANGE)
	}
	seeXattrs(t, root)
}

func seeXattrs(t *testing.T, root string) {
	isOld(t, root+"/file")
	for _, path := range []string{root + "/file", root + "/dir"} {
		if got := xattrs(t, path); !slices.Equal(got, []string{"user.empty", "user.kept", "user.new"}) {
			t.Errorf("%s has the attributes %q", path, got)
		}
		if got := xattr(t, path, "user.kept"); got != "kept\x00\xff" {
			t.Errorf("%s: after copy-up an attribute is %q", path, got)
		}
	}
}
