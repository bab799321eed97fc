package netslirp

import (
	"net"
	"net/netip"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	// udpIdle is how long a flow is remembered: RFC 4787 asks for two minutes.
	udpIdle = 2 * time.Minute
	// largestDatagram of UDP over IPv4, and a little more.
	largestDatagram = 65535
)

// acceptUDP starts a flow; false makes the stack answer "port unreachable".
func (s *Server) acceptUDP(r *udp.ForwarderRequest) bool {
	to := peer(r.ID())
	dns := s.cfg.isDNS(to)
	addr, ok := s.cfg.destination(to.Addr())
	if !dns && !ok {
		return false
	}
	var queue waiter.Queue
	ep, problem := r.CreateEndpoint(&queue)
	if problem != nil {
		return true // another packet of the flow was faster
	}
	inside := gonet.NewUDPConn(&queue, ep)
	if dns {
		go s.dns.serve(inside)
		return true
	}
	outside, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, to.Port())))
	if err != nil {
		inside.Close()
		return true
	}
	s.active.began()
	go func() {
		defer s.active.ended()
		repeat(inside, outside)
	}()
	return true
}

// repeat copies datagrams both ways until none has come for udpIdle. A refusal
// by the host's peer ends the flow: the next datagram opens another.
func repeat(inside, outside net.Conn) {
	done := make(chan struct{}, 2)
	active := func() {
		limit := time.Now().Add(udpIdle)
		_ = inside.SetReadDeadline(limit)
		_ = outside.SetReadDeadline(limit)
	}
	one := func(to, from net.Conn) {
		defer func() { done <- struct{}{} }()
		buf := make([]byte, largestDatagram)
		for {
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			active()
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	}
	active()
	go one(outside, inside)
	go one(inside, outside)
	<-done
	inside.Close()
	outside.Close()
	<-done
}
