package container

import (
	"fmt"
	"path"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"containers/rl/storage"
	"containers/rl/storage/fuseoverlay"
	"containers/rl/userns"
)

// plan builds the script of one container. The order is the kernel's:
//
//	child, in its new namespaces          why here
//	------------------------------------  ----------------------------------------
//	mounts slaves of the host's           nothing of ours may propagate to the host
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
	links  uint64 // O_NOFOLLOW: a mount point may be a link
	place  string // in the container, of shared.target
	shared shared
	out    *output // nil: our own streams are the container's
	joins  bool    // a container that runs
	join   *joined // what it shares with others, or nil
	dirs   storage.Dirs
	images []*storage.Image  // that are mounted beside the root
	hooked bool              // hooks were run
	led    map[string]string // where places of mounts lead by links; see follow
	owners []owner           // of directories that the mounts are made of
	stdin  int               // the other end of a standard input that nobody writes to yet
}

// steps is how many a common container has.
const steps = 512

// files are paths on the host that the container needs; all are our own.
type files struct {
	merged, overlay         string // mount point of the root; overlay options
	root                    string // a directory that is bound there; "": the overlay
	layers                  string // where the options' lower directories are named from
	hosts, resolv, hostname string
	passwd, group           string // "": the image's
	init                    int    // descriptor of the init program
	seccomp                 []byte
	seccompFlags            uint
}

// shared are descriptor numbers reserved before the clone, because the child
// shares our table: what it puts there is ours when the script has run.
type shared struct{ target, mount, terminal, console, tun int }

func (p *plan) build() error {
	p.cgroupNamespace()
	p.oomScore()
	p.detach()
	p.becomeRoot()
	p.network()
	if err := p.rootfs(); err != nil {
		return err
	}
	p.terminal()
	p.sysctls()
	p.masks()
	p.meet("prestart", stageHost, stageOuter)
	p.pivot()
	p.meet(stageInner)
	return p.process()
}

// detach: nothing of ours reaches the host, but what the host mounts later
// still reaches the binds that ask for it (rslave).
func (p *plan) detach() {
	p.Do("making mounts slaves of the host's", "/", unix.SYS_MOUNT, p.Str("none"), p.Str("/"), p.Str(""),
		userns.Int(unix.MS_REC|unix.MS_SLAVE), userns.Int(0))
}

// becomeRoot: with keep-id our own id is not 0 inside; the set-up runs as 0.
func (p *plan) becomeRoot() {
	if !p.ids.Single() && !p.o.KeepGroups {
		p.Do("dropping supplementary groups", "", unix.SYS_SETGROUPS, userns.Int(0), userns.Int(0)).Ignore(unix.EPERM)
	}
	p.Do("setting group id", "0", unix.SYS_SETRESGID, userns.Int(0), userns.Int(0), userns.Int(0))
	p.Do("setting user id", "0", unix.SYS_SETRESUID, userns.Int(0), userns.Int(0), userns.Int(0))
}

// rootfs mounts the root and everything below it.
func (p *plan) rootfs() error {
	p.Do("setting umask", "0", unix.SYS_UMASK, userns.Int(0))
	for _, d := range p.owners {
		p.Do("changing the owner of", d.dir, unix.SYS_FCHOWNAT, userns.Int(unix.AT_FDCWD), p.Str(d.dir), userns.Int(d.uid), userns.Int(d.gid), userns.Int(unix.AT_SYMLINK_NOFOLLOW))
	}
	if root := p.files.root; root != "" {
		p.park(p.files.merged, p.Do("opening", p.files.merged, unix.SYS_OPENAT, userns.Int(unix.AT_FDCWD), p.Str(p.files.merged),
			userns.Int(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC), userns.Int(0)).Save(), p.shared.target)
		p.graft(tree{object: root, dir: userns.Int(unix.AT_FDCWD), path: root, source: root, recursive: true})
		p.Do("making mounts private", p.files.merged, unix.SYS_MOUNT, p.Str("none"), p.Str(p.files.merged), p.Str(""), userns.Int(unix.MS_REC|unix.MS_PRIVATE), userns.Int(0))
	} else {
		// Not by fsconfig(2), which takes 256 bytes a value: a dozen layers.
		p.Do("changing directory to", p.files.layers, unix.SYS_CHDIR, p.Str(p.files.layers))
		kind := "overlay"
		if p.servesMounts() {
			kind = fuseoverlay.Type
		}
		p.Do("mounting overlay on", p.files.merged, unix.SYS_MOUNT, p.Str("overlay"), p.Str(p.files.merged), p.Str(kind),
			userns.Int(0), p.Str(p.files.overlay))
		if p.servesMounts() {
			p.mounted(p.join.server)
		}
	}
	p.root = p.Do("opening", p.files.merged, unix.SYS_OPENAT, userns.Int(unix.AT_FDCWD), p.Str(p.files.merged),
		userns.Int(unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC), userns.Int(0)).Save()
	for _, m := range p.spec.Mounts {
		if err := p.mount(m); err != nil {
			return err
		}
		if m.Destination == "/dev" && m.Type == "tmpfs" {
			p.devices()
		}
	}
	if err := p.ownFiles(); err != nil {
		return err
	}
	if zone := p.o.rare().Zone; zone != "" && !p.overridden(zonePlace) {
		// A link there, which may lead nowhere, is covered itself.
		p.links = unix.O_NOFOLLOW
		if err := p.mount(specs.Mount{Source: zone, Destination: zonePlace, Type: "bind", Options: []string{"bind", "ro"}}); err != nil {
			return err
		}
		p.links = 0
	}
	return p.secrets(path.Dir(p.files.merged))
}

