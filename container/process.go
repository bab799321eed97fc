package container

import (
	"fmt"
	"path"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	netconfig "containers/rl/netslirp/config"
	"containers/rl/security"
	"containers/rl/userns"
)

// process is the last part of the script: from root of the namespace to the
// user's program.
func (p *plan) process() error {
	process := p.spec.Process
	if p.joins {
		p.Do("exec: changing directory to", process.Cwd, unix.SYS_CHDIR, p.Str(process.Cwd))
	} else {
		p.workdir(process.Cwd)
	}
	p.stdio()
	if err := p.limits(); err != nil {
		return err
	}
	mask, err := security.CapabilityMask(process.Capabilities.Bounding)
	if err != nil {
		return err
	}
	p.bounding(mask)
	p.personality()
	if !process.NoNewPrivileges {
		p.filter() // only CAP_SYS_ADMIN may set one without no_new_privs
	}
	p.identity()
	p.capabilities(mask)
	p.dieWithSupervisor()
	p.Do("setting umask", "", unix.SYS_UMASK, userns.Int(p.o.Umask))
	if process.NoNewPrivileges {
		p.prctl("setting", "no_new_privs", unix.PR_SET_NO_NEW_PRIVS, 1)
		p.filter()
	}
	p.exec()
	return nil
}

// workdir is made when the image lacks it, as docker does.
func (p *plan) workdir(dir string) {
	dir = path.Clean("/" + dir)
	for i := 1; i <= len(dir); i++ {
		if i == len(dir) || dir[i] == '/' {
			p.Do("making directory", dir[:i], unix.SYS_MKDIRAT, userns.Int(unix.AT_FDCWD), p.Str(dir[:i]), userns.Int(0o755)).Ignore(unix.EEXIST, unix.EROFS)
		}
	}
	p.Do("changing directory to", dir, unix.SYS_CHDIR, p.Str(dir))
}

// stdio: the descriptor table stops being shared before 0 to 2 are replaced,
// and everything above is closed (CVE-2024-21626).
func (p *plan) stdio() {
	p.Do("starting session", "", unix.SYS_SETSID)
	p.Do("unsharing", "descriptors", unix.SYS_UNSHARE, userns.Int(unix.CLONE_FILES))
	for i, fd := range p.stdioDescriptors() {
		p.Do("setting descriptor", fmt.Sprint(i), unix.SYS_DUP3, userns.Int(fd), userns.Int(i), userns.Int(0)).Ignore(unix.EINVAL)
	}
	if user := p.spec.Process.User; p.out != nil && user.UID != 0 {
		for fd := 1; fd <= 2; fd++ { // so that the user can open /dev/stdout
			p.Do("giving the user descriptor", fmt.Sprint(fd), unix.SYS_FCHOWN, userns.Int(fd), userns.Int(user.UID), userns.Int(user.GID)).Ignore()
		}
	}
	if p.o.TTY {
		p.Do("taking the terminal", "", unix.SYS_IOCTL, userns.Int(0), userns.Int(unix.TIOCSCTTY), userns.Int(0))
	}
}

func (p *plan) stdioDescriptors() [3]int {
	if p.o.TTY {
		return [3]int{p.shared.terminal, p.shared.terminal, p.shared.terminal}
	}
	if p.out != nil {
		return [3]int{int(p.o.Stdin.Fd()), p.out.pipes[0].theirs, p.out.pipes[1].theirs}
	}
	return [3]int{int(p.o.Stdin.Fd()), int(p.o.Stdout.Fd()), int(p.o.Stderr.Fd())}
}

var rlimits = map[string]int{
	"core": unix.RLIMIT_CORE, "cpu": unix.RLIMIT_CPU, "data": unix.RLIMIT_DATA, "fsize": unix.RLIMIT_FSIZE,
	"locks": unix.RLIMIT_LOCKS, "memlock": unix.RLIMIT_MEMLOCK, "msgqueue": unix.RLIMIT_MSGQUEUE, "nice": unix.RLIMIT_NICE,
	"nofile": unix.RLIMIT_NOFILE, "nproc": unix.RLIMIT_NPROC, "rss": unix.RLIMIT_RSS, "rtprio": unix.RLIMIT_RTPRIO,
	"rttime": unix.RLIMIT_RTTIME, "sigpending": unix.RLIMIT_SIGPENDING, "stack": unix.RLIMIT_STACK, "as": unix.RLIMIT_AS,
}

