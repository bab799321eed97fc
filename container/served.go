package container

import (
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"containers/rl/storage"
	"containers/rl/storage/fuseoverlay"
	"containers/rl/userns"
)

// server is a process that serves an overlay of a container through FUSE. That of
// the root comes first. It has made
// the user namespace, which the container then joins, as /dev/fuse belongs to
// the one that it was opened in; or it has joined the one that the container
// joins for other reasons. It ends with the mount, whose last user the container is.
type server struct {
	*storage.OverlayServer
	device int    // /dev/fuse, until it is mounted
	place  string // of a mount; "": the root's
}

// decide says which driver the container's root is made with, before anything of
// it is. dir is the container's own, if it was made before.
func (o *Options) decide(h Host, dir string) (err error) {
	if o.driver.Name != "" || o.Rootfs != "" && !o.rare().RootfsOverlay || dir != "" && storage.Copied(dir) {
		return nil
	}
	o.driver, err = ChooseDriver(h)
	return err
}

func (o *Options) served() bool { return o.driver.Name == storage.Fuse }

// serve starts the server of the root, and says what the container joins because of it.
func (o *Options) serve(h Host, j *joined) (_ *joined, err error) {
	if j == nil {
		j = &joined{user: -1, shm: -1, mount: -1}
	}
	start := func(stdio [3]int) (*userns.Process, error) {
		return userns.ServerWith(h.IDs, storage.RoleOverlay, stdio)
	}
	if j.forks() {
		start = j.serverIn
	}
	var pid int
	if j.server, pid, err = startServer(start); err != nil {
		return j, err
	}
	if !j.forks() {
		name := fmt.Sprintf("/proc/%d/ns/user", pid)
		if j.user, err = unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			return j, fmt.Errorf("joining the user namespace of the overlay's server: %w", err)
		}
		j.owner, j.ids = "the overlay's server", h.IDs
	}
	return j, j.server.receive()
}

func (j *joined) serverIn(stdio [3]int) (*userns.Process, error) {
	return userns.ServerIn(j.user, storage.RoleOverlay, stdio)
}

// startServer starts a server; its device is still to be received.
func startServer(start func(stdio [3]int) (*userns.Process, error)) (_ *server, pid int, err error) {
	s, theirs, err := storage.NewOverlayServer()
	if err != nil {
		return nil, 0, err
	}
	defer theirs.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		s.Close()
		return nil, 0, err
	}
	defer null.Close()
	process, err := start([3]int{int(theirs.Fd()), int(null.Fd()), int(null.Fd())})
	if err != nil {
		s.Close()
		return nil, 0, fmt.Errorf("starting the server of the container's overlay: %w", err)
	}
	go func() { _ = process.Wait() }()
	return &server{OverlayServer: s, device: -1}, process.PID(), nil
}

func (s *server) receive() (err error) {
	if s.device, err = s.Device(); err != nil {
		return fmt.Errorf("serving an overlay through FUSE: %w", err)
	}
	return nil
}

// servesMounts says whether overlays among the container's mounts go through FUSE as
// its root does.
func (p *plan) servesMounts() bool { return p.join != nil && p.join.server != nil }

// serveMount makes m an overlay that a server of its own serves.
func (p *plan) serveMount(m specs.Mount, l fuseoverlay.Layers, more []string) (specs.Mount, error) {
	s, _, err := startServer(p.join.serverIn)
	if err != nil {
		return m, err
	}
	p.join.mounts = append(p.join.mounts, s)
	if err := s.receive(); err != nil {
		return m, err
	}
	if err := s.Serve(l); err != nil {
		return m, fmt.Errorf("serving an overlay on %s: %w", m.Destination, err)
	}
	s.place = m.Destination
	m.Type, m.Source, m.Options = fuseoverlay.Type, "/", append(more, fuseoverlay.Options(s.device))
	return m, nil
}

// mounted lets go of a device whose mount has been made: with a copy of ours there,
// nobody would be told that the server has ended. The number stays ours.
func (p *plan) mounted(s *server) {
	p.Do("closing", "/dev/fuse", unix.SYS_DUP3, userns.Int(p.shared.target), userns.Int(s.device), userns.Int(unix.O_CLOEXEC))
}

func (p *plan) mountedAt(place string) {
	for _, s := range p.join.mounts {
		if s.place == place {
			p.mounted(s)
		}
	}
}

// begin tells the server which directories they are.
func (s *server) begin(c *storage.Container, volatile bool) error {
	return s.Serve(fuseoverlay.Layers{Lower: c.Lowers(), Upper: c.Upper, Work: c.Work, Volatile: volatile})
}

func (s *server) close() {
	if s == nil {
		return
	}
	s.Close()
	if s.device >= 0 {
		unix.Close(s.device)
	}
	s.device = -1
}
