package fuseoverlay

import (
	"sync"

	"golang.org/x/sys/unix"
)

// descriptors is a cache of open files and directories, the least recently used
// closed first. A descriptor that is in use is never closed.
type descriptors struct {
	mu   sync.Mutex
	max  int
	open map[spot]*handle
	ring handle // ring.next is the most recently used
}

// spot is what a descriptor is of: a node in one layer. In the upper layer a
// regular file is open for reading and writing.
type spot struct {
	n     *node
	layer int
}

// handle is one descriptor, to be given back by release.
type handle struct {
	fd         int
	users      int
	dropped    bool // the last user closes it
	at         spot
	prev, next *handle
}

const (
	mostDescriptors   = 8192
	fewestDescriptors = 64
)

// init takes at most half of what the process may open: files that lost their
// name are beside the cache.
func (d *descriptors) init() {
	d.open = map[spot]*handle{}
	d.ring.prev, d.ring.next = &d.ring, &d.ring
	d.max = mostDescriptors
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil {
		d.max = int(max(fewestDescriptors, min(limit.Cur/2, mostDescriptors)))
	}
}

// get returns the descriptor of a spot, nil if there is none.
func (d *descriptors) get(at spot) *handle {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.open[at]
	if h == nil {
		return nil
	}
	h.users++
	if d.ring.next != h {
		h.unlink()
		d.front(h)
	}
	return h
}

// put enters a new descriptor, for one use. If another was faster, that one is
// used and the new one closed.
func (d *descriptors) put(at spot, fd int) *handle {
	d.mu.Lock()
	h := d.open[at]
	surplus := []int{}
	if h != nil {
		surplus = append(surplus, fd)
		h.users++
	} else {
		h = &handle{fd: fd, users: 1, at: at}
		d.open[at] = h
		d.front(h)
		for old := d.ring.prev; len(d.open) > d.max && old != &d.ring; {
			last := old
			old = old.prev
			if last.users == 0 {
				d.remove(last)
				surplus = append(surplus, last.fd)
			}
		}
	}
	d.mu.Unlock()
	for _, fd := range surplus {
		_ = unix.Close(fd)
	}
	return h
}

func (d *descriptors) release(h *handle) {
	d.mu.Lock()
	h.users--
	last := h.dropped && h.users == 0
	d.mu.Unlock()
	if last {
		_ = unix.Close(h.fd)
	}
}

// take gives a spot's descriptor away, or -1. Nobody else may use the node.
func (d *descriptors) take(at spot) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := d.open[at]
	if h == nil || h.users > 0 {
		return -1
	}
	d.remove(h)
	return h.fd
}

// drop forgets a node's descriptors.
func (d *descriptors) drop(n *node) {
	var surplus []int
	d.mu.Lock()
	for _, p := range n.parts {
		h := d.open[spot{n, p.layer}]
		if h == nil {
			continue
		}
		d.remove(h)
		if h.dropped = true; h.users == 0 {
			surplus = append(surplus, h.fd)
		}
	}
	d.mu.Unlock()
	for _, fd := range surplus {
		_ = unix.Close(fd)
	}
}

func (d *descriptors) closeAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, h := range d.open {
		_ = unix.Close(h.fd)
	}
	clear(d.open)
}

func (d *descriptors) front(h *handle) {
	h.prev, h.next = &d.ring, d.ring.next
	h.prev.next, h.next.prev = h, h
}

func (d *descriptors) remove(h *handle) {
	h.unlink()
	delete(d.open, h.at)
}

func (h *handle) unlink() { h.prev.next, h.next.prev = h.next, h.prev }
