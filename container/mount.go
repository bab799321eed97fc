package container

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"containers/rl/storage/fuseoverlay"
	"containers/rl/userns"
)

// Every mount is made detached and complete, flags and all, and then moved to
// its place by descriptors (fsopen(2), open_tree(2), move_mount(2), Linux 5.2;
// mount_setattr(2), 5.12). Where any of these calls fails, mount(2) is tried
// in its place and its error is the one to be seen: no kernel is asked
// beforehand what it has.

// mount does one entry of the specification.
func (p *plan) mount(m specs.Mount) error {
	if m.Type == typeShm {
		return p.sharedShm(m)
	}
	copied := p.copiesUp(m)
	o := mountOptions(slices.DeleteFunc(slices.Clone(m.Options), func(option string) bool { return option == CopyUp }))
	if m.Type == "bind" || o.flags&unix.MS_BIND != 0 {
		return p.bind(m, o)
	}
	if m.Type == "overlay" || m.Type == fuseoverlay.Type {
		p.overlay(m, o)
		return nil
	}
	if copied {
		p.copyUp(m, o)
		return nil
	}
	if uid, gid, ok := p.ownerOf(m.Destination); ok && m.Type == "tmpfs" {
		o.data = append(o.data, fmt.Sprintf("uid=%d", uid), fmt.Sprintf("gid=%d", gid))
	}
	done := p.NewLabel()
	p.target(m.Destination, true)
	p.newMount("mounting "+m.Type+" on", m, o, done)
	p.Mark(done)
	return nil
}

// newMount puts a new file system on the place of shared.target; where that is
// done by descriptor, it goes to the label.
func (p *plan) newMount(op string, m specs.Mount, o options, done userns.Label) {
	classic := p.NewLabel()
	p.create(op, m, o, classic)
	p.attach(op, m.Destination, p.shared.mount).OrElse(classic)
	p.Jump(done)
	p.Mark(classic)
	p.Do(op, m.Destination, unix.SYS_MOUNT, p.Str(m.Source), p.Str(fdPath(p.shared.target)), p.Str(m.Type), userns.Int(o.flags), p.Str(strings.Join(o.data, ",")))
}

// typeShm is the mount on /dev/shm of another container, which openJoins has copied.
const typeShm = "shm"

func (p *plan) sharedShm(m specs.Mount) error {
	p.target(m.Destination, true)
	p.attach("mounting", m.Source+" on "+m.Destination, p.join.shm)
	return nil
}

// create leaves a new file system, mounted nowhere, in shared.mount.
func (p *plan) create(op string, m specs.Mount, o options, classic userns.Label) {
	step := func(nr uintptr, args ...userns.Arg) *userns.Step {
		return p.Do(op, m.Destination, nr, args...).OrElse(classic)
	}
	context := step(unix.SYS_FSOPEN, p.Str(m.Type), userns.Int(unix.FSOPEN_CLOEXEC)).Save()
	p.park(m.Destination, context, p.shared.mount)
	fd := userns.Int(p.shared.mount)
	set := func(key, value string, isFlag bool) {
		if isFlag {
			step(unix.SYS_FSCONFIG, fd, userns.Int(unix.FSCONFIG_SET_FLAG), p.Str(key), userns.Int(0), userns.Int(0))
			return
		}
		step(unix.SYS_FSCONFIG, fd, userns.Int(unix.FSCONFIG_SET_STRING), p.Str(key), p.Str(value), userns.Int(0))
	}
	set("source", m.Source, false)
	if o.flags&unix.MS_RDONLY != 0 {
		set("ro", "", true)
	}
	for _, option := range o.data {
		key, value, valued := strings.Cut(option, "=")
		set(key, value, !valued)
	}
	step(unix.SYS_FSCONFIG, fd, userns.Int(unix.FSCONFIG_CMD_CREATE), userns.Int(0), userns.Int(0), userns.Int(0))
	mount := step(unix.SYS_FSMOUNT, fd, userns.Int(unix.FSMOUNT_CLOEXEC), userns.Int(mountAttr(o.flags))).Save()
	p.park(m.Destination, mount, p.shared.mount)
}

