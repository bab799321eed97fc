package netslirp

import (
	"encoding/binary"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"

	"containers/rl/netslirp/config"
)

const (
	// largestPacket is what an IPv4 total length can say, rounded up to the
	// largest chunk that gVisor keeps a pool of.
	largestPacket = 1 << 16
	// copyBelow is the size under which a packet moves to a buffer of its own,
	// because the receive queue would pin a whole largestPacket for it.
	copyBelow = 8 << 10
	// maxVectors bounds one writev(2); a packet in more pieces is copied.
	maxVectors = 64
)

// link is the device as gVisor sees it. Packets are handed to the stack by
// the goroutine that read them and written by the one that made them: a
// queue between would cost a wake-up each.
type link struct {
	file *os.File
	conn syscall.RawConn

	mu         sync.RWMutex
	dispatcher stack.NetworkDispatcher
	mtu        uint32

	ether []byte // an Ethernet header but for its type; nil: the device has none

	// last is what stood before the packet that was read last.
	last [config.HeaderSize + config.EtherSize]byte
}

func newLink(tun int, n *config.Network) (*link, error) {
	file := os.NewFile(uintptr(tun), "/dev/net/tun")
	conn, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	l := &link{file: file, conn: conn, mtu: uint32(n.MTU)}
	if n.Ethernet() {
		l.ether = append(append([]byte{}, n.MAC[:]...), gatewayMAC[:]...)
	}
	return l, nil
}

// gatewayMAC is ours, as the container sees it: locally administered.
var gatewayMAC = [6]byte{0x02, 0, 0, 0, 0, 0x02}

// headSize is what stands before each packet.
func (l *link) headSize() int {
	if l.ether != nil {
		return config.HeaderSize + config.EtherSize
	}
	return config.HeaderSize
}

// head makes what stands before a packet of an IP version, all zeros but for
// the Ethernet header.
func (l *link) head(buf *[config.HeaderSize + config.EtherSize]byte, version int) []byte {
	if l.ether == nil {
		return buf[:config.HeaderSize]
	}
	kind := uint16(unix.ETH_P_IP)
	if version == header.IPv6Version {
		kind = unix.ETH_P_IPV6
	}
	copy(buf[config.HeaderSize:], l.ether)
	binary.BigEndian.PutUint16(buf[config.HeaderSize+len(l.ether):], kind)
	return buf[:]
}

// read waits for a packet and leaves it in view, whose size is largestPacket.
func (l *link) read(view []byte) (n int, err error) {
	vectors := [2]unix.Iovec{vector(l.last[:l.headSize()]), vector(view)}
	if n, err = readv(l.conn, vectors[:]); err != nil {
		return 0, err
	}
	return max(n-l.headSize(), 0), nil
}

// again is read of a frame that was read before.
func (l *link) again(view, frame []byte) (n int) {
	if len(frame) <= l.headSize() {
		return 0
	}
	return copy(view, frame[copy(l.last[:l.headSize()], frame):])
}

func vector(b []byte) unix.Iovec {
	v := unix.Iovec{Base: unsafe.SliceData(b)}
	v.SetLen(len(b))
	return v
}

// deliver hands a packet to the stack. It takes view over when it returns
// true; a small packet is copied and view can be read into again.
func (l *link) deliver(view *buffer.View, n int) (taken bool) {
	data := view.AsSlice()[:n]
	protocol, ok := protocolOf(data)
	l.mu.RLock()
	d := l.dispatcher
	l.mu.RUnlock()
	if !ok || d == nil {
		return false
	}
	own := view
	if n < copyBelow {
		own = buffer.NewViewWithData(data)
	} else {
		own.CapLength(n)
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithView(own)})
	d.DeliverNetworkPacket(protocol, pkt)
	pkt.DecRef()
	return own == view
}

// drain waits until the device has nothing that was not read yet.
func (l *link) drain(limit time.Duration) {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(time.Millisecond) {
		some := false
		err := l.conn.Control(func(fd uintptr) {
			n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
			some = n > 0
		})
		if err != nil || !some {
			return
		}
	}
}

func protocolOf(data []byte) (tcpip.NetworkProtocolNumber, bool) {
	switch header.IPVersion(data) {
	case header.IPv4Version:
		return header.IPv4ProtocolNumber, true
	case header.IPv6Version:
		return header.IPv6ProtocolNumber, true
	}
	return 0, false
}

// WritePackets implements stack.LinkWriter.
func (l *link) WritePackets(list stack.PacketBufferList) (int, tcpip.Error) {
	n := 0
	for _, pkt := range list.AsSlice() {
		if err := l.write(pkt); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func (l *link) write(pkt *stack.PacketBuffer) tcpip.Error {
	var buf [config.HeaderSize + config.EtherSize]byte
	head := l.head(&buf, header.IPVersion(pkt.NetworkHeader().Slice()))
	encodeHeader(head, pkt)
	pieces := pkt.AsSlices()
	var array [8]unix.Iovec
	vectors := append(array[:0], vector(head))
	if len(pieces) < maxVectors {
		for _, p := range pieces {
			if len(p) > 0 {
				vectors = append(vectors, vector(p))
			}
		}
	} else {
		whole := pkt.ToView()
		defer whole.Release()
		vectors = append(vectors, vector(whole.AsSlice()))
	}
	var errno syscall.Errno
	err := l.conn.Control(func(fd uintptr) {
		for errno = unix.EINTR; errno == unix.EINTR; {
			_, _, errno = unix.RawSyscall(unix.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&vectors[0])), uintptr(len(vectors)))
		}
	})
	if err != nil || errno != 0 {
		// The device is down or out of memory: lost, as on a wire.
		return &tcpip.ErrNoBufferSpace{}
	}
	return nil
}

// encodeHeader writes struct virtio_net_hdr (linux/virtio_net.h), in the
// machine's byte order as long as TUNSETVNETLE is not set.
func encodeHeader(head []byte, pkt *stack.PacketBuffer) {
	gso := &pkt.GSOOptions
	if gso.Type == stack.GSONone {
		return
	}
	order, link := binary.NativeEndian, uint16(len(head)-config.HeaderSize)
	size := len(pkt.TransportHeader().Slice())
	if gso.NeedsCsum {
		head[0] = unix.VIRTIO_NET_HDR_F_NEEDS_CSUM
		order.PutUint16(head[6:], link+gso.L3HdrLen)
		order.PutUint16(head[8:], gso.CsumOffset)
	}
	if pkt.Data().Size() <= int(gso.MSS) {
		return
	}
	head[1] = unix.VIRTIO_NET_HDR_GSO_TCPV4
	if gso.Type == stack.GSOTCPv6 {
		head[1] = unix.VIRTIO_NET_HDR_GSO_TCPV6
	}
	order.PutUint16(head[2:], link+gso.L3HdrLen+uint16(size))
	order.PutUint16(head[4:], gso.MSS)
}
