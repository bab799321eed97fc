package netslirp

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"containers/rl/netslirp/config"
)

// ErrBusy says that a server cannot be withdrawn now.
var ErrBusy = errors.New("the network is in use")

// Withdraw stops a server whose container was said to be quiet, when nothing is
// under way that another server could not go on with: it has read nothing that is
// not answered, and holds no connection. What it was given comes back as copies of
// the descriptors: the device, the ports, and the network's, or nil. ErrBusy:
// it goes on, as after any error. After a success it does nothing until GoOn.
func (s *Server) Withdraw() (tun int, published []config.Listener, shared *config.Segment, err error) {
	if !s.rests() {
		return -1, nil, nil, ErrBusy
	}
	s.stop()
	// Nobody reads any more, so what comes now waits in the kernel. What came
	// before was counted, or is as old as the silence.
	if err = ErrBusy; s.rests() {
		tun, published, shared, err = s.copies()
	}
	if err != nil {
		s.GoOn()
		return -1, nil, nil, err
	}
	return tun, published, shared, nil
}

// stop has all readers end.
func (s *Server) stop() {
	s.until(time.Unix(1, 0))
	s.accepting.Wait()
	s.readers.Wait()
}

// until sets how long is read: the zero time is for ever.
func (s *Server) until(t time.Time) {
	for _, p := range s.published {
		_ = p.deadline(t) // fails with what is closed alone, whose reader ends anyhow
	}
	if s.segment != nil {
		_ = s.segment.socket.SetReadDeadline(t)
	}
	_ = s.link.file.SetReadDeadline(t)
}

// GoOn undoes Withdraw.
func (s *Server) GoOn() {
	s.until(time.Time{})
	s.begin(nil)
}

// over says that a reader's time has come: the socket is closed, or its deadline
// has passed.
func over(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded)
}

// rests says whether nothing would be missed. A connection that has only to be
// remembered for a while (RFC 9293, TIME-WAIT) can be forgotten: no packet of it
// can be on its way.
func (s *Server) rests() bool {
	if s.active.count.Load() != 0 || s.quiet.packets.Load() != s.quiet.told.Load() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stack == nil {
		return !s.closing
	}
	for _, one := range append(s.stack.RegisteredEndpoints(), s.stack.CleanupEndpoints()...) {
		if ep, ok := one.(*tcp.Endpoint); ok && !forgettable(ep.EndpointState()) {
			return false
		}
	}
	return !s.closing
}

func forgettable(state tcp.EndpointState) bool {
	return state == tcp.StateTimeWait || state == tcp.StateClose || state == tcp.StateError
}

// copies are of the descriptors that Serve was given.
func (s *Server) copies() (tun int, published []config.Listener, shared *config.Segment, err error) {
	c := copier{}
	tun = c.conn(s.link.file)
	for _, p := range s.published {
		published = append(published, config.Listener{FD: c.conn(p.socket), Port: p.Port})
	}
	if g := s.segment; g != nil {
		shared = &config.Segment{Socket: c.conn(g.socket), Dir: c.fd(uintptr(g.dir)), Names: g.names}
	}
	if c.err == nil {
		return tun, published, shared, nil
	}
	for _, fd := range c.made {
		unix.Close(fd)
	}
	return -1, nil, nil, fmt.Errorf("copying a descriptor: %w", c.err)
}

// copier copies descriptors until the first error.
type copier struct {
	made []int
	err  error
}

func (c *copier) conn(of syscall.Conn) (fd int) {
	raw, err := of.SyscallConn()
	if err == nil {
		err = raw.Control(func(old uintptr) { fd = c.fd(old) })
	}
	c.err = errors.Join(c.err, err)
	return fd
}

func (c *copier) fd(old uintptr) int {
	if c.err != nil {
		return -1
	}
	fd, err := unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	if c.err = err; err == nil {
		c.made = append(c.made, fd)
	}
	return fd
}