// attach moves a detached mount to the place of shared.target.
func (p *plan) attach(op, object string, mount int) *userns.Step {
	return p.Do(op, object, unix.SYS_MOVE_MOUNT, userns.Int(mount), p.Str(""), userns.Int(p.shared.target), p.Str(""),
		userns.Int(unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH))
}

// tree is a copy of mounts that exist.
type tree struct {
	object    string
	dir       userns.Arg // path is taken from here
	path      string     // "" is dir itself
	source    string     // the same for mount(2)
	recursive bool
	flags     uintptr // MS_RDONLY and the like, to be set
	locked    uintptr // flags of the source that mount(2) must repeat
	alone     bool    // the flags are not for what is mounted below
	must      bool    // there is no mount(2) in its place

	propagation uintptr // MS_PRIVATE, MS_SLAVE, MS_SHARED; 0: as it is
}

// Words among the options of a bind that mount(8) does not have.
const (
	forceRecursive = "rro"              // read-only with all below it, or an error (runtime-spec, config.md)
	notRecursive   = "ro-non-recursive" // read-only, but not what is mounted below it
	Subpath        = "subpath="         // of the source, whose links lead nowhere else
)

// SubpathOf is what of the source is mounted, or "" for all.
func SubpathOf(m specs.Mount) string { return valueOf(m.Options, Subpath) }

// bind: the source is the user's own path.
func (p *plan) bind(m specs.Mount, o options) error {
	within := SubpathOf(m)
	directory, err := isDirectory(m.Source, within)
	if err != nil {
		return err
	}
	p.target(m.Destination, directory)
	t := tree{object: m.Source + " on " + m.Destination, dir: userns.Int(unix.AT_FDCWD), path: m.Source, source: m.Source, recursive: o.flags&unix.MS_REC != 0,
		flags: o.flags &^ (unix.MS_BIND | unix.MS_REC), propagation: o.propagation,
		alone: slices.Contains(m.Options, notRecursive), must: within != "" || slices.Contains(m.Options, forceRecursive)}
	if t.flags != 0 {
		t.locked = lockedFlags(m.Source)
	}
	if within == "" {
		p.graft(t)
		return nil
	}
	part := p.part(m.Source, within)
	t.object, t.dir, t.path = m.Source+"/"+within+" on "+m.Destination, part.Arg(), ""
	p.graft(t)
	p.close(part)
	return nil
}

// isDirectory looks at a source, or what is within it. The latter may be for
// other ids alone: then it is taken for a directory.
func isDirectory(source, within string) (bool, error) {
	var st unix.Stat_t
	if err := unix.Stat(source, &st); err != nil {
		return false, fmt.Errorf("statfs %s: %w", source, err)
	}
	if within == "" {
		return st.Mode&unix.S_IFMT == unix.S_IFDIR, nil
	}
	dir, err := unix.Open(source, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, fmt.Errorf("opening %s: %w", source, err)
	}
	defer unix.Close(dir)
	fd, err := OpenIn(dir, within, unix.O_PATH)
	if errors.Is(err, unix.EACCES) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("subpath %s of %s: %w", within, source, err)
	}
	defer unix.Close(fd)
	err = unix.Fstat(fd, &st)
	return st.Mode&unix.S_IFMT == unix.S_IFDIR, err
}

// part opens what is within a directory that others may be writing to: it is
// found anew at the start, as a link or a rename may have come in between.
func (p *plan) part(source, within string) userns.Slot {
	dir := p.Do("opening", source, unix.SYS_OPENAT, userns.Int(unix.AT_FDCWD), p.Str(source), userns.Int(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC), userns.Int(0)).Save()
	how := inRoot(unix.O_PATH, 0)
	part := p.Do("opening", source+"/"+within, unix.SYS_OPENAT2, dir.Arg(), p.Str(within), p.Bytes(how), userns.Int(len(how))).Save()
	p.close(dir)
	return part
}

