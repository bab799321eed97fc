package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

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

// Copying is what RoleCopy reads from its standard input: the names of many layers
// are more than an argument may have.
type Copying struct {
	Dir    string   // the container's own, or one in it
	Upper  string   // what it changed before on top of the image, or ""
	Layers []string // of the image, topmost first
}

// ChooseDriver gives the driver of containers to come. What was found by trying
// is kept, so that a start reads one small file.
func ChooseDriver(h Host) (storage.Driver, error) {
	if d, ok := h.Dirs.Driver(); ok {
		return d, nil
	}
	err := beforeJoining(h.IDs, RoleDriver, []string{h.Dirs.Data}, 0)
	if d, ok := h.Dirs.Driver(); ok {
		return d, nil
	}
	if err == nil {
		err = fmt.Errorf("choosing a driver: what was found cannot be read in %s", h.Dirs.Data)
	}
	return storage.Driver{}, err
}

// copyImage makes the container's own copy of its image, if that is to be its
// root. For a new container it comes before that is one that stays: what a kill
// leaves is removed with the rest of the directory. One that had an overlay has
// upper, what it changed; what a kill leaves of its copy is made anew by the next start.
func (o *Options) copyImage(h Host, c *storage.Container, upper string) error {
	if o.Rootfs != "" {
		return nil
	}
	if err := o.decide(h, ""); err != nil || o.driver.Name != storage.VFS {
		return err
	}
	request := Copying{Dir: c.Dir, Upper: upper}
	if o.Image != nil { // a pod's own container has none, and an empty root
		request.Layers = o.Image.Layers
	}
	return copyLayers(h.IDs, request)
}

// copyLayers has the second self make a copy.
func copyLayers(ids userns.Map, request Copying) error {
	text, err := json.Marshal(request)
	if err != nil {
		return err
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("making a pipe: %w", err)
	}
	defer reader.Close()
	go func() {
		_, _ = writer.Write(text) // who does not read it says why
		writer.Close()
	}()
	return beforeJoining(ids, RoleCopy, nil, int(reader.Fd()))
}

// beforeJoining runs a second self to its end. Who is about to enter another
// container has hidden its memory already (hide), and with it the id maps of its
// children, which nobody but root can write then. None of ours is inside yet, so it is
// shown until the second self has executed its program.
func beforeJoining(ids userns.Map, role string, args []string, stdin int) error {
	was, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	hidden := err == nil && was == 0
	if hidden {
		_ = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
	}
	process, err := userns.CommandWith(ids, role, args, [3]int{stdin, 1, 2})
	if hidden {
		err = errors.Join(err, hide())
	}
	if process == nil {
		return err
	}
	return errors.Join(err, SaidAlready(process.Wait()))
}

// SaidAlready: a second self that ended by itself has told the user why.
func SaidAlready(err error) error {
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
	case p.o.rare().RootfsOverlay:
		if p.o.driver.Name == storage.VFS {
			return noOverlay(p.o.driver, p.o.Rootfs)
		}
		return nil
	case p.o.Rootfs != "":
		p.files.root = p.o.Rootfs
		return nil
	case again && !storage.Copied(c.Dir):
		if err = p.o.copyImage(Host{Dirs: p.dirs, IDs: p.ids}, c, c.Upper); err != nil {
			return err
		}
	}
	if p.o.driver.Name == storage.VFS || again && storage.Copied(c.Dir) {
		p.files.root = c.Root()
	}
	return nil
}

// noOverlay refuses an overlay of a directory of the user's own where none can be
// mounted: it may be of any size, and is not copied unasked. Who named the driver
// may have the kernel's all the same.
func noOverlay(d storage.Driver, dir string) error {
	if d.Forced || d.Name == storage.Overlay {
		return nil
	}
	return fmt.Errorf("mounting an overlay of %s: there is none here (driver %s: %s): mount it with :ro, or a copy of it", dir, d.Name, d.Reason)
}

// driverNotice says once that containers are copies, and why. Who asked for it knows.
func (p *plan) driverNotice() string {
	d := &p.o.driver
	if p.o.Rootfs != "" || d.Name == "" || d.Name == storage.Overlay || d.Forced || d.Told {
		return ""
	}
	p.dirs.Tell(*d)
	d.Told = true
	if d.Name == storage.Fuse {
		return fmt.Sprintf("the files of containers go through FUSE (driver %s): %s", storage.Fuse, d.Reason)
	}
	return fmt.Sprintf("each container gets a copy of its image (driver %s): %s", storage.VFS, d.Reason)
}

// Copied says whether the container has one.
func (i *Info) Copied() bool { return storage.Copied(i.Dir) }

// Driver is the name of the driver that the container's files are for: a copy stays
// one wherever it is started; others are an overlay's, by the kernel or through
// FUSE, until a start can make nothing but a copy.
func (i *Info) Driver() string {
	if i.Copied() {
		return storage.VFS
	}
	return storage.Overlay
}
