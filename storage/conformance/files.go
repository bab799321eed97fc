package conformance

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// files: reading, writing and all else that is done by a descriptor.
var files = []scenario{
	{name: "openFlags", prepare: prepareOld, use: openFlags},
	{name: "fallocate", prepare: prepareOld, use: fallocate},
	{name: "mmap", prepare: prepareOld, use: useMmap,
		after: func(t *testing.T, root string) { holds(t, "TExt", root, "d/file") }},
	{name: "large",
		use: func(t *testing.T, root string) {
			write(t, large(), root, "large")
			holds(t, large(), root, "large")
			src, err := os.Open(root + "/large")
			must(t, err)
			defer src.Close()
			dst, err := os.Create(root + "/copy")
			must(t, err)
			if n, err := io.Copy(dst, src); n != int64(len(large())) || err != nil { // copy_file_range(2)
				t.Errorf("copied %d bytes, %v", n, err)
			}
			must(t, dst.Close())
		},
		after: func(t *testing.T, root string) { holds(t, large(), root, "large"); holds(t, large(), root, "copy") }},
	{name: "largeOfLayer",
		prepare: func(t *testing.T, lower []string) { write(t, large(), lower[0], "large") },
		use: func(t *testing.T, root string) {
			holds(t, large(), root, "large")
			appendTo(t, root+"/large", "+")
			holds(t, large()+"+", root, "large")
		}},
	{name: "specialFiles", use: specialFiles},
	{name: "tmpfile", use: tmpfile,
		after: func(t *testing.T, root string) {
			if _, err := os.Lstat(root + "/named"); err == nil {
				holds(t, "text", root, "named")
			}
		}},
	{name: "execute",
		use: func(t *testing.T, root string) {
			text, err := os.ReadFile("/proc/self/exe")
			must(t, err)
			must(t, os.WriteFile(root+"/program", text, 0o755))
			out, err := exec.Command(root+"/program", "-test.run=^$").CombinedOutput()
			if err != nil {
				t.Errorf("running a written program: %v\n%s", err, out)
			}
		}},
	{name: "locks",
		use: func(t *testing.T, root string) {
			a, err := os.Create(root + "/lock")
			must(t, err)
			defer a.Close()
			b, err := os.Open(root + "/lock")
			must(t, err)
			defer b.Close()
			must(t, unix.Flock(int(a.Fd()), unix.LOCK_EX|unix.LOCK_NB))
			wants(t, "a lock that is held", unix.Flock(int(b.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
		}},
	{name: "modes", use: useModes},
	{name: "concurrent", prepare: prepareMany, use: concurrent, after: seeConcurrent},
}

func large() string { return strings.Repeat("0123456789abcdef", 3<<16) + "end" }

func openFlags(t *testing.T, root string) {
	path := root + "/d/file"
	for range 2 {
		appendTo(t, path, "+")
	}
	holds(t, "text++", path)
	f, err := os.OpenFile(root+"/d/other", os.O_RDWR|os.O_TRUNC, 0)
	must(t, err)
	defer f.Close()
	holds(t, "", root, "d/other")
	_, err = f.WriteString("new")
	must(t, err)
	holds(t, "new", root, "d/other")
	must(t, f.Truncate(5))
	holds(t, "new\x00\x00", root, "d/other")
	end, err := unix.Seek(int(f.Fd()), 0, io.SeekEnd)
	if end != 5 || err != nil {
		t.Errorf("the end is at %d: %v", end, err)
	}
	wants(t, "a link with O_NOFOLLOW", func() error {
		must(t, os.Symlink("file", root+"/d/link"))
		_, err := os.OpenFile(root+"/d/link", unix.O_NOFOLLOW, 0)
		return err
	}(), unix.ELOOP)
	_, err = os.OpenFile(root+"/d", os.O_WRONLY, 0)
	wants(t, "writing a directory", err, unix.EISDIR)
	_, err = os.OpenFile(path, unix.O_DIRECTORY, 0)
	wants(t, "a file as directory", err, unix.ENOTDIR)
}

func fallocate(t *testing.T, root string) {
	f, err := os.OpenFile(root+"/d/file", os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	err = unix.Fallocate(int(f.Fd()), 0, 0, 10000)
	if errors.Is(err, unix.EOPNOTSUPP) {
		t.Skip("no fallocate below")
	}
	must(t, err)
	holds(t, "text"+strings.Repeat("\x00", 9996), f.Name())
	must(t, unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 1, 2))
	holds(t, "t\x00\x00t"+strings.Repeat("\x00", 9996), f.Name())
	must(t, unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, 100000))
	if st := lstat(t, f.Name()); st.Size != 10000 || st.Blocks*512 < 100000 {
		t.Errorf("size %d with %d blocks", st.Size, st.Blocks)
	}
}

func useMmap(t *testing.T, root string) {
	f, err := os.OpenFile(root+"/d/file", os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	mem, err := unix.Mmap(int(f.Fd()), 0, 4, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(t, err)
	copy(mem, "TE")
	must(t, unix.Msync(mem, unix.MS_SYNC))
	holds(t, "TExt", f.Name())
	_, err = f.WriteAt([]byte("x"), 2)
	must(t, err)
	if string(mem) != "TExt" {
		t.Errorf("memory has %q", mem)
	}
	must(t, unix.Munmap(mem))
}

func specialFiles(t *testing.T, root string) {
	t.Chdir(root) // the address of a socket is short
	l, err := net.Listen("unix", "sock")
	must(t, err)
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = c.Write([]byte("hello"))
			_ = c.Close()
		}
	}()
	c, err := net.Dial("unix", "sock")
	must(t, err)
	if text, err := io.ReadAll(c); string(text) != "hello" {
		t.Errorf("through a socket: %q, %v", text, err)
	}
	must(t, l.Close())
	absent(t, "sock")
	must(t, unix.Mkfifo("fifo", 0o600))
	f, err := os.OpenFile("fifo", os.O_RDWR, 0)
	must(t, err)
	_, err = f.WriteString("through")
	must(t, err)
	text := make([]byte, 7)
	if _, err := io.ReadFull(f, text); string(text) != "through" {
		t.Errorf("through a fifo: %q, %v", text, err)
	}
	must(t, f.Close())
	if st := lstat(t, "fifo"); st.Mode != unix.S_IFIFO|0o600 {
		t.Errorf("a fifo has mode %o", st.Mode)
	}
}

func tmpfile(t *testing.T, root string) {
	fd, err := unix.Open(root, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o640)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) {
		t.Skip("no O_TMPFILE")
	}
	must(t, err)
	f := os.NewFile(uintptr(fd), "tmpfile")
	defer f.Close()
	_, err = f.WriteString("text")
	must(t, err)
	lists(t, root)
	must(t, unix.Linkat(unix.AT_FDCWD, fmt.Sprint("/proc/self/fd/", fd), unix.AT_FDCWD, root+"/named", unix.AT_SYMLINK_FOLLOW))
	holds(t, "text", root, "named")
	if st := lstat(t, root+"/named"); st.Nlink != 1 || st.Mode != unix.S_IFREG|0o640 {
		t.Errorf("a named file has %d links, mode %o", st.Nlink, st.Mode)
	}
}

func useModes(t *testing.T, root string) {
	defer unix.Umask(unix.Umask(0o027))
	must(t, os.WriteFile(root+"/file", nil, 0o666))
	must(t, os.Mkdir(root+"/dir", 0o777))
	must(t, unix.Mknod(root+"/fifo", unix.S_IFIFO|0o666, 0))
	for name, mode := range map[string]uint32{"file": 0o640, "dir": 0o750, "fifo": 0o640} {
		if st := lstat(t, root+"/"+name); st.Mode&0o7777 != mode || st.Uid != 0 || st.Gid != 0 {
			t.Errorf("%s: mode %o of %d:%d, want %o", name, st.Mode, st.Uid, st.Gid, mode)
		}
	}
	must(t, unix.Chmod(root+"/dir", 0o3777))
	must(t, os.Mkdir(root+"/dir/sub", 0o777))
	if st := lstat(t, root+"/dir/sub"); st.Mode&unix.S_ISGID == 0 {
		t.Errorf("below a set-group-id directory one has mode %o", st.Mode)
	}
	must(t, unix.Chmod(root+"/file", 0o4755))
	if st := lstat(t, root+"/file"); st.Mode&0o7777 != 0o4755 {
		t.Errorf("mode %o, want 4755", st.Mode)
	}
}

const manyFiles, workers = 60, 8

func prepareMany(t *testing.T, lower []string) {
	for i := range manyFiles {
		write(t, "text", lower[0], "deep/er/d", fmt.Sprint("f", i))
	}
}

// concurrent has all workers change and remove the same files, so that copy-up
// meets copy-up, and rename and unlink.
func concurrent(t *testing.T, root string) {
	dir := root + "/deep/er/d"
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := range manyFiles {
				path := filepath.Join(dir, fmt.Sprint("f", i))
				if f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0); err == nil {
					if _, err := f.WriteString("+"); err != nil {
						t.Error(err)
					}
					if err := f.Close(); err != nil {
						t.Error(err)
					}
				} else if i%3 == 0 {
					t.Error(err)
				}
				switch i % 3 {
				case 1:
					_ = os.Remove(path)
				case 2:
					_ = os.Rename(path, path+"r")
				}
				if err := os.WriteFile(fmt.Sprint(dir, "/w", w, "-", i), []byte("w"), 0o644); err != nil {
					t.Error(err)
				}
				_, _ = os.ReadDir(dir)
			}
		})
	}
	all.Wait()
	seeConcurrent(t, root)
}

func seeConcurrent(t *testing.T, root string) {
	entries, err := os.ReadDir(root + "/deep/er/d")
	if want := manyFiles*workers + manyFiles*2/3; len(entries) != want || err != nil {
		t.Errorf("%d entries, want %d: %v", len(entries), want, err)
	}
	for i := 0; i < manyFiles; i += 3 {
		holds(t, "text"+strings.Repeat("+", workers), root, "deep/er/d", fmt.Sprint("f", i))
	}
}
