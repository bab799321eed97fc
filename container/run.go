package container

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"containers/rl/container/initbin"
	"containers/rl/netslirp"
	"containers/rl/security"
	"containers/rl/storage"
	"containers/rl/userns"
)

// Exit is the end of the user's program.
type Exit struct{ Code int }

func (e Exit) Error() string { return fmt.Sprintf("exit status %d", e.Code) }

// Host is what the start needs of the host, decided once by the caller.
type Host struct {
	Dirs storage.Dirs
	IDs  userns.Map
	User userns.User
	// Notice says why only one id is mapped, or is empty.
	Notice string
}

// Run makes a container, waits for its program, and removes what it made when
// asked to. The program's status comes back as Exit; any other error means
// that it did not start.
func Run(h Host, o *Options) (err error) {
	if o.KeepID {
		o.User = first(o.User, fmt.Sprintf("%d:%d", h.User.UID, h.User.GID))
		if h.IDs, err = userns.KeepID(h.IDs, h.User); err != nil {
			return err
		}
	}
	flags, err := cloneFlags(o)
	if err != nil {
		return err
	}
	// The child comes first: its id maps are written while the rest is computed.
	child, err := userns.Clone(userns.Config{Cloneflags: flags})
	if err != nil {
		return err
	}
	started := false
	defer func() {
		if !started {
			child.Kill()
		}
	}()
	maps := make(chan error, 1)
	go func() { maps <- child.WriteMaps(h.IDs) }()
	c, p, err := prepare(h, o)
	mapErr := <-maps
	if c != nil && o.Remove {
		defer remove(c, h, &err)
	}
	if err = errors.Join(mapErr, err); err != nil {
		return err
	}
	defer p.shared.close()
	if err = child.Run(p.Script); err != nil {
		return err
	}
	started = true
	return supervise(child, p, h)
}

// remove is the mirror of prepare; what ids of others own is removed in the
// user namespace by the next step of the ladder.
func remove(c *storage.Container, h Host, err *error) {
	removal := c.Remove()
	if removal == nil {
		return
	}
	if again := RemoveMapped(h.IDs, c.Dir); again != nil {
		var exit Exit
		if *err == nil || errors.As(*err, &exit) {
			*err = fmt.Errorf("removing container %s: %w", c.ID, errors.Join(removal, again))
		}
		return
	}
	_ = c.Remove() // the directory is gone; this gives back its name and lock
}

// RoleRemove is the name under which our binary starts again to remove trees
// with files of other ids.
const RoleRemove = "rl-remove"

// RemoveMapped removes directories as root of a user namespace with the maps.
func RemoveMapped(ids userns.Map, dirs ...string) error {
	if len(dirs) == 0 {
		return nil
	}
	cmd, err := userns.Command(ids, RoleRemove, dirs)
	if err != nil {
		return err
	}
	return cmd.Wait()
}

func cloneFlags(o *Options) (uintptr, error) {
	var flags uintptr
	for _, ns := range namespaces(o) {
		flags |= namespaceFlags[ns.Type]
	}
	return flags, nil
}

// prepare makes the container's directory and computes its script.
func prepare(h Host, o *Options) (*storage.Container, *plan, error) {
	root := imageRoot{o.Rootfs}
	if o.Image != nil {
		root = o.Image.Layers
	}
	spec, err := newSpec(o, root)
	if err != nil {
		return nil, nil, err
	}
	c, err := h.Dirs.CreateContainer(o.ID, o.Name, o.Image, o.Remove)
	if err != nil {
		return nil, nil, err
	}
	p := &plan{Script: userns.NewScript(), o: o, spec: spec, ids: h.IDs}
	p.files.merged = c.Merged
	p.files.layers, p.files.overlay = c.OverlayOptions(o.Remove)
	if user := spec.Process.User; !mapped(h.IDs, user) {
		return c, nil, fmt.Errorf("user %d:%d: not in the container's id map; %s", user.UID, user.GID, first(h.Notice, "its ids end below"))
	}
	err = errors.Join(p.generate(c.Dir), p.program(), p.reserve())
	if err == nil {
		err = p.build()
	}
	return c, p, err
}

func mapped(ids userns.Map, user specs.User) bool {
	_, uid := ids.HostUID(user.UID)
	_, gid := ids.HostGID(user.GID)
	return uid && gid
}

// generate writes the files that docker generates.
func (p *plan) generate(dir string) error {
	var cfg *netslirp.Config
	if p.o.Network == NetworkSlirp {
		cfg = &p.o.Slirp
	}
	hosts, err := netslirp.Hosts(p.o.Hostname, p.o.AddHost, cfg)
	if err != nil {
		return err
	}
	host, err := os.ReadFile("/etc/resolv.conf")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	resolv, err := netslirp.ResolvConf(host, cfg, p.o.DNS, p.o.DNSSearch, p.o.DNSOptions)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		path *string
		name string
		text []byte
	}{{&p.files.hosts, "hosts", hosts}, {&p.files.resolv, "resolv.conf", resolv}, {&p.files.hostname, "hostname", []byte(p.o.Hostname + "\n")}} {
		*f.path = filepath.Join(dir, f.name)
		if err := os.WriteFile(*f.path, f.text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// program is the seccomp filter: the default one is ready-made.
func (p *plan) program() (err error) {
	switch {
	case p.o.Privileged || p.o.Seccomp == "unconfined":
	case p.spec.Linux.Seccomp != nil:
		p.files.seccomp, p.files.seccompFlags, err = security.Compile(p.spec.Linux.Seccomp)
	default:
		p.files.seccomp, p.files.seccompFlags, err = security.CompiledDefault(p.spec.Process.Capabilities.Bounding)
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
	if p.o.Init {
		if p.files.init, err = unix.MemfdCreate("rl-init", unix.MFD_CLOEXEC); err != nil {
			return fmt.Errorf("making a memory file for init: %w", err)
		}
		if _, err := unix.Write(p.files.init, initbin.Program()); err != nil {
			return fmt.Errorf("writing init: %w", err)
		}
	}
	if p.files.supervisor, err = unix.PidfdOpen(os.Getpid(), 0); err != nil {
		p.files.supervisor = -1 // before Linux 5.3
	}
	return nil
}

// close gives back what no other owner took over.
func (s *shared) close() {
	for _, fd := range []int{s.target, s.mount, s.terminal, s.console, s.tun} {
		if fd > 2 {
			unix.Close(fd)
		}
	}
}