// graft puts a tree on the place of shared.target.
func (p *plan) graft(t tree) {
	classic, done := p.NewLabel(), p.NewLabel()
	at := uint(0)
	if t.recursive {
		at = unix.AT_RECURSIVE
	}
	step := func(s *userns.Step) *userns.Step {
		if t.must {
			return s
		}
		return s.OrElse(classic)
	}
	copied := step(p.Do("binding", t.object, unix.SYS_OPEN_TREE, t.dir, p.Str(t.path), userns.Int(unix.OPEN_TREE_CLONE|unix.O_CLOEXEC|unix.AT_EMPTY_PATH|at))).Save()
	p.park(t.object, copied, p.shared.mount)
	switch {
	case t.alone:
		step(p.setattr(t.object, p.shared.mount, at, 0, t.propagation))
		step(p.setattr(t.object, p.shared.mount, 0, t.flags, 0))
	case t.flags != 0 || t.propagation != 0:
		step(p.setattr(t.object, p.shared.mount, at, t.flags, t.propagation))
	}
	step(p.attach("attaching", t.object, p.shared.mount))
	if t.must {
		return
	}
	p.Jump(done)
	p.Mark(classic)
	p.classicBind(t)
	p.Mark(done)
}

// classicBind is graft by mount(2), which takes the source by its name.
func (p *plan) classicBind(t tree) {
	rec := uintptr(0)
	if t.recursive {
		rec = unix.MS_REC
	}
	target := p.Str(fdPath(p.shared.target))
	p.Do("binding", t.object, unix.SYS_MOUNT, p.Str(t.source), target, p.Str(""), userns.Int(unix.MS_BIND|rec), userns.Int(0))
	if t.flags != 0 || t.propagation != 0 {
		p.reopen()
	}
	if t.flags != 0 {
		p.Do("restricting", t.object, unix.SYS_MOUNT, p.Str(""), target, p.Str(""), userns.Int(unix.MS_REMOUNT|unix.MS_BIND|t.flags|t.locked), userns.Int(0))
	}
	if t.propagation != 0 {
		p.Do("setting the propagation of", t.object, unix.SYS_MOUNT, p.Str(""), target, p.Str(""), userns.Int(t.propagation|rec), userns.Int(0))
	}
}

// reopen makes shared.target the new mount: until now it is what lies below.
func (p *plan) reopen() {
	p.park(p.place, p.resolve(p.place, unix.O_PATH|p.links, 0).Save(), p.shared.target)
}

// mountAttrSize is MOUNT_ATTR_SIZE_VER0.
const mountAttrSize = 32

// setattr adds flags to a mount; what the host has locked stays.
func (p *plan) setattr(object string, fd int, at uint, flags, propagation uintptr) *userns.Step {
	attr := make([]byte, mountAttrSize)
	order.PutUint64(attr, mountAttr(flags))
	if flags&(unix.MS_NOATIME|unix.MS_STRICTATIME) != 0 {
		order.PutUint64(attr[8:], unix.MOUNT_ATTR__ATIME) // a choice of one: the old one has to be cleared
	}
	order.PutUint64(attr[16:], uint64(propagation))
	return p.Do("restricting", object, unix.SYS_MOUNT_SETATTR, userns.Int(fd), p.Str(""), userns.Int(unix.AT_EMPTY_PATH|at), p.Bytes(attr), userns.Int(len(attr)))
}

// restrict adds flags to the mount of a descriptor.
func (p *plan) restrict(object string, fd int, flags, locked uintptr) {
	classic, done := p.NewLabel(), p.NewLabel()
	p.setattr(object, fd, 0, flags, 0).OrElse(classic)
	p.Jump(done)
	p.Mark(classic)
	p.Do("restricting", object, unix.SYS_MOUNT, p.Str(""), p.Str(fdPath(fd)), p.Str(""), userns.Int(unix.MS_BIND|unix.MS_REMOUNT|flags|locked), userns.Int(0))
	p.Mark(done)
}