// KnownLimit says whether --ulimit has such a name.
func KnownLimit(name string) bool {
	_, ok := rlimits[name]
	return ok
}

// limits: a limit that cannot be set is an error, never silence.
func (p *plan) limits() error {
	for _, l := range p.spec.Process.Rlimits {
		name := strings.ToLower(strings.TrimPrefix(l.Type, "RLIMIT_"))
		number, ok := rlimits[name]
		if !ok {
			return fmt.Errorf("ulimit %s: unknown limit", name)
		}
		value := make([]byte, 16)
		order.PutUint64(value, l.Soft)
		order.PutUint64(value[8:], l.Hard)
		p.Do("setting ulimit", fmt.Sprintf("%s to %d:%d", name, l.Soft, l.Hard), unix.SYS_PRLIMIT64, userns.Int(0), userns.Int(number), p.Bytes(value), userns.Int(0))
	}
	return nil
}

func (p *plan) prctl(op, object string, option, value int) *userns.Step {
	return p.Do(op, object, unix.SYS_PRCTL, userns.Int(option), userns.Int(value), userns.Int(0), userns.Int(0), userns.Int(0))
}

func (p *plan) bounding(mask uint64) {
	all, _ := security.CapabilityMask(security.AllCapabilities())
	for c := range 64 {
		if all&^mask&(1<<c) != 0 {
			p.prctl("dropping capability", fmt.Sprint(c), unix.PR_CAPBSET_DROP, c)
		}
	}
}

// identity: groups first, as setresuid gives up the right to set them.
func (p *plan) identity() {
	u := p.spec.Process.User
	if !p.ids.Single() && !p.o.KeepGroups {
		groups := make([]byte, 4*len(u.AdditionalGids)+4)
		for i, gid := range u.AdditionalGids {
			order.PutUint32(groups[4*i:], gid)
		}
		p.Do("setting groups", fmt.Sprint(u.AdditionalGids), unix.SYS_SETGROUPS, userns.Int(len(u.AdditionalGids)), p.Bytes(groups)).Ignore(unix.EPERM)
	}
	p.Do("setting group id", fmt.Sprint(u.GID), unix.SYS_SETRESGID, userns.Int(u.GID), userns.Int(u.GID), userns.Int(u.GID))
	p.Do("setting user id", fmt.Sprint(u.UID), unix.SYS_SETRESUID, userns.Int(u.UID), userns.Int(u.UID), userns.Int(u.UID))
}

// capabilities: another user than root has lost all with setresuid; execve
// gives root the bounding set and nothing is inheritable or ambient.
func (p *plan) capabilities(mask uint64) {
	p.prctl("clearing", "ambient capabilities", unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL)
	if p.spec.Process.User.UID != 0 {
		mask = 0
	}
	header, data := make([]byte, 8), make([]byte, 24)
	order.PutUint32(header, unix.LINUX_CAPABILITY_VERSION_3)
	for i, word := range []uint32{uint32(mask), uint32(mask >> 32)} {
		order.PutUint32(data[12*i:], word)
		order.PutUint32(data[12*i+4:], word)
	}
	p.Do("setting capabilities", "", unix.SYS_CAPSET, p.Bytes(header), p.Bytes(data))
}

// dieWithSupervisor: the change of ids above has cleared the signal, so it is
// set here; then the supervisor must say that it is there to send it.
func (p *plan) dieWithSupervisor() {
	if p.joins && p.o.Detached { // it dies with the container alone
		p.prctl("clearing", "the parent-death signal", unix.PR_SET_PDEATHSIG, 0)
		return
	}
	p.prctl("setting", "the parent-death signal", unix.PR_SET_PDEATHSIG, int(unix.SIGKILL))
	p.Confirm()
}

