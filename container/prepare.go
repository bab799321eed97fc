package container

import (
	"errors"
	"fmt"
	"os"
	"path"
	"reflect"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"containers/rl/container/initbin"
	netconfig "containers/rl/netslirp/config"
	"containers/rl/security"
	"containers/rl/storage"
	"containers/rl/storage/fuseoverlay"
	"containers/rl/userns"
)

// prepare makes the container's directory and computes its script.
func prepare(h Host, o *Options, c *storage.Container, j *joined) (*storage.Container, *plan, error) {
	root := imageRoot{o.Rootfs}
	if o.Image != nil {
		root = o.Image.Layers
	}
	p := &plan{Script: userns.NewScript(steps), o: o, ids: h.IDs, shared: noneShared, stdin: -1, join: j, dirs: h.Dirs}
	spec, err := newSpec(o, root)
	if err != nil {
		return c, p, err
	}
	p.spec = spec
	again := c != nil
	if !again {
		if c, err = makeDirectory(h, o); err != nil {
			return c, p, err
		}
	}
	if err := p.findRoot(c, again); err != nil {
		return c, p, err
	}
	if len(o.Mounts) > 0 {
		if err := p.realMounts(c); err != nil {
			return c, p, err
		}
	}
	p.files.merged = c.Merged
	if err := o.overRootfs(c, h.IDs); err != nil {
		return c, p, err
	}
	if err := p.ownRoot(c); err != nil {
		return c, p, err
	}
	if p.files.root == "" {
		if err := p.rootOverlay(c); err != nil {
			return c, p, err
		}
	}
	p.follow(c)
	if user := spec.Process.User; !mapped(h.IDs, user) {
		return c, p, fmt.Errorf("user %d:%d: not in the container's id map; %s", user.UID, user.GID, first(h.Notice, "its ids end below"))
	}
	for _, step := range []func() error{
		func() error { return p.generate(c.Dir) }, func() error { return p.accounts(root, c.Dir) }, p.program, p.reserve, func() error { return p.capture(c.Dir) },
	} {
		if err = step(); err != nil {
			return c, p, err
		}
	}
	return c, p, p.build()
}

// rootOverlay says how the root is mounted.
func (p *plan) rootOverlay(c *storage.Container) (err error) {
	if p.join != nil && p.join.server != nil {
		p.files.layers, p.files.overlay = "/", fuseoverlay.Options(p.join.server.device)
		return p.join.server.begin(c, p.o.Remove)
	}
	p.files.layers, p.files.overlay, err = c.OverlayOptions(p.o.Remove)
	return err
}

// makeDirectory: what is removed at its end needs a record only if it lives.
func makeDirectory(h Host, o *Options) (c *storage.Container, err error) {
	o.fromImage()
	if o.Remove {
		err = claiming(h.Dirs, o.Name, func() (err error) { c, err = h.Dirs.CreateContainer(o.ID, o.Name, o.Image); return err })
		if err == nil {
			err = o.copyImage(h, c, "")
		}
		if err == nil {
			err = o.keepSecrets(c)
		}
		return c, err
	}
	if c, err = h.Dirs.CreateContainer(o.ID, "", o.Image); err != nil {
		return nil, err
	}
	if err = o.copyImage(h, c, ""); err == nil {
		err = keep(h.Dirs, c, o)
	}
	if err == nil {
		emit(h.Dirs, o.event("create"))
	}
	return c, err
}

// keep makes a container one that stays, under a name of its own.
func keep(d storage.Dirs, c *storage.Container, o *Options) error {
	if err := o.keepSecrets(c); err != nil {
		return err
	}
	for given := o.Name != ""; ; {
		if !given {
			o.Name = RandomName()
		}
		err := claiming(d, o.Name, func() error { return c.Keep(o.Name, encode(newRecord(o))) })
		if given || !errors.Is(err, storage.ErrNameTaken) {
			return err
		}
	}
}

