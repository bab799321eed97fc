package container

import (
	"fmt"
	"path"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"containers/rl/userns"
)

// plan builds the script of one container. The order is the kernel's:
//
//	child, in its new namespaces          why here
//	------------------------------------  ----------------------------------------
//	mounts private                        nothing of ours may propagate to the host
//	root id, groups                       overlay and tmpfs get their owner from it
//	network devices                       TUN stays in the table we share
//	root file system, mounts, devices     sources are still reachable by host paths
//	terminal                              devpts of the container must be mounted
//	masks, read-only paths                over what was mounted above
//	pivot_root, old root gone             from here no host path exists
//	hostname, own descriptor table        dup2 of stdio must not touch ours
//	bounding set, ids, capabilities       CAP_SETPCAP and CAP_SETUID are still held
//	parent-death signal, parent alive?    a change of ids clears the signal
//	no_new_privs, seccomp, execve         the filter last: nothing else runs under it
type plan struct {
	*userns.Script
	o      *Options
	spec   *specs.Spec
	ids    userns.Map
	files  files
	root   userns.Slot
	shared shared
}

// files are paths on the host that the container needs; all are our own.
type files struct {
	merged, overlay         string // mount point of the root; overlay options
	layers                  string // where the options' lower directories are named from
	hosts, resolv, hostname string
	init                    int // descriptor of the init program
	supervisor              int // our own pidfd
	seccomp                 []byte
	seccompFlags            uint
}

// shared are descriptor numbers reserved before the clone, because the child
// shares our table: what it puts there is ours when the script has run.
type shared struct{ target, source, console, tun int }

func (p *plan) build() error {
	p.privatise()
	p.becomeRoot()
	p.network()
	if err := p.rootfs(); err != nil {
		return err
	}
	p.terminal()
	p.masks()
	p.pivot()
	return p.process()
}

func (p *plan) privatise() {
	p.Do("making mounts private", "/", unix.SYS_MOUNT, p.Str("none"), p.Str("/"), p.Str(""),
		userns.Int(unix.MS_REC|unix.MS_PRIVATE), userns.Int(0))
}

// becomeRoot: with keep-id our own id is not 0 inside; the set-up runs as 0.
func (p *plan) becomeRoot() {
	if !p.ids.Single() {
		p.Do("dropping supplementary groups", "", unix.SYS_SETGROUPS, userns.Int(0), userns.Int(0)).Ignore(unix.EPERM)
	}
	p.Do("setting group id", "0", unix.SYS_SETRESGID, userns.Int(0), userns.Int(0), userns.Int(0))
	p.Do("setting user id", "0", unix.SYS_SETRESUID, userns.Int(0), userns.Int(0), userns.Int(0))
}

