package fuseoverlay

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"containers/rl/storage/conformance"
	"containers/rl/storage/fuse"
)

func isOpen(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil
}

func null(t *testing.T) int {
	t.Helper()
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// TestDescriptors: the least recently used is closed, one in use never.
func TestDescriptors(t *testing.T) {
	var d descriptors
	d.init()
	d.max = 2
	defer d.closeAll()
	var nodes [4]node
	var handles [4]*handle
	for i := range nodes {
		nodes[i].parts = []part{{layer: upper}}
		handles[i] = d.put(spot{&nodes[i], upper}, null(t))
		if i != 0 {
			d.release(handles[i])
		}
	}
	for i, want := range []bool{true, false, false, true} { // numbers are used again, so only what is kept is asked
		if h := d.open[spot{&nodes[i], upper}]; (h != nil) != want || h != nil && !isOpen(h.fd) {
			t.Errorf("of four files, the first in use, number %d is kept: %v", i, h != nil)
		}
	}
	if d.get(spot{&nodes[1], upper}) != nil || d.get(spot{&nodes[0], upper}) != handles[0] {
		t.Error("the cache does not have what is open, or has what is closed")
	}
	d.release(handles[0])
	second := null(t)
	if h := d.put(spot{&nodes[0], upper}, second); h != handles[0] || isOpen(second) {
		t.Error("a second descriptor of one file is kept")
	} else {
		d.release(h)
	}
	if fd := d.take(spot{&nodes[0], upper}); fd != -1 {
		t.Errorf("descriptor %d was taken from its user", fd)
	}
	d.drop(&nodes[0])
	if !isOpen(handles[0].fd) {
		t.Error("drop closed a descriptor in use")
	}
	if d.release(handles[0]); isOpen(handles[0].fd) {
		t.Error("the last user left a dropped descriptor open")
	}
	fd := d.take(spot{&nodes[3], upper})
	if fd != handles[3].fd || !isOpen(fd) || d.get(spot{&nodes[3], upper}) != nil {
		t.Error("taking the descriptor of a file that nobody uses")
	}
	_ = unix.Close(fd)
}

// TestHeldInUse: of a file without a name that is copied up, whoever reads it keeps the descriptor.
func TestHeldInUse(t *testing.T) {
	if !conformance.InNamespace(t) {
		return
	}
	o, file := openFileOf(t, "text")
	root := fuse.InHeader{NodeID: rootID}
	if status := o.Unlink(&root, "file"); status != fuse.OK {
		t.Fatal(status)
	}
	must(t, o.use(file.NodeID, false, func(fd int) error {
		set, attr := fuse.SetAttrIn{Valid: fuse.SetMode, Mode: 0o600}, fuse.AttrOut{}
		if status := o.SetAttr(file, &set, &attr); status != fuse.OK || attr.Mode&0o777 != 0o600 {
			t.Errorf("chmod: %v, mode %o", status, attr.Mode)
		}
		if !isOpen(fd) {
			t.Error("the descriptor in use was closed")
		}
		return nil
	}))
}

// openFileOf opens an overlay in this process, with a file in its layer.
func openFileOf(t *testing.T, text string) (*overlay, *fuse.InHeader) {
	t.Helper()
	dir := t.TempDir()
	write(t, text, dir, "lower/file")
	for _, name := range []string{"/upper", "/work"} {
		must(t, os.Mkdir(dir+name, 0o755))
	}
	o, err := open(Layers{Lower: []string{dir + "/lower"}, Upper: dir + "/upper", Work: dir + "/work"})
	must(t, err)
	t.Cleanup(o.close)
	var out fuse.EntryOut
	if status := o.Lookup(&fuse.InHeader{NodeID: rootID}, "file", &out); status != fuse.OK || out.NodeID == 0 {
		t.Fatal(status)
	}
	return o, &fuse.InHeader{NodeID: out.NodeID}
}

// TestCopyUpLock: while data move others may change what they like. Where they do
// not move, as file systems share them, there is nothing to be seen.
func TestCopyUpLock(t *testing.T) {
	if !conformance.InNamespace(t) {
		return
	}
	const size = 64 << 20
	o, file := openFileOf(t, strings.Repeat("x", size))
	done := make(chan error)
	go func() { done <- o.copyUp(o.tree.get(file.NodeID), wholeFile) }()
	moving := func() bool {
		var st unix.Stat_t
		return unix.Fstatat(o.work, "#1", &st, 0) == nil && st.Size > 0 && st.Size < size
	}
	for {
		select {
		case err := <-done:
			must(t, err)
			return
		default:
		}
		if !moving() {
			continue
		}
		if o.tree.disk.TryLock() {
			o.tree.disk.Unlock()
		} else if moving() { // it is not for the rename that comes after
			t.Error("the lock is held while data move")
		}
	}
}