func (p *plan) filter() {
	if len(p.files.seccomp) == 0 {
		return
	}
	prog := make([]byte, 16)
	order.PutUint16(prog, uint16(len(p.files.seccomp)/8))
	p.Bytes(p.files.seccomp)
	order.PutUint64(prog[8:], uint64(uintptr(unsafe.Pointer(&p.files.seccomp[0]))))
	p.Do("setting", "the seccomp filter", unix.SYS_SECCOMP, userns.Int(1), userns.Int(p.files.seccompFlags), p.Bytes(prog))
}

func (p *plan) exec() {
	process, env := p.spec.Process, p.spec.Process.Env
	if len(p.o.Secrets) > 0 {
		env = mergeEnv(env, p.o.secretEnv()) // in no specification that is written
	}
	// Not closed but marked: execve closes them, after the last one was used.
	p.Do("closing", "descriptors", unix.SYS_CLOSE_RANGE, userns.Int(3+p.o.PreserveFDs), userns.Int(int64(^uint32(0))), userns.Int(unix.CLOSE_RANGE_CLOEXEC)).Ignore()
	if p.o.pauses() {
		blockSignals(p.Script, ^uint64(0))
		p.ExecFD(userns.Int(p.files.init), "pause", process.Args, nil)
		return
	}
	paths := candidates(process.Args[0], env)
	if p.o.ownInit() {
		blockSignals(p.Script, ^uint64(0))
		argv := append(append([]string{"rl-init"}, paths...), "")
		p.ExecFD(userns.Int(p.files.init), "rl-init", append(argv, process.Args...), env)
		return
	}
	p.ExecAny(paths, process.Args, env)
}

// blockSignals keeps signals for later. Process 1 loses those that it neither
// blocks nor handles (pid_namespaces(7)), so our own inits, which wait for what
// is blocked, begin like that.
func blockSignals(s *userns.Script, set uint64) {
	mask := order.AppendUint64(nil, set)
	s.Do("blocking", "signals", unix.SYS_RT_SIGPROCMASK, userns.Int(unix.SIG_BLOCK), s.Bytes(mask), userns.Int(0), userns.Int(len(mask)))
}

// candidates are the paths that execvp(3) would try.
func candidates(name string, env []string) []string {
	if strings.Contains(name, "/") {
		return []string{name}
	}
	var paths []string
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, "PATH="); ok {
			for _, dir := range strings.Split(value, ":") {
				paths = append(paths, path.Join(first(dir, "."), name))
			}
		}
	}
	return paths
}

// network makes the devices. TUNSETPERSIST keeps the close of the descriptor
// from waiting 16 ms for the device's removal: it goes with its namespace.
func (p *plan) network() {
	if p.o.Network == NetworkHost || p.o.Network == NetworkJoined {
		return
	}
	sock := p.Do("opening", "an inet socket", unix.SYS_SOCKET, userns.Int(unix.AF_INET), userns.Int(unix.SOCK_DGRAM|unix.SOCK_CLOEXEC), userns.Int(0)).Save()
	p.ifreq(sock, "starting", "lo", unix.SIOCSIFFLAGS, flagsRequest(unix.IFF_UP))
	if p.o.Network == NetworkSlirp {
		p.tun(sock)
	}
	p.close(sock)
}

func (p *plan) ifreq(sock userns.Slot, op, device string, request int, value []byte) []byte {
	req := make([]byte, 40)
	copy(req, device)
	copy(req[16:], value)
	p.Do(op, device, unix.SYS_IOCTL, sock.Arg(), userns.Int(request), p.Bytes(req))
	return req
}

func flagsRequest(flags uint16) []byte { return order.AppendUint16(nil, flags) }

// inetRequest is a struct sockaddr_in.
func inetRequest(a [4]byte) []byte {
	return append(order.AppendUint16(nil, unix.AF_INET), 0, 0, a[0], a[1], a[2], a[3], 0, 0, 0, 0, 0, 0, 0, 0)
}

