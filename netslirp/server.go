package netslirp

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"

	"containers/rl/netslirp/config"
)

// Server is the network of one container.
type Server struct {
	cfg     network
	link    *link
	dns     resolver
	segment *segment       // nil: the container is alone
	readers sync.WaitGroup // of the device, and of what comes from other containers
	mu      sync.Mutex
	stack   *stack.Stack // nil until a packet asks for it
	echoes  echoes
	closing bool

	published []*port        // set by Serve alone
	accepting sync.WaitGroup // who reads their sockets
	outward   pending        // flows that may have something to say to the host
	quiet     quiet
	active    activity
}

const nic = 1

// Sizes of a flow's buffers. The kernel of the host has its own beside them.
const (
	bufferDefault = 1 << 20
	bufferMax     = 8 << 20
	// inFlight bounds the connections that wait for the host's answer.
	inFlight = 2048
)

// Serve takes over the descriptor of a TUN device that config.Prepare has
// prepared, and serves it until Close. first is a frame that was read from it
// before, and Serve's from now on, or nil. published are Serve's as well.
func Serve(tun int, n config.Network, first []byte, published ...config.Listener) (*Server, error) {
	l, err := newLink(tun, &n)
	if err != nil {
		return nil, fmt.Errorf("serving %s: %w", config.DeviceName, err)
	}
	s := &Server{cfg: newNetwork(n), link: l}
	s.active.quiet, s.dns.active = &s.quiet, &s.active
	if s.dns.fixed, err = nameservers(n.Nameservers); err != nil {
		l.file.Close()
		return nil, err
	}
	if n.Segment != nil {
		if s.segment, err = newSegment(l, n.Segment); err != nil {
			l.file.Close()
			return nil, err
		}
		s.dns.segment = s.segment
	}
	s.dns.internal = n.Internal
	s.cfg.outer = outerAddress
	s.echoes.server = s
	for n, l := range published {
		if err := s.publish(l); err != nil {
			for _, left := range published[n+1:] {
				unix.Close(left.FD)
			}
			s.Close()
			return nil, err
		}
	}
	s.begin(first)
	return s, nil
}

// begin has all that comes to the server read.
func (s *Server) begin(first []byte) {
	s.readers.Go(func() { s.receive(first) })
	if s.segment != nil {
		s.readers.Go(s.segment.receive)
	}
	for _, p := range s.published {
		s.accepting.Go(p.accept)
	}
}

// lastWords is how long what a container has said may take to reach the host
// after its end. The kernel ends its connections for it meanwhile.
const lastWords = time.Second

// Close ends all flows and gives the device back. What the container sent
// before its end is delivered first.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closing = true
	st := s.stack
	s.mu.Unlock()
	for _, p := range s.published {
		_ = p.socket.Close()
	}
	s.link.drain(lastWords)
	s.outward.wait(lastWords)
	err := s.link.file.Close()
	if s.segment != nil {
		s.segment.socket.Close()
	}
	s.readers.Wait()
	if s.segment != nil {
		s.segment.close()
	}
	s.echoes.close()
	if st != nil {
		st.Destroy()
	}
	return err
}

// receive reads the device until it is closed, or the server is withdrawn.
func (s *Server) receive(first []byte) {
	view := buffer.NewViewSize(largestPacket)
	n, err := s.link.again(view.AsSlice(), first), error(nil)
	for ; err == nil; n, err = s.link.read(view.AsSlice()) {
		if n > 0 {
			s.quiet.packet()
		}
		if n > 0 && s.wanted(view.AsSlice()[:n]) && s.link.deliver(view, n) {
			view = buffer.NewViewSize(largestPacket)
		}
	}
	// Closed, or the namespace and its device are gone.
}

// wanted builds the stack for the first packet that asks something of it.
func (s *Server) wanted(data []byte) bool {
	if !config.Wanted(data) {
		return false
	}
	_, dst, protocol, ok := addresses(data)
	if ok && s.segment != nil && s.cfg.isPeer(dst) && s.segment.send(dst, s.link.last[:config.HeaderSize], data) {
		return false
	}
	if ok && isEcho(data, protocol) {
		s.echoes.request(data)
		return false
	}
	return s.running() != nil
}

// running is the stack, which is built for the first who asks; nil when the
// server ends.
func (s *Server) running() *stack.Stack {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stack == nil && !s.closing {
		s.stack = s.build()
	}
	return s.stack
}

// addresses of a packet, and its protocol or next header.
func addresses(data []byte) (src, dst netip.Addr, protocol uint8, ok bool) {
	switch header.IPVersion(data) {
	case header.IPv4Version:
		if h := header.IPv4(data); len(data) >= header.IPv4MinimumSize {
			return netip.AddrFrom4(h.SourceAddress().As4()), netip.AddrFrom4(h.DestinationAddress().As4()), h.Protocol(), true
		}
	case header.IPv6Version:
		if h := header.IPv6(data); len(data) >= header.IPv6MinimumSize {
			return netip.AddrFrom16(h.SourceAddress().As16()), netip.AddrFrom16(h.DestinationAddress().As16()), h.NextHeader(), true
		}
	}
	return src, dst, 0, false
}

// build makes a stack that takes every address for its own.
func (s *Server) build() *stack.Stack {
	st := stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol},
	})
	tune(st)
	forwardTCP := tcp.NewForwarder(st, 0, inFlight, s.acceptTCP)
	st.SetTransportProtocolHandler(tcp.ProtocolNumber, forwardTCP.HandlePacket)
	forwardUDP := udp.NewForwarder(st, s.acceptUDP)
	st.SetTransportProtocolHandler(udp.ProtocolNumber, forwardUDP.HandlePacket)
	if st.CreateNIC(nic, s.link) != nil {
		return nil
	}
	st.SetPromiscuousMode(nic, true)
	st.SetSpoofing(nic, true)
	st.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}, {Destination: header.IPv6EmptySubnet, NIC: nic}})
	return st
}

// tune: the path has no loss and no delay, so large windows and no Nagle.
func tune(st *stack.Stack) {
	sack := tcpip.TCPSACKEnabled(true)
	send := tcpip.TCPSendBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: bufferDefault, Max: bufferMax}
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: tcp.MinBufferSize, Default: bufferDefault, Max: bufferMax}
	moderate := tcpip.TCPModerateReceiveBufferOption(true)
	for _, option := range []tcpip.SettableTransportProtocolOption{&sack, &send, &receive, &moderate} {
		_ = st.SetTransportProtocolOption(tcp.ProtocolNumber, option) // all are known to it
	}
}

// peer is the address that the container connects to.
func peer(id stack.TransportEndpointID) netip.AddrPort {
	addr, _ := netip.AddrFromSlice(id.LocalAddress.AsSlice())
	return netip.AddrPortFrom(addr, id.LocalPort)
}

func address4(a netip.Addr) tcpip.Address  { return tcpip.AddrFrom4(a.As4()) }
func address16(a netip.Addr) tcpip.Address { return tcpip.AddrFrom16(a.As16()) }
