package fuseoverlay

import (
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// node is a file that the kernel knows, by id.
//
// Where it lies on disk (parts, places, held) changes with overlay.tree.disk
// held for writing, and is relied on with it held for reading. The rest of it
// is guarded by tree.mu.
type node struct {
	id     uint64
	ino    uint64 // st_ino, as users see it
	real   uint64 // st_ino on disk, of the topmost part
	format uint32 // S_IFMT of st_mode

	parts  []part // the topmost first; several for a merged directory
	held   int    // descriptor of a file that has no name any more, or -1
	spares []int  // what was held before it was copied up or got a name again: somebody may be using it

	copying sync.Mutex // held by who copies it up

	places   []place // its names: several for a hard link in the upper layer
	children map[string]*node
	lookups  uint64 // how often the kernel was told of it, and did not forget
}

// part is what one layer has of a node.
type part struct {
	layer int
	// xwhiteouts: whiteouts may be files with an attribute, in this directory.
	xwhiteouts bool
}

type place struct {
	parent *node
	name   string
}

func (n *node) isDir() bool     { return n.format == unix.S_IFDIR }
func (n *node) isRegular() bool { return n.format == unix.S_IFREG }
func (n *node) top() int        { return n.parts[0].layer }

// isUpper says whether the topmost part can be written.
func (n *node) isUpper() bool { return n.top() == upper }

// below are the parts that whoever makes a name in the directory has to hide.
func (n *node) below() []part {
	if n.isUpper() {
		return n.parts[1:]
	}
	return n.parts
}

// tree is all nodes, by id and by name.
type tree struct {
	// disk is held for reading while something is done at a node's place on
	// disk, for writing while places change: unlink, rename, the end of copy-up.
	// Creating is reading: the kernel lets nobody else into the directory.
	disk sync.RWMutex

	mu      sync.Mutex // of all below, and never held over a system call
	nodes   map[uint64]*node
	last    uint64
	links   map[uint64]*node  // hard links of the upper layer, by st_ino
	origins map[uint64]uint64 // st_ino in the upper layer -> what was seen before copy-up
}

const rootID = 1

func (o *overlay) plantRoot() error {
	root := &node{id: rootID, format: unix.S_IFDIR, held: -1, lookups: 1, children: map[string]*node{}}
	var st unix.Stat_t
	for i := range o.layers {
		opaque, err := opacity(o.layers[i].fd)
		if err != nil {
			return err
		}
		root.parts = append(root.parts, part{i, opaque == opaqueX})
		if opaque == opaqueY {
			break
		}
	}
	if err := unix.Fstat(o.layers[upper].fd, &st); err != nil {
		return err
	}
	root.ino, root.real = st.Ino, st.Ino
	o.tree = tree{nodes: map[uint64]*node{rootID: root}, last: rootID, links: map[uint64]*node{}, origins: map[uint64]uint64{}}
	return nil
}

// get is the node of an id; nil is a bug of somebody, answered with ESTALE.
func (t *tree) get(id uint64) *node {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.nodes[id]
}

func (t *tree) child(dir *node, name string) *node {
	t.mu.Lock()
	defer t.mu.Unlock()
	return dir.children[name]
}

// place is one of the names of a node that is not the root; ok is false when it has none.
func (t *tree) place(n *node) (p place, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(n.places) == 0 {
		return place{}, false
	}
	return n.places[0], true
}

// meet returns the node for what was found on disk, known before or new. The
// kernel is told of it once more, if count says so.
func (t *tree) meet(dir *node, name string, parts []part, st *unix.Stat_t, ino uint64, count bool) *node {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := dir.children[name]
	if n == nil {
		format := st.Mode & unix.S_IFMT
		linked := format != unix.S_IFDIR && parts[0].layer == upper
		if linked {
			n = t.links[st.Ino]
		}
		if n == nil {
			t.last++
			n = &node{id: t.last, ino: ino, real: st.Ino, format: format, parts: parts, held: -1}
			if format == unix.S_IFDIR {
				n.children = map[string]*node{}
			}
			if linked && st.Nlink > 1 {
				t.links[st.Ino] = n
			}
			t.nodes[n.id] = n
		}
		t.attach(n, dir, name)
	}
	if count {
		n.lookups++
	}
	return n
}

// add is meet for a file without a name.
func (t *tree) add(st *unix.Stat_t, fd int) *node {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	n := &node{id: t.last, ino: st.Ino, real: st.Ino, format: st.Mode & unix.S_IFMT, parts: []part{{layer: upper}}, held: fd, lookups: 1}
	t.nodes[n.id] = n
	return n
}

func (t *tree) attach(n, dir *node, name string) {
	n.places = append(n.places, place{dir, name})
	dir.children[name] = n
}

func (t *tree) detach(n, dir *node, name string) {
	if i := slices.Index(n.places, place{dir, name}); i >= 0 {
		n.places = slices.Delete(n.places, i, i+1)
	}
	if dir.children[name] == n {
		delete(dir.children, name)
	}
}

// shown is st_ino for users: that on disk where all layers are of one file
// system, else with the layer in the high bits. A copied-up file keeps its own.
func (o *overlay) shown(layer int, dev, ino uint64) uint64 {
	if layer == upper {
		o.tree.mu.Lock()
		defer o.tree.mu.Unlock()
		if was, ok := o.tree.origins[ino]; ok {
			return was
		}
		return ino
	}
	if dev != o.layers[upper].dev {
		return ino ^ uint64(layer)<<48
	}
	return ino
}

// Forget ends count of the kernel's uses of a node. A directory stays while
// there are nodes in it, so that they have a path.
func (o *overlay) Forget(id, count uint64) {
	o.tree.mu.Lock()
	n := o.tree.nodes[id]
	if n == nil || id == rootID {
		o.tree.mu.Unlock()
		return
	}
	n.lookups -= min(count, n.lookups)
	var gone []*node
	if n.lookups == 0 && len(n.children) == 0 {
		gone = o.tree.prune(n)
	}
	o.tree.mu.Unlock()
	for _, n := range gone {
		o.files.drop(n)
		if n.held >= 0 {
			_ = unix.Close(n.held)
		}
		for _, fd := range n.spares {
			_ = unix.Close(fd)
		}
	}
}

// prune takes a node out, and every directory above that was there for it alone.
func (t *tree) prune(n *node) (gone []*node) {
	delete(t.nodes, n.id)
	if t.links[n.real] == n {
		delete(t.links, n.real)
	}
	gone = append(gone, n)
	for _, p := range slices.Clone(n.places) {
		t.detach(n, p.parent, p.name)
		if p.parent.lookups == 0 && len(p.parent.children) == 0 && p.parent.id != rootID {
			gone = append(gone, t.prune(p.parent)...)
		}
	}
	return gone
}
