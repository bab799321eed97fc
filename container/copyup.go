package container

import (
	"fmt"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"containers/rl/userns"
)

// CopyUp is the option of a tmpfs that begins with what the image has at its
// place (runtime-spec's and podman's tmpcopyup).
const CopyUp = "tmpcopyup"

// RoleCopyUp is the name under which our binary starts again, in the container's
// user namespace, to copy the directory of descriptor 0 into that of descriptor
// 1. Its arguments are "single" where there is but one id, and who gets the
// files, UID:GID, or "" for each.
const RoleCopyUp = "rl-copyup"

// copiesUp says whether a mount begins with something. What is below /dev,
// /proc and /sys is none of the image's.
func (p *plan) copiesUp(m specs.Mount) bool {
	top, _, _ := strings.Cut(strings.TrimPrefix(path.Clean(m.Destination), "/"), "/")
	return slices.Contains(m.Options, CopyUp) && !slices.Contains([]string{"dev", "proc", "sys"}, top)
}

// copyUp mounts a tmpfs, and has the second self copy what it covers: that stays
// open as shared.target, and the mount as shared.mount. It is read-only last.
func (p *plan) copyUp(m specs.Mount, o options) {
	access := o.flags & unix.MS_RDONLY
	o.flags &^= access
	op, done := "mounting "+m.Type+" on", p.NewLabel()
	p.target(m.Destination, true)
	p.newMount(op, m, o, done)
	p.park(m.Destination, p.resolve(m.Destination, unix.O_PATH|p.links, 0).Save(), p.shared.mount)
	p.Mark(done)
	ns := p.Do("opening", "the user namespace", unix.SYS_OPENAT, userns.Int(unix.AT_FDCWD), p.Str("/proc/self/ns/user"), userns.Int(unix.O_RDONLY|unix.O_CLOEXEC), userns.Int(0)).Save()
	p.Meet(func(*userns.Child) error {
		owner := ""
		if uid, gid, ok := p.ownerOf(m.Destination); ok {
			owner = fmt.Sprintf("%d:%d", uid, gid)
		}
		if err := p.copyCovered(p.Result(ns), owner); err != nil {
			return fmt.Errorf("copying the image's %s to the tmpfs that is mounted there, which the option notmpcopyup leaves out: %w", m.Destination, err)
		}
		return nil
	})
	p.close(ns)
	if access != 0 {
		p.restrict(m.Destination, p.shared.mount, o.flags|access, 0)
	}
}

// copyCovered: the descriptors are ours too.
func (p *plan) copyCovered(ns int, owner string) error {
	if owner == "" && emptyDir(p.shared.target) {
		return nil
	}
	single := ""
	if p.ids.Single() {
		single = "single"
	}
	process, err := userns.CommandIn(ns, RoleCopyUp, []string{single, owner}, [3]int{p.shared.target, p.shared.mount, 2})
	if err != nil {
		return err
	}
	return process.Wait()
}

// ownerOf is the container's user where a mount has the option U.
func (p *plan) ownerOf(destination string) (uid, gid uint32, ok bool) {
	for _, m := range p.o.Mounts {
		if path.Clean(m.Destination) == path.Clean(destination) && slices.Contains(m.Options, "U") {
			return p.spec.Process.User.UID, p.spec.Process.User.GID, true
		}
	}
	return 0, 0, false
}

// emptyDir is true where we can see that there is nothing.
func emptyDir(dir int) bool {
	fd, err := unix.Openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	buffer := make([]byte, 4096)
	n, err := unix.ReadDirent(fd, buffer)
	_, count, _ := unix.ParseDirent(buffer[:max(n, 0)], 1, nil) // without . and ..
	return err == nil && count == 0
}