// rootfs mounts the root and everything below it.
func (p *plan) rootfs() error {
	p.Do("setting umask", "0", unix.SYS_UMASK, userns.Int(0))
	if p.o.Rootfs != "" {
		p.Do("binding", p.o.Rootfs, unix.SYS_MOUNT, p.Str(p.o.Rootfs), p.Str(p.files.merged), p.Str(""), userns.Int(unix.MS_BIND|unix.MS_REC), userns.Int(0))
	} else {
		p.Do("changing directory to", p.files.layers, unix.SYS_CHDIR, p.Str(p.files.layers))
		p.Do("mounting overlay on", p.files.merged, unix.SYS_MOUNT, p.Str("overlay"), p.Str(p.files.merged), p.Str("overlay"),
			userns.Int(0), p.Str(p.files.overlay))
	}
	p.root = p.Do("opening", p.files.merged, unix.SYS_OPENAT, userns.Int(unix.AT_FDCWD), p.Str(p.files.merged),
		userns.Int(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC), userns.Int(0)).Save()
	for _, m := range p.spec.Mounts {
		if err := p.mount(m); err != nil {
			return err
		}
		if m.Destination == "/dev" {
			p.devices()
		}
	}
	for _, own := range [][2]string{{p.files.hosts, "/etc/hosts"}, {p.files.resolv, "/etc/resolv.conf"}, {p.files.hostname, "/etc/hostname"}} {
		if own[0] != "" && !p.overridden(own[1]) {
			if err := p.mount(specs.Mount{Source: own[0], Destination: own[1], Type: "bind", Options: []string{"bind"}}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *plan) overridden(destination string) bool {
	for _, m := range p.o.Mounts {
		if path.Clean(m.Destination) == destination {
			return true
		}
	}
	return false
}

// resolve opens a path as the container would see it: below its root, whatever
// links the image holds (CVE-2021-30465 and its family).
func (p *plan) resolve(name string, flags uint64, mode uint64) *userns.Step {
	how := make([]byte, unix.SizeofOpenHow)
	order.PutUint64(how[0:], flags|unix.O_CLOEXEC)
	order.PutUint64(how[8:], mode)
	order.PutUint64(how[16:], unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
	return p.Do("opening in the container", name, unix.SYS_OPENAT2, p.root.Arg(), p.Str(name), p.Bytes(how), userns.Int(len(how)))
}

// target leaves the mount point in the reserved descriptor and makes it when
// the image has none.
func (p *plan) target(name string, directory bool) string {
	name = path.Clean("/" + name)
	there := p.NewLabel()
	found := p.resolve(name, unix.O_PATH, 0).Then(there).Ignore(unix.ENOENT)
	slot := found.Save()
	p.parents(name)
	if directory {
		p.makeDir(name)
	} else {
		made := p.resolve(name, unix.O_CREAT|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o644)
		p.close(made.Save())
	}
	again := p.resolve(name, unix.O_PATH, 0).Save()
	end := p.NewLabel()
	p.park(name, again, p.shared.target)
	p.Jump(end)
	p.Mark(there)
	p.park(name, slot, p.shared.target)
	p.Mark(end)
	return fmt.Sprintf("/proc/self/fd/%d", p.shared.target)
}

// park moves a descriptor to a number known beforehand, so that its
// /proc/self/fd path can be written into the script.
func (p *plan) park(object string, from userns.Slot, to int) {
	p.Do("moving the descriptor of", object, unix.SYS_DUP3, from.Arg(), userns.Int(to), userns.Int(unix.O_CLOEXEC))
	p.close(from)
}

func (p *plan) close(s userns.Slot) { p.Do("closing", "", unix.SYS_CLOSE, s.Arg()) }

func (p *plan) parents(name string) {
	for i := 1; i < len(name); i++ {
		if name[i] == '/' {
			p.makeDir(name[:i])
		}
	}
}

func (p *plan) makeDir(name string) {
	dir, base := path.Split(name)
	parent := p.resolve(dir, unix.O_PATH|unix.O_DIRECTORY, 0).Save()
	p.Do("making directory", name, unix.SYS_MKDIRAT, parent.Arg(), p.Str(base), userns.Int(0o755)).Ignore(unix.EEXIST)
	p.close(parent)
}

// mount does one entry of the specification.
func (p *plan) mount(m specs.Mount) error {
	flags, data := mountOptions(m.Options)
	if m.Type == "bind" || flags&unix.MS_BIND != 0 {
		return p.bind(m, flags)
	}
	target := p.target(m.Destination, true)
	p.Do("mounting "+m.Type+" on", m.Destination, unix.SYS_MOUNT, p.Str(m.Source), p.Str(target), p.Str(m.Type), userns.Int(flags), p.Str(data))
	return nil
}

// bind: the source is the user's own path. Flags that the host set on its
// mount are locked in a user namespace and must be repeated when changing any.
func (p *plan) bind(m specs.Mount, flags uintptr) error {
	var st unix.Stat_t
	if err := unix.Stat(m.Source, &st); err != nil {
		return fmt.Errorf("statfs %s: %w", m.Source, err)
	}
	target := p.target(m.Destination, st.Mode&unix.S_IFMT == unix.S_IFDIR)
	recursive := flags & unix.MS_REC
	p.Do("binding "+m.Source+" on", m.Destination, unix.SYS_MOUNT, p.Str(m.Source), p.Str(target), p.Str(""), userns.Int(unix.MS_BIND|recursive), userns.Int(0))
	if change := flags &^ (unix.MS_BIND | unix.MS_REC); change != 0 {
		p.park(m.Destination, p.resolve(m.Destination, unix.O_PATH, 0).Save(), p.shared.target)
		p.setFlags(m.Destination, target, change, recursive != 0, lockedFlags(m.Source))
	}
	return nil
}

// mountAttrSize is MOUNT_ATTR_SIZE_VER0.
const mountAttrSize = 32

// setFlags makes all of a bind read-only with mount_setattr(2) (Linux 5.12);
// an older kernel can change only the top mount.
func (p *plan) setFlags(object, target string, flags uintptr, recursive bool, locked uintptr) {
	attr := make([]byte, mountAttrSize)
	order.PutUint64(attr, mountAttr(flags))
	at := unix.AT_EMPTY_PATH
	if recursive {
		at |= unix.AT_RECURSIVE
	}
	p.Do("restricting the mount on", object, unix.SYS_MOUNT_SETATTR, userns.Int(p.shared.target), p.Str(""), userns.Int(at), p.Bytes(attr), userns.Int(len(attr))).Ignore(unix.ENOSYS, unix.EPERM)
	p.Do("restricting the mount on", object, unix.SYS_MOUNT, p.Str(""), p.Str(target), p.Str(""), userns.Int(unix.MS_REMOUNT|unix.MS_BIND|flags|locked), userns.Int(0))
}

func lockedFlags(source string) (flags uintptr) {
	var st unix.Statfs_t
	if unix.Statfs(source, &st) != nil {
		return 0
	}
	for _, f := range [][2]int64{{unix.ST_RDONLY, unix.MS_RDONLY}, {unix.ST_NOSUID, unix.MS_NOSUID}, {unix.ST_NODEV, unix.MS_NODEV}, {unix.ST_NOEXEC, unix.MS_NOEXEC}, {unix.ST_NOATIME, unix.MS_NOATIME}, {unix.ST_NODIRATIME, unix.MS_NODIRATIME}, {unix.ST_RELATIME, unix.MS_RELATIME}} {
		if st.Flags&f[0] != 0 {
			flags |= uintptr(f[1])
		}
	}
	return flags
}

// devices: a user namespace cannot make nodes, so the host's are bound.
func (p *plan) devices() {
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		target := p.target("/dev/"+name, false)
		p.Do("binding device", "/dev/"+name, unix.SYS_MOUNT, p.Str("/dev/"+name), p.Str(target), p.Str(""), userns.Int(unix.MS_BIND), userns.Int(0))
	}
	dev := p.resolve("/dev", unix.O_PATH|unix.O_DIRECTORY, 0).Save()
	for _, link := range [][2]string{{"/proc/self/fd", "fd"}, {"/proc/self/fd/0", "stdin"}, {"/proc/self/fd/1", "stdout"}, {"/proc/self/fd/2", "stderr"}, {"pts/ptmx", "ptmx"}, {"/proc/kcore", "core"}} {
		p.Do("linking", "/dev/"+link[1], unix.SYS_SYMLINKAT, p.Str(link[0]), dev.Arg(), p.Str(link[1]))
	}
	p.close(dev)
}

// terminal opens the container's own ptmx; the peer becomes stdio (TIOCGPTPEER,
// Linux 4.13, needs no path that the image could have replaced).
func (p *plan) terminal() {
	if !p.o.TTY {
		return
	}
	master := p.resolve("/dev/pts/ptmx", unix.O_RDWR|unix.O_NOCTTY, 0).Save()
	p.Do("unlocking the terminal", "/dev/pts/ptmx", unix.SYS_IOCTL, master.Arg(), userns.Int(unix.TIOCSPTLCK), p.Bytes(make([]byte, 4)))
	p.park("/dev/pts/ptmx", master, p.shared.console)
	peer := p.Do("opening the terminal", "/dev/pts/0", unix.SYS_IOCTL, userns.Int(p.shared.console), userns.Int(unix.TIOCGPTPEER), userns.Int(unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)).Save()
	p.Do("moving the descriptor of", "the terminal", unix.SYS_DUP3, peer.Arg(), userns.Int(p.shared.source), userns.Int(unix.O_CLOEXEC))
	p.close(peer)
	target := p.target("/dev/console", false)
	p.Do("binding", "/dev/console", unix.SYS_MOUNT, p.Str(fmt.Sprintf("/proc/self/fd/%d", p.shared.source)), p.Str(target), p.Str(""), userns.Int(unix.MS_BIND), userns.Int(0))
}

// masks cover what docker covers; a path that is not there needs no cover.
func (p *plan) masks() {
	null, target := "/dev/null", fmt.Sprintf("/proc/self/fd/%d", p.shared.target)
	for _, name := range p.spec.Linux.MaskedPaths {
		absent, done := p.NewLabel(), p.NewLabel()
		slot := p.resolve(name, unix.O_PATH, 0).OrElse(absent).Save()
		p.park(name, slot, p.shared.target)
		p.Do("masking", name, unix.SYS_MOUNT, p.Str(null), p.Str(target), p.Str(""), userns.Int(unix.MS_BIND), userns.Int(0)).Then(done).Ignore(unix.ENOTDIR)
		p.Do("masking", name, unix.SYS_MOUNT, p.Str("tmpfs"), p.Str(target), p.Str("tmpfs"), userns.Int(unix.MS_RDONLY), p.Str("size=0k"))
		p.Mark(absent)
		p.Mark(done)
	}
	for _, name := range p.spec.Linux.ReadonlyPaths {
		absent := p.NewLabel()
		p.park(name, p.resolve(name, unix.O_PATH, 0).OrElse(absent).Save(), p.shared.target)
		p.Do("binding", name, unix.SYS_MOUNT, p.Str(target), p.Str(target), p.Str(""), userns.Int(unix.MS_BIND|unix.MS_REC), userns.Int(0))
		p.park(name, p.resolve(name, unix.O_PATH, 0).Save(), p.shared.target)
		p.Do("making read-only", name, unix.SYS_MOUNT, p.Str(""), p.Str(target), p.Str(""),
			userns.Int(unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC), userns.Int(0))
		p.Mark(absent)
	}
}

// pivot: both directories are ".", so that no put_old directory is needed
// (pivot_root(2), NOTES).
func (p *plan) pivot() {
	if p.spec.Root.Readonly {
		p.Do("making the root read-only", "/", unix.SYS_DUP3, p.root.Arg(), userns.Int(p.shared.target), userns.Int(unix.O_CLOEXEC))
		p.Do("making the root read-only", "/", unix.SYS_MOUNT, p.Str(""), p.Str(fmt.Sprintf("/proc/self/fd/%d", p.shared.target)), p.Str(""), userns.Int(unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY), userns.Int(0))
	}
	p.Do("changing directory to the root", p.files.merged, unix.SYS_FCHDIR, p.root.Arg())
	p.Do("pivoting to", p.files.merged, unix.SYS_PIVOT_ROOT, p.Str("."), p.Str("."))
	p.Do("detaching", "the old root", unix.SYS_UMOUNT2, p.Str("."), userns.Int(unix.MNT_DETACH))
	p.Do("changing directory to", "/", unix.SYS_CHDIR, p.Str("/"))
	if !p.o.HostUTS {
		p.Do("setting hostname", p.spec.Hostname, unix.SYS_SETHOSTNAME, p.Str(p.spec.Hostname), userns.Int(len(p.spec.Hostname)))
	}
}
