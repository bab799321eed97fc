package fuseoverlay

import (
	"testing"

	"golang.org/x/sys/unix"
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