// lockedFlags are those that the host set on a mount: a user namespace cannot
// clear them, and mount(2) clears what it is not told.
func lockedFlags(source string) (flags uintptr) {
	var st unix.Statfs_t
	if source == "" || unix.Statfs(source, &st) != nil {
		return 0
	}
	for _, f := range [][2]int64{{unix.ST_RDONLY, unix.MS_RDONLY}, {unix.ST_NOSUID, unix.MS_NOSUID}, {unix.ST_NODEV, unix.MS_NODEV}, {unix.ST_NOEXEC, unix.MS_NOEXEC}, {unix.ST_NOATIME, unix.MS_NOATIME}, {unix.ST_NODIRATIME, unix.MS_NODIRATIME}, {unix.ST_RELATIME, unix.MS_RELATIME}} {
		if st.Flags&f[0] != 0 {
			flags |= uintptr(f[1])
		}
	}
	return flags
}

// usualDevices are in every container.
var usualDevices = []string{"null", "zero", "full", "random", "urandom", "tty"}

// devices: a user namespace cannot make nodes, so the host's are bound. The
// directory is a new tmpfs that no one else has seen, hence plain openat(2).
func (p *plan) devices() {
	dev := p.resolve("/dev", unix.O_PATH|unix.O_DIRECTORY, 0).Save()
	for _, name := range usualDevices {
		file := "/dev/" + name
		p.place = file
		made := p.Do("making", file, unix.SYS_OPENAT, dev.Arg(), p.Str(name), userns.Int(unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC), userns.Int(0o644)).Save()
		p.park(file, made, p.shared.target)
		p.graft(tree{object: file, dir: userns.Int(unix.AT_FDCWD), path: file, source: file})
	}
	for _, link := range [][2]string{{"/proc/self/fd", "fd"}, {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"}, {"pts/ptmx", "ptmx"}, {"/proc/kcore", "core"}} {
		p.Do("linking", "/dev/"+link[1], unix.SYS_SYMLINKAT, p.Str(link[0]), dev.Arg(), p.Str(link[1]))
	}
	p.close(dev)
}

// masks cover what docker covers; a path that is not there needs no cover.
func (p *plan) masks() {
	for _, name := range p.spec.Linux.MaskedPaths {
		p.existing(name, func() { p.mask(name) })
	}
	for _, name := range p.spec.Linux.ReadonlyPaths {
		p.existing(name, func() {
			p.graft(tree{object: name, dir: userns.Int(p.shared.target), source: fdPath(p.shared.target), recursive: true,
				flags: unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC})
		})
	}
}

// existing does something to a path, opened as shared.target, if it is there.
func (p *plan) existing(name string, do func()) {
	absent := p.NewLabel()
	p.place = path.Clean(name)
	p.park(name, p.resolve(name, unix.O_PATH, 0).OrElse(absent).Save(), p.shared.target)
	do()
	p.Mark(absent)
}

// mask covers a file with the host's /dev/null, a directory with nothing. The
// image's own /dev/null is not to be trusted (CVE-2025-31133).
func (p *plan) mask(name string) {
	done := p.NewLabel()
	p.Do("masking", name, unix.SYS_MOUNT, p.Str("/dev/null"), p.Str(fdPath(p.shared.target)), p.Str(""), userns.Int(unix.MS_BIND), userns.Int(0)).Then(done).Ignore(unix.ENOTDIR)
	p.Do("masking", name, unix.SYS_MOUNT, p.Str("tmpfs"), p.Str(fdPath(p.shared.target)), p.Str("tmpfs"), userns.Int(unix.MS_RDONLY), p.Str("size=0k"))
	p.Mark(done)
}
