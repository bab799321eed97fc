package container

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"containers/rl/storage"
	"containers/rl/userns"
)

// writtenFile says that a container of --rootfs DIR:O was started since its upper
// directory was made. What is written there goes when the container ends
// (podman-run(1), Overlay Rootfs Mounts), or when it is next looked at if its rl
// was killed; what rl cp brings between two runs is for the second one.
const writtenFile = "written"

// Root is the directory that is the container's root itself: --rootfs DIR.
func (i *Info) Root() string {
	if i.Options.rare().RootfsOverlay {
		return ""
	}
	return i.Options.Rootfs
}

// Below is the directory that the container's root lies on: --rootfs DIR:O.
func (i *Info) Below() string {
	if i.Options.rare().RootfsOverlay {
		return i.Options.Rootfs
	}
	return ""
}

// overRootfs has the root lie on the user's directory, whose mode it gets.
func (o *Options) overRootfs(c *storage.Container, ids userns.Map) error {
	if !o.rare().RootfsOverlay {
		return nil
	}
	c.Lower = o.Rootfs
	if err := o.forget(c, ids); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Stat(o.Rootfs, &st); err != nil {
		return fmt.Errorf("mounting an overlay of %s: %w", o.Rootfs, err)
	}
	return os.Chmod(c.Upper, directoryMode(st.Mode))
}

// ownRoot gives the root the owner that the directory has.
func (p *plan) ownRoot(c *storage.Container) error {
	if c.Lower == "" {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Stat(c.Lower, &st); err != nil {
		return fmt.Errorf("mounting an overlay of %s: %w", c.Lower, err)
	}
	p.give(c.Upper, st.Uid, st.Gid)
	return nil
}

// forget destroys what the last run wrote over the user's directory.
func (o *Options) forget(c *storage.Container, ids userns.Map) error {
	written := path.Join(c.Dir, writtenFile)
	if !o.rare().RootfsOverlay || unix.Access(written, unix.F_OK) != nil {
		return nil
	}
	for _, dir := range []string{c.Upper, c.Work} {
		if err := removeMade(ids, dir); err != nil {
			return fmt.Errorf("removing what container %s wrote: %w", c.ID, err)
		}
	}
	return errors.Join(makeDirs(0o700, c.Upper, c.Work), os.Remove(written))
}

// removeMade removes a tree that may have files of other ids, if it is there.
func removeMade(ids userns.Map, dir string) error {
	err := storage.RemoveTree(unix.AT_FDCWD, dir)
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return beforeJoining(ids, RoleRemove, []string{dir}, 0)
}
