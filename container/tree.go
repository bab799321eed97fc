package container

import (
	"errors"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"containers/rl/storage"
	"containers/rl/storage/fuseoverlay"
	"containers/rl/userns"
)

// Tree says where a container's files are, for a process in its user
// namespace. That of one that runs is seen as its own processes see it.
type Tree struct {
	Root    string              // a directory; "": Overlay is to be mounted on Merged
	Overlay string              // options, naming lower directories from Base
	Base    string              //
	Merged  string              //
	Upper   string              // what the container changed; "" with --rootfs DIR
	Lower   []string            // the image's directories, topmost first
	Served  *fuseoverlay.Layers // in place of Overlay, where it goes through FUSE
	Copy    *storage.Copy       // in place of Upper, of a container that has a copy of its image
	Mounts  []string            // places in it that something is mounted on while it runs
	Binds   []specs.Mount       // of these the host's own, of a container that does not run
}

// Enter is a way into the user namespace of a container's files.
type Enter struct {
	Tree Tree

	ids     userns.Map
	userns  int // of the container that runs, or -1
	storage *storage.Container
	image   *storage.Image
}

// Enter finds the files of a container, and keeps one that does not run from
// being started meanwhile. One that is started just now is found once more.
func (i *Info) Enter(h Host) (*Enter, error) {
	for {
		e, err := i.enter(h)
		if !errors.Is(err, ErrStarted) {
			return e, err
		}
		now, err := look(i.Entry)
		if err != nil {
			return nil, gone(err, i.Name())
		}
		i = now
	}
}

func (i *Info) enter(h Host) (e *Enter, err error) {
	e = &Enter{ids: h.IDs, userns: -1}
	defer func() {
		if err != nil {
			e.Close()
			e, err = nil, fmt.Errorf("opening the files of container %s: %w", i.Name(), err)
		}
	}()
	if i.ImageID != "" {
		if e.image, err = h.Dirs.Lookup(i.ImageID); err != nil {
			return e, err
		}
		e.Tree.Lower = e.image.Layers
	} else if below := i.Below(); below != "" {
		e.Tree.Lower = []string{below}
	}
	for _, m := range append(defaultMounts(&i.Options), i.Options.Mounts...) {
		e.Tree.Mounts = append(e.Tree.Mounts, m.Destination)
	}
	for _, s := range i.Options.Secrets {
		if !s.Env {
			e.Tree.Mounts = append(e.Tree.Mounts, s.Target)
		}
	}
	e.Tree.Mounts = append(e.Tree.Mounts, "/etc/hosts", "/etc/resolv.conf", "/etc/hostname", "/dev/console")
	if i.Running() {
		e.Tree.Root = fmt.Sprintf("/proc/%d/root", i.State.Init.PID)
		if e.Tree.Copy = storage.CopyOf(i.Dir); e.Tree.Copy == nil && i.Root() == "" {
			e.Tree.Upper = i.Dir + "/upper"
		}
		e.userns, err = unix.Open(fmt.Sprintf("/proc/%d/ns/user", i.State.Init.PID), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		return e, err
	}
	if e.ids, err = i.Options.mapped(h); err != nil {
		return e, err
	}
	if e.storage, err = hold(h.Dirs, i, e.image, i.startedSince); err != nil {
		return e, err
	}
	e.Tree.Binds = i.Options.binds(h.Dirs)
	if e.Tree.Copy = storage.CopyOf(e.storage.Dir); e.Tree.Copy != nil {
		e.Tree.Root = e.Tree.Copy.Root
		return e, nil
	}
	if e.Tree.Root = i.Root(); e.Tree.Root != "" {
		return e, nil
	}
	if err = i.Options.overRootfs(e.storage, e.ids); err != nil {
		return e, err
	}
	return e, e.Tree.overlay(h, e.storage)
}

// overlay says how the root of a container that does not run is mounted.
func (t *Tree) overlay(h Host, c *storage.Container) (err error) {
	t.Upper, t.Merged = c.Upper, c.Merged
	d, err := ChooseDriver(h)
	if err == nil && c.Lower != "" && d.Name == storage.VFS {
		err = noOverlay(d, c.Lower)
	}
	if err != nil {
		return err
	}
	if d.Name == storage.Fuse {
		t.Served = &fuseoverlay.Layers{Lower: c.Lowers(), Upper: c.Upper, Work: c.Work}
		return nil
	}
	t.Base, t.Overlay, err = c.OverlayOptions(false)
	return err
}

// Meanwhile is the error of work in a container's files: that the container was
// removed or ended, which took them away, says more than what was missing then.
func (i *Info) Meanwhile(err error) error {
	if err == nil || !i.Running() {
		return err
	}
	now, looked := look(i.Entry)
	switch {
	case errors.Is(looked, os.ErrNotExist):
		return storage.NoContainer(i.Name())
	case looked == nil && (now.State.Init != i.State.Init || !now.State.Init.alive() || now.State.Init.ending()):
		return fmt.Errorf("container %s ended meanwhile: %w", i.Name(), ErrNotRunning)
	}
	return err
}

// Start starts our binary again under the name role, as root of the user
// namespace, with a mount namespace of its own.
func (e *Enter) Start(role string, args []string, stdio [3]int) (*userns.Process, error) {
	if e.userns >= 0 {
		return userns.CommandIn(e.userns, role, args, stdio)
	}
	return userns.CommandWith(e.ids, role, args, stdio)
}

// Close lets go of the container.
func (e *Enter) Close() {
	if e.userns >= 0 {
		unix.Close(e.userns)
		e.userns = -1
	}
	if e.storage != nil {
		e.storage.Close()
	}
	e.image.Close()
}

// Open opens the root of the tree. It is called in the namespace of Start.
func (t Tree) Open() (root int, err error) {
	dir := t.Root
	if dir == "" {
		dir = t.Merged
		if t.Served != nil {
			err = storage.MountServed(dir, *t.Served)
		} else if err := errors.Join(os.Chdir(t.Base), unix.Mount("overlay", dir, "overlay", 0, t.Overlay), os.Chdir("/")); err != nil {
			return -1, fmt.Errorf("mounting overlay on %s: %w", dir, err)
		}
	}
	if err != nil {
		return -1, err
	}
	if root, err = unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return -1, fmt.Errorf("opening %s: %w", dir, err)
	}
	return root, nil
}

// OpenIn opens a path below a root as the root's own processes would.
func OpenIn(root int, name string, flags uint64) (int, error) {
	return unix.Openat2(root, name, &unix.OpenHow{Flags: flags | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
}
