package container

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"containers/rl/storage"
	"containers/rl/storage/fuseoverlay"
	"containers/rl/userns"
)

// server is the process that serves a container's root through FUSE. It has made
// the user namespace, which the container then joins, as /dev/fuse belongs to
// the one that it was opened in; or it has joined the one that the container
// joins for other reasons. It ends with the mount, whose last user the container is.
type server struct {
	*storage.OverlayServer
	device int // /dev/fuse, until it is mounted
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

// serve starts the server, and says what the container joins because of it.
func (o *Options) serve(h Host, j *joined) (_ *joined, err error) {
	s, theirs, err := storage.NewOverlayServer()
	if err != nil {
		return j, err
	}
	defer theirs.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return j, err
	}
	defer null.Close()
	if j == nil {
		j = &joined{user: -1, shm: -1, mount: -1}
	}
	j.server = &server{s, -1}
	var process *userns.Process
	stdio := [3]int{int(theirs.Fd()), int(null.Fd()), int(null.Fd())}
	if j.forks() {
		process, err = userns.ServerIn(j.user, storage.RoleOverlay, stdio)
	} else {
		process, err = userns.ServerWith(h.IDs, storage.RoleOverlay, stdio)
	}
	if err != nil {
		return j, fmt.Errorf("starting the server of the container's overlay: %w", err)
	}
	theirs.Close()
	if !j.forks() {
		name := fmt.Sprintf("/proc/%d/ns/user", process.PID())
		if j.user, err = unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			return j, fmt.Errorf("joining the user namespace of the overlay's server: %w", err)
		}
		j.owner, j.ids = "the overlay's server", h.IDs
	}
	go func() { _ = process.Wait() }()
	if j.server.device, err = s.Device(); err != nil {
		return j, fmt.Errorf("serving an overlay through FUSE: %w", err)
	}
	return j, nil
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