func (p *plan) tun(sock userns.Slot) {
	cfg, name := p.o.Slirp, netconfig.DeviceName
	open := p.Do("opening", tunDevice, unix.SYS_OPENAT, userns.Int(unix.AT_FDCWD), p.Str(tunDevice), userns.Int(unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK), userns.Int(0))
	none := p.NewLabel()
	if p.o.Offline {
		open.OrElse(none)
	}
	tun := open.Save()
	req := cfg.DeviceRequest()
	p.Do("making device", name, unix.SYS_IOCTL, tun.Arg(), userns.Int(unix.TUNSETIFF), p.Bytes(req[:]))
	p.Do("keeping device", name, unix.SYS_IOCTL, tun.Arg(), userns.Int(unix.TUNSETPERSIST), userns.Int(1))
	p.park(tunDevice, tun, p.shared.tun)
	p.ifreq(sock, "setting the address of", name, unix.SIOCSIFADDR, inetRequest(cfg.Address4))
	mask := [4]byte{}
	order.PutUint32(mask[:], 0)
	for i := range cfg.Bits4 {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	p.ifreq(sock, "setting the netmask of", name, unix.SIOCSIFNETMASK, inetRequest(mask))
	p.ifreq(sock, "setting the mtu of", name, unix.SIOCSIFMTU, order.AppendUint32(nil, uint32(cfg.MTU)))
	if cfg.Ethernet() {
		p.ifreq(sock, "setting the Ethernet address of", name, unix.SIOCSIFHWADDR, cfg.AddressRequest())
	}
	p.ifreq(sock, "starting", name, unix.SIOCSIFFLAGS, flagsRequest(cfg.Flags()))
	route := make([]byte, 120) // struct rtentry
	copy(route[8:], inetRequest([4]byte{}))
	copy(route[24:], inetRequest(cfg.Gateway4))
	copy(route[40:], inetRequest([4]byte{}))
	order.PutUint16(route[56:], unix.RTF_UP|unix.RTF_GATEWAY)
	p.Do("adding the default route by", netconfig.Text4(cfg.Gateway4), unix.SYS_IOCTL, sock.Arg(), userns.Int(unix.SIOCADDRT), p.Bytes(route))
	p.inet6(sock)
	p.Mark(none)
}

const tunDevice = "/dev/net/tun"

// inet6 is left out where the kernel has no IPv6. in6_rtmsg is destination, source, gateway, type, lengths,
// metric, info, flags, index.
func (p *plan) inet6(sock userns.Slot) {
	cfg, name := p.o.Slirp, netconfig.DeviceName
	if !cfg.IPv6 {
		return
	}
	none := p.NewLabel()
	six := p.Do("opening", "an inet6 socket", unix.SYS_SOCKET, userns.Int(unix.AF_INET6), userns.Int(unix.SOCK_DGRAM|unix.SOCK_CLOEXEC), userns.Int(0)).OrElse(none).Save()
	index := p.ifreq(sock, "reading the index of", name, unix.SIOCGIFINDEX, nil)
	addr := netconfig.Address6Request(0)
	for _, at := range netconfig.Address6Index {
		p.Copy32(addr, at, index, 16)
	}
	netlink := p.Do("opening", "a netlink socket", unix.SYS_SOCKET, userns.Int(unix.AF_NETLINK), userns.Int(unix.SOCK_RAW|unix.SOCK_CLOEXEC), userns.Int(unix.NETLINK_ROUTE)).Save()
	p.Do("setting the address of", name, unix.SYS_WRITE, netlink.Arg(), p.Bytes(addr), userns.Int(len(addr)))
	p.close(netlink)
	route := make([]byte, 80)
	gateway := netconfig.Gateway6
	copy(route[32:], gateway[:])
	order.PutUint32(route[56:], 1)
	order.PutUint32(route[72:], unix.RTF_UP|unix.RTF_GATEWAY)
	p.Copy32(route, 76, index, 16)
	p.Do("adding the default route by", netconfig.Gateway6Text, unix.SYS_IOCTL, six.Arg(), userns.Int(unix.SIOCADDRT), p.Bytes(route)).Ignore()
	p.close(six)
	p.Mark(none)
}