// ownFiles covers the image's. Directories that are to be the root of some
// process get what the network needs.
func (p *plan) ownFiles() error {
	network := [][2]string{{p.files.hosts, networkFiles[0]}, {p.files.resolv, networkFiles[1]}, {p.files.hostname, networkFiles[2]}}
	err := p.cover("/", append(network, [2]string{p.files.passwd, "/etc/passwd"}, [2]string{p.files.group, "/etc/group"}))
	for _, dir := range p.o.rare().Chroots {
		if err == nil {
			err = p.cover(dir, network)
		}
	}
	return err
}

func (p *plan) cover(dir string, files [][2]string) error {
	for _, own := range files {
		place := path.Join("/", dir, own[1])
		if own[0] == "" || p.overridden(place) {
			continue
		}
		if err := p.mount(specs.Mount{Source: own[0], Destination: place, Type: "bind", Options: []string{"bind"}}); err != nil {
			return err
		}
	}
	return nil
}

const zonePlace = "/etc/localtime"

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
	how := inRoot(flags, mode)
	return p.Do("opening in the container", name, unix.SYS_OPENAT2, p.root.Arg(), p.Str(name), p.Bytes(how), userns.Int(len(how)))
}

// inRoot is the open_how of openat2(2) for a path that does not leave where it
// begins.
func inRoot(flags, mode uint64) []byte {
	how := make([]byte, unix.SizeofOpenHow)
	order.PutUint64(how[0:], flags|unix.O_CLOEXEC)
	order.PutUint64(how[8:], mode)
	order.PutUint64(how[16:], unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
	return how
}

// target leaves the mount point in the reserved descriptor and makes it when
// the image has none.
func (p *plan) target(name string, directory bool) string {
	name = path.Clean("/" + name)
	p.place = name
	there := p.NewLabel()
	found := p.resolve(name, unix.O_PATH|p.links, 0).Then(there).Ignore(unix.ENOENT)
	slot := found.Save()
	missing := name
	if to := p.led[name]; to != "" && p.links == 0 {
		missing = to
	}
	p.parents(missing)
	if directory {
		p.makeDir(missing)
	} else {
		made := p.resolve(missing, unix.O_CREAT|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o644)
		p.close(made.Save())
	}
	again := p.resolve(name, unix.O_PATH|p.links, 0).Save()
	end := p.NewLabel()
	p.park(name, again, p.shared.target)
	p.Jump(end)
	p.Mark(there)
	p.park(name, slot, p.shared.target)
	p.Mark(end)
	return fdPath(p.shared.target)
}

func fdPath(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }

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

// terminal opens the container's terminal and makes it /dev/console.
func (p *plan) terminal() {
	if !p.o.TTY {
		return
	}
	p.openTerminal()
	p.target("/dev/console", false)
	p.graft(tree{object: "/dev/console", dir: userns.Int(p.shared.terminal), path: "", source: fdPath(p.shared.terminal)})
}

// openTerminal opens the container's own ptmx; the peer becomes stdio
// (TIOCGPTPEER, Linux 4.13, needs no path that the image could have replaced).
func (p *plan) openTerminal() {
	master := p.resolve("/dev/pts/ptmx", unix.O_RDWR|unix.O_NOCTTY, 0).Save()
	p.Do("unlocking the terminal", "/dev/pts/ptmx", unix.SYS_IOCTL, master.Arg(), userns.Int(unix.TIOCSPTLCK), p.Bytes(make([]byte, 4)))
	p.park("/dev/pts/ptmx", master, p.shared.console)
	peer := p.Do("opening the terminal", "/dev/pts/ptmx", unix.SYS_IOCTL, userns.Int(p.shared.console), userns.Int(unix.TIOCGPTPEER), userns.Int(unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)).Save()
	p.Do("moving the descriptor of", "the terminal", unix.SYS_DUP3, peer.Arg(), userns.Int(p.shared.terminal), userns.Int(unix.O_CLOEXEC))
	p.close(peer)
}

// pivot: both directories are ".", so that no put_old directory is needed
// (pivot_root(2), NOTES).
func (p *plan) pivot() {
	if p.spec.Root.Readonly {
		p.Do("making the root read-only", "/", unix.SYS_DUP3, p.root.Arg(), userns.Int(p.shared.target), userns.Int(unix.O_CLOEXEC))
		p.restrict("/", p.shared.target, unix.MS_RDONLY, lockedFlags(p.files.root))
	}
	p.Do("changing directory to the root", p.files.merged, unix.SYS_FCHDIR, p.root.Arg())
	p.Do("pivoting to", p.files.merged, unix.SYS_PIVOT_ROOT, p.Str("."), p.Str("."))
	p.Do("detaching", "the old root", unix.SYS_UMOUNT2, p.Str("."), userns.Int(unix.MNT_DETACH))
	p.Do("changing directory to", "/", unix.SYS_CHDIR, p.Str("/"))
	if !p.o.HostUTS && p.owns(unix.CLONE_NEWUTS) {
		p.Do("setting hostname", p.spec.Hostname, unix.SYS_SETHOSTNAME, p.Str(p.spec.Hostname), userns.Int(len(p.spec.Hostname)))
		if domain := p.spec.Domainname; domain != "" {
			p.Do("setting domain name", domain, unix.SYS_SETDOMAINNAME, p.Str(domain), userns.Int(len(domain)))
		}
	}
}
