package netslirp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"containers/rl/netslirp/config"
)

const (
	// sendLimit is how long a frame may wait for another container's rl, which
	// others wait for meanwhile. A frame that it does not take by then is lost,
	// as on a wire.
	sendLimit = 250 * time.Millisecond
	// stuckPause is how long one that took nothing is not waited for again.
	stuckPause = time.Second
)

// segment joins a container with the others of its network. Frames go from one
// rl's device to the other's by a datagram socket, with the header that the
// kernel gave them: large ones stay whole, and no stack is needed.
type segment struct {
	link   *link
	dir    int
	socket *os.File
	conn   syscall.RawConn
	names  bool
	peers  map[netip.Addr]*peerSocket // the device's reader alone uses them
}

// peerSocket is connected to another container's socket.
type peerSocket struct {
	fd    int
	stuck time.Time // when it took nothing
}

func newSegment(l *link, c *config.Segment) (*segment, error) {
	g := &segment{link: l, dir: c.Dir, socket: os.NewFile(uintptr(c.Socket), "network"), names: c.Names, peers: map[netip.Addr]*peerSocket{}}
	var err error
	if g.conn, err = g.socket.SyscallConn(); err != nil {
		g.close()
		return nil, fmt.Errorf("joining the network: %w", err)
	}
	return g, nil
}

func (g *segment) close() {
	g.socket.Close()
	unix.Close(g.dir)
}

// path of another's socket, short enough for sun_path.
func (g *segment) path(a netip.Addr) string { return fmt.Sprintf("/proc/self/fd/%d/%s", g.dir, a) }

// send gives a frame to who has the address; false when nobody has.
func (g *segment) send(to netip.Addr, head, packet []byte) bool {
	for range 2 { // the first socket may be that of one who is gone
		p := g.peers[to]
		if p == nil {
			fd, err := dialPeer(g.path(to))
			if err != nil {
				return false
			}
			p = &peerSocket{fd: fd}
			g.peers[to] = p
		}
		switch errno := p.send(head, packet); errno {
		case unix.ECONNREFUSED, unix.ENOTCONN:
			unix.Close(p.fd)
			delete(g.peers, to)
		default:
			return true // sent, or lost
		}
	}
	return false
}

func (p *peerSocket) send(head, packet []byte) syscall.Errno {
	message := unix.Msghdr{Iovlen: 2}
	vectors := [2]unix.Iovec{vector(head), vector(packet)}
	message.Iov = &vectors[0]
	flags := 0
	if !p.stuck.IsZero() && time.Since(p.stuck) < stuckPause {
		flags = unix.MSG_DONTWAIT
	}
	_, _, errno := unix.Syscall(unix.SYS_SENDMSG, uintptr(p.fd), uintptr(unsafe.Pointer(&message)), uintptr(flags))
	switch {
	case errno == 0:
		p.stuck = time.Time{}
	case errno == unix.EAGAIN && flags == 0:
		p.stuck = time.Now()
	}
	return errno
}

func dialPeer(path string) (fd int, err error) {
	if fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, err
	}
	limit := unix.NsecToTimeval(int64(sendLimit))
	err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// alive says whether an address is in use.
func (g *segment) alive(a string) bool {
	fd, err := dialPeer(fmt.Sprintf("/proc/self/fd/%d/%s", g.dir, a))
	if err == nil {
		unix.Close(fd)
	}
	return err == nil
}

// receive writes what others send to the device until the socket is closed.
func (g *segment) receive() {
	packet := make([]byte, largestPacket)
	for {
		var head [config.HeaderSize]byte
		vectors := [2]unix.Iovec{vector(head[:]), vector(packet)}
		n, err := readv(g.conn, vectors[:])
		if err != nil && !errors.Is(err, unix.EAGAIN) {
			return
		}
		if n -= len(head); n <= 0 {
			continue
		}
		if protocol, ok := protocolOf(packet[:n]); ok {
			g.link.forward(head[:], packet[:n], uint32(protocol))
		}
	}
}

// forward writes a packet with another device's header. What is before the
// packet has the same size everywhere in a network.
func (l *link) forward(header, packet []byte, protocol uint32) {
	var buf [config.HeaderSize + config.EtherSize]byte
	copy(buf[:], header)
	copy(buf[config.HeaderSize:], l.ether)
	binary.BigEndian.PutUint16(buf[config.HeaderSize+len(l.ether):], uint16(protocol))
	vectors := [2]unix.Iovec{vector(buf[:l.headSize()]), vector(packet)}
	_ = l.conn.Control(func(fd uintptr) {
		for errno := unix.EINTR; errno == unix.EINTR; {
			_, _, errno = unix.RawSyscall(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&vectors[0])), 2)
		}
	})
}

// readv waits for the descriptor.
func readv(conn syscall.RawConn, vectors []unix.Iovec) (n int, err error) {
	var errno syscall.Errno
	err = conn.Read(func(fd uintptr) bool {
		var r uintptr
		for {
			r, _, errno = unix.RawSyscall(unix.SYS_READV, fd, uintptr(unsafe.Pointer(&vectors[0])), uintptr(len(vectors)))
			if errno != unix.EINTR {
				break
			}
		}
		n = int(r)
		return errno != unix.EAGAIN
	})
	if err == nil && errno != 0 {
		err = errno
	}
	if err != nil {
		return 0, err
	}
	return n, nil
}
