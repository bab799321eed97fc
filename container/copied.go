package container

import (
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"containers/rl/storage"
	"containers/rl/userns"
)

// The names under which our binary starts again as root of a user namespace: to
// try which driver the store can have, and to make the copy that is a container's
// root where overlay cannot be mounted.
const (
	RoleDriver = "rl-driver"
	RoleCopy   = "rl-copy"
)

// Copying is the only argument of RoleCopy.
type Copying struct {
	Dir    string   // the container's own
	Layers []string // topmost first
}

// ChooseDriver gives the driver of containers to come. What was found by trying
// is kept, so that a start reads one small file.
func ChooseDriver(h Host) (storage.Driver, error) {
	if d, ok := h.Dirs.Driver(); ok {
		return d, nil
	}
	err := beforeJoining(h.IDs, RoleDriver, h.Dirs.Data)
	d, ok := h.Dirs.Driver()
	if !ok { // nothing can be kept there: a start shows why
		d = storage.Driver{Name: storage.Overlay, Reason: "nothing else was found"}
	}
	return d, err
}

// copyImage makes the container's own copy of its image, if that is to be its
// root. It comes before the container is one that stays: what a kill leaves is
// removed with the rest of the directory. of: what the container changed before,
// on top of the image.
func (o *Options) copyImage(h Host, c *storage.Container, of ...string) (d storage.Driver, err error) {
	if o.Rootfs != "" {
		return d, nil
	}
	if o.Image != nil { // a pod's own container has none, and an empty root
		of = append(of, o.Image.Layers...)
	}
	if err = o.decide(h, ""); err != nil || o.driver.Name != storage.VFS {
		return o.driver, err
	}
	d = o.driver
	text, err := json.Marshal(Copying{Dir: c.Dir, Layers: of})
	if err != nil {
		return d, err
	}
	return d, beforeJoining(h.IDs, RoleCopy, string(text))
}

// beforeJoining runs a second self to its end. Who is about to enter another
// container has hidden its memory already (hide), and with it the id maps of its
// children, which nobody but root can write then. None of ours is inside yet, so it is
// shown until the second self has executed its program.
func beforeJoining(ids userns.Map, role, arg string) error {
	was, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	hidden := err == nil && was == 0
	if hidden {
		_ = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
	}
	process, err := userns.Command(ids, role, []string{arg})
	if hidden {
		err = errors.Join(err, hide())
	}
	if process == nil {
		return err
	}
	return errors.Join(err, saidAlready(process.Wait()))
}

// saidAlready: a second self that ended by itself has told the user why.
func saidAlready(err error) error {
	var exit *userns.ExitError
	if errors.As(err, &exit) && exit.Status.Exited() {
		return Exit{Code: exit.Status.ExitStatus()}
	}
	return err
}

// findRoot says what the root is bound from: "" for an overlay that is to be
// mounted. A container that was made with overlay, and is started where there is
// none any more, gets a copy with all that it has changed.
func (p *plan) findRoot(c *storage.Container, again bool) (err error) {
	switch {
	case p.o.Rootfs != "":
		if !p.o.rare().RootfsOverlay {
			p.files.root = p.o.Rootfs
		}
		return nil
	case again && !storage.Copied(c.Dir):
		if p.driver, err = p.o.copyImage(Host{Dirs: p.dirs, IDs: p.ids}, c, c.Upper); err != nil {
			return err
		}
	}
	if p.driver.Name == storage.VFS || again && storage.Copied(c.Dir) {
		p.files.root = c.Root()
	}
	return nil
}

// driverNotice says once that containers are copies, and why. Who asked for it knows.
func (p *plan) driverNotice() string {
	if p.driver.Name == "" || p.driver.Name == storage.Overlay || p.driver.Forced || p.driver.Told {
		return ""
	}
	p.dirs.Tell(p.driver)
	if p.driver.Name == storage.Fuse {
		return fmt.Sprintf("the files of containers go through FUSE (driver %s): %s", storage.Fuse, p.driver.Reason)
	}
	return fmt.Sprintf("each container gets a copy of its image (driver %s): %s", storage.VFS, p.driver.Reason)
}

// Copied says whether the container has one.
func (i *Info) Copied() bool { return storage.Copied(i.Dir) }

// Driver is the name of the driver that the container has.
func (i *Info) Driver() string {
	if i.Copied() {
		return storage.VFS
	}
	return storage.Overlay
}