func newRecord(o *Options) Record {
	r := Record{Created: time.Now().UTC(), Image: o.ImageName, Options: *o, CreateCommand: o.CreateCommand}
	var config storage.Settings
	if o.Image != nil {
		r.ImageID, config = o.Image.ID, o.Image.Settings
	}
	r.Command = command(o, config)
	if reflect.DeepEqual(o.Slirp, netconfig.Default()) {
		r.Options.Slirp = netconfig.Network{}
	}
	return r
}

func mapped(ids userns.Map, user specs.User) bool {
	_, uid := ids.HostUID(user.UID)
	_, gid := ids.HostGID(user.GID)
	return uid && gid
}

// generate writes the files that docker generates.
func (p *plan) generate(dir string) error {
	if p.join != nil && p.join.files != nil { // one network, one name service
		return p.shareFiles(dir, p.join.files)
	}
	var cfg *netconfig.Network
	if p.o.Network == NetworkSlirp {
		cfg = &p.o.Slirp
	}
	var base []byte
	if p.o.Network == NetworkHost {
		base, _ = readFile("/etc/hosts") // the names that are true there are true here
	}
	names := []string{p.o.Hostname}
	if p.o.Name != "" && p.o.Name != p.o.Hostname {
		names = append(names, p.o.Name)
	}
	hosts := netconfig.Hosts(names, p.o.AddHost, cfg, base)
	host, err := readFile("/etc/resolv.conf")
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	resolv := netconfig.ResolvConf(host, cfg, p.o.DNS, p.o.DNSSearch, p.o.DNSOptions)
	naming := p.o.naming()
	for _, f := range []struct {
		path *string
		name string
		text []byte
		none bool // the image's own stays
	}{{&p.files.hosts, "hosts", hosts, naming.NoHosts}, {&p.files.resolv, "resolv.conf", resolv, naming.NoDNS}, {&p.files.hostname, "hostname", []byte(p.o.Hostname + "\n"), false}} {
		if f.none {
			continue
		}
		*f.path = path.Join(dir, f.name)
		if err := writeFile(*f.path, f.text); err != nil {
			return err
		}
	}
	return nil
}

// readFile reads a small file of the host.
func readFile(name string) ([]byte, error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	return readAll(fd, maxAccounts)
}

// writeFile makes a file in the container's own directory, or that of an
// earlier run anew: the container itself may have changed it.
func writeFile(name string, text []byte) error {
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return &os.PathError{Op: "open", Path: name, Err: err}
	}
	err = writeAll(fd, text)
	unix.Close(fd)
	if err != nil {
		return &os.PathError{Op: "write", Path: name, Err: err}
	}
	return nil
}

// program is the seccomp filter: the default one is ready-made.
func (p *plan) program() (err error) {
	switch {
	case p.o.Privileged || p.o.Unconfined:
	case p.spec.Linux.Seccomp != nil:
		p.files.seccomp, p.files.seccompFlags, err = security.Compile(p.spec.Linux.Seccomp)
	default:
		var ok bool
		if p.files.seccomp, p.files.seccompFlags, ok = security.CompiledDefault(p.spec.Process.Capabilities.Bounding); !ok {
			err = errors.New("compiling the seccomp profile: no profile was given, and the default is not compiled for these capabilities")
		}
	}
	return err
}

// reserve takes descriptor numbers of our table for what the child hands back.
func (p *plan) reserve() error {
	for _, fd := range []*int{&p.shared.target, &p.shared.mount, &p.shared.terminal, &p.shared.console, &p.shared.tun} {
		null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("opening /dev/null: %w", err)
		}
		*fd = null
	}
	var err error
	switch {
	case p.o.pauses():
		p.files.init, err = userns.Memory("rl-pause", initbin.Pause())
	case p.o.ownInit():
		p.files.init, err = userns.Memory("rl-init", initbin.Program())
	}
	return err
}

// noneShared is before reserve.
var noneShared = shared{-1, -1, -1, -1, -1}

// close gives back what no other owner took over.
func (s *shared) close() {
	for _, fd := range []int{s.target, s.mount, s.terminal, s.console, s.tun} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	*s = noneShared
}
