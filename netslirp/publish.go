package netslirp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"

	"containers/rl/netslirp/config"
)

const (
	// insideTimeout is for a connection to the container, whose kernel answers
	// at once but when its queue of connections is full.
	insideTimeout = 60 * time.Second
	// fallbackTimeout is for one that has another way to go: a container may
	// have been told to do without IPv6, and then drops it in silence.
	fallbackTimeout = 3 * time.Second
	acceptPause     = 50 * time.Millisecond // when there are no descriptors left
)

// port is one that is published.
type port struct {
	config.Port
	socket   socket
	deadline func(time.Time) error // of what is awaited from the host
	accept   func()                // serves it until the socket is closed or the deadline is over
}

type socket interface {
	io.Closer
	syscall.Conn
}

// publish makes a port ready to be served. The listener is ours from now on.
func (s *Server) publish(l config.Listener) error {
	file := os.NewFile(uintptr(l.FD), "port")
	defer file.Close() // what net makes of it is a copy
	if l.Protocol == "udp" {
		conn, err := net.FilePacketConn(file)
		if err != nil {
			return fmt.Errorf("serving port %d/udp: %w", l.HostPort, err)
		}
		udp := conn.(*net.UDPConn)
		d := &datagrams{server: s, conn: udp, port: l.Port.Port, flows: map[flowKey]*datagramFlow{}}
		s.published = append(s.published, &port{l.Port, udp, udp.SetReadDeadline, d.receive})
		return nil
	}
	listener, err := net.FileListener(file)
	if err != nil {
		return fmt.Errorf("serving port %d/tcp: %w", l.HostPort, err)
	}
	tcp := listener.(*net.TCPListener)
	slots := make(chan struct{}, inFlight)
	s.published = append(s.published, &port{l.Port, tcp, tcp.SetDeadline, func() { s.accept(tcp, l.Port.Port, slots) }})
	return nil
}

// accept hands on the connections of one port. Those that wait for the
// container's answer have the slots; the others wait in the host's queue.
func (s *Server) accept(l net.Listener, port uint16, slots chan struct{}) {
	for {
		slots <- struct{}{}
		conn, err := l.Accept()
		switch {
		case over(err):
			<-slots
			return
		case err != nil:
			<-slots
			time.Sleep(acceptPause)
		default:
			s.active.began()
			go s.incoming(conn.(*net.TCPConn), port, func() { <-slots })
		}
	}
}

// incoming repeats a connection inside. A refusal there is a reset here: the
// host has taken the connection already.
func (s *Server) incoming(conn *net.TCPConn, port uint16, connected func()) {
	client, _ := netip.ParseAddrPort(conn.RemoteAddr().String())
	f, err := s.connect(client, port)
	connected()
	if err != nil {
		_ = conn.SetLinger(0)
		conn.Close()
		s.active.ended()
		return
	}
	defer s.active.ended()
	f.conn = conn
	s.outward.Add(1)
	f.run(s.outward.Done)
}

// connect makes the flow's inner side, by the first way that is not refused.
func (s *Server) connect(client netip.AddrPort, port uint16) (f *flow, err error) {
	st := s.running()
	if st == nil {
		return nil, net.ErrClosed
	}
	ways := s.cfg.ways(client)
	for i, w := range ways {
		limit := insideTimeout
		if w.to.Is6() && i+1 < len(ways) {
			limit = fallbackTimeout
		}
		if f, err = connectTCP(st, w, port, limit); err == nil {
			return f, nil
		}
	}
	return nil, err
}

// way is a pair of addresses for a connection to the container. The port of
// from is 0 when any will do.
type way struct {
	from netip.AddrPort
	to   netip.Addr
}

// ways to the container for a client, the best first. It keeps its address
// where that can mean nobody else inside. Else, and for a program that listens
// on the other family only, the gateway stands for it.
func (c *network) ways(client netip.AddrPort) (list []way) {
	client = netip.AddrPortFrom(client.Addr().Unmap().WithZone(""), client.Port())
	own4, own6 := c.Address4.Addr(), c.Address6.Addr()
	switch {
	case !c.preserves(client.Addr()):
	case client.Addr().Is4():
		list = append(list, way{client, own4})
	case own6.IsValid():
		list = append(list, way{client, own6})
	}
	by4, by6 := way{netip.AddrPortFrom(c.Gateway4, 0), own4}, way{netip.AddrPortFrom(c.Gateway6, 0), own6}
	switch {
	case !own6.IsValid():
		return append(list, by4)
	case client.Addr().Is6():
		return append(list, by6, by4)
	}
	return append(list, by4, by6)
}

// preserves says whether the container would answer to an address by its
// default route or our network.
func (c *network) preserves(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !unspecified4(a) && a != c.Address4.Addr() && a != c.Address6.Addr()
}

func full(a netip.AddrPort) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFromSlice(a.Addr().AsSlice()), Port: a.Port()}
}

func protocol(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is6() {
		return ipv6.ProtocolNumber
	}
	return ipv4.ProtocolNumber
}

func connectTCP(st *stack.Stack, w way, port uint16, limit time.Duration) (f *flow, err error) {
	var queue waiter.Queue
	ep, problem := st.NewEndpoint(tcp.ProtocolNumber, protocol(w.to), &queue)
	if problem != nil {
		return nil, errors.New(problem.String())
	}
	defer func() {
		if err != nil {
			ep.Close()
		}
	}()
	events, ready := waiter.NewChannelEntry(waiter.WritableEvents | waiter.EventErr | waiter.EventHUp)
	queue.EventRegister(&events)
	defer queue.EventUnregister(&events)
	ep.SocketOptions().SetDelayOption(false)
	ep.SocketOptions().SetKeepAlive(true)
	if problem = ep.Bind(full(w.from)); problem == nil {
		problem = ep.Connect(full(netip.AddrPortFrom(w.to, port)))
	}
	if _, started := problem.(*tcpip.ErrConnectStarted); started {
		select {
		case <-ready:
			problem = ep.LastError()
		case <-time.After(limit):
			return nil, os.ErrDeadlineExceeded
		}
	}
	if problem != nil {
		return nil, errors.New(problem.String())
	}
	return &flow{ep: ep, queue: &queue}, nil
}
