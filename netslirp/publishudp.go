package netslirp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// flowsAtOnce bounds the flows of one UDP port. What comes beyond is dropped,
// as by a router whose table is full.
const flowsAtOnce = 1024

// datagrams serves one UDP port of the host.
type datagrams struct {
	server *Server
	conn   *net.UDPConn
	port   uint16 // in the container

	mu    sync.Mutex
	flows map[flowKey]*datagramFlow
}

// flowKey is a client and the address of ours that it sent to, from which it
// expects the answer.
type flowKey struct {
	client netip.AddrPort
	local  local
}

// local is the host's address of a datagram, and its device where the address
// alone does not name it.
type local struct {
	addr  netip.Addr
	index uint32
}

// datagramFlow is a client's flow to the container.
type datagramFlow struct {
	mu   sync.Mutex // held until there is an endpoint, or none can be had
	ep   tcpip.Endpoint
	last time.Time // when something came or went
}

// receive gives each datagram to its flow until the socket is closed, or its
// deadline over.
func (d *datagrams) receive() {
	buf, control := make([]byte, largestDatagram), make([]byte, 256)
	for {
		n, nc, _, client, err := d.conn.ReadMsgUDPAddrPort(buf, control)
		if over(err) {
			return
		}
		if err != nil {
			time.Sleep(acceptPause)
			continue
		}
		d.deliver(flowKey{client, localOf(control[:nc])}, buf[:n])
	}
}

func (d *datagrams) deliver(key flowKey, message []byte) {
	d.mu.Lock()
	f := d.flows[key]
	switch {
	case f == nil && len(d.flows) >= flowsAtOnce:
		d.mu.Unlock()
		return
	case f == nil:
		f = &datagramFlow{}
		f.mu.Lock()
		d.flows[key] = f
		d.mu.Unlock()
		d.server.active.began()
		go d.serve(key, f, append([]byte{}, message...))
		return
	}
	d.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ep != nil {
		f.send(message)
	}
}

// send is called with the lock held. What does not fit is lost, as with UDP.
func (f *datagramFlow) send(message []byte) {
	f.last = time.Now()
	_, _ = f.ep.Write(bytes.NewReader(message), tcpip.WriteOptions{})
}

// serve lives as long as the flow. first is sent again by the next way when
// the container refuses it and has said nothing yet.
func (d *datagrams) serve(key flowKey, f *datagramFlow, first []byte) {
	defer func() {
		d.mu.Lock()
		delete(d.flows, key)
		d.mu.Unlock()
		f.mu.Unlock()
		d.server.active.ended()
	}()
	st := d.server.running()
	if st == nil {
		return
	}
	for _, w := range d.server.cfg.ways(key.client) {
		var queue waiter.Queue
		ep, err := connectUDP(st, &queue, w, d.port)
		if err != nil {
			continue
		}
		events, ready := waiter.NewChannelEntry(waiter.ReadableEvents | waiter.EventErr | waiter.EventHUp)
		queue.EventRegister(&events)
		f.ep = ep
		f.send(first)
		f.mu.Unlock()
		again := d.answers(key, f, ready)
		f.mu.Lock()
		f.ep = nil
		queue.EventUnregister(&events)
		ep.Close()
		if !again {
			return
		}
	}
}

func connectUDP(st *stack.Stack, queue *waiter.Queue, w way, port uint16) (tcpip.Endpoint, error) {
	ep, problem := st.NewEndpoint(udp.ProtocolNumber, protocol(w.to), queue)
	if problem != nil {
		return nil, errors.New(problem.String())
	}
	if problem = ep.Bind(full(w.from)); problem == nil {
		problem = ep.Connect(full(netip.AddrPortFrom(w.to, port)))
	}
	if problem != nil {
		ep.Close()
		return nil, errors.New(problem.String())
	}
	return ep, nil
}

// answers carries what the container says to the client, until neither has
// said anything for udpIdle. It gives true when the container refused before
// it had said anything.
func (d *datagrams) answers(key flowKey, f *datagramFlow, ready <-chan struct{}) (refused bool) {
	buf, control := make([]byte, largestDatagram), key.local.control()
	idle := time.NewTimer(udpIdle)
	defer idle.Stop()
	for silent := true; ; {
		w := tcpip.SliceWriter(buf)
		result, problem := f.ep.Read(&w, tcpip.ReadOptions{})
		switch problem.(type) {
		case nil:
			silent = false
			f.mu.Lock()
			f.last = time.Now()
			f.mu.Unlock()
			_, _, _ = d.conn.WriteMsgUDPAddrPort(buf[:result.Count], control, key.client)
		case *tcpip.ErrWouldBlock:
			select {
			case <-ready:
			case <-idle.C:
				f.mu.Lock()
				left := udpIdle - time.Since(f.last)
				f.mu.Unlock()
				if left <= 0 {
					return false
				}
				idle.Reset(left)
			}
		default:
			return silent
		}
	}
}

// localOf reads to which address of ours a datagram came.
func localOf(control []byte) (l local) {
	messages, _ := unix.ParseSocketControlMessage(control)
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= unix.SizeofInet4Pktinfo:
			// ipi_spec_dst, which for a broadcast is our own address.
			l.addr = netip.AddrFrom4([4]byte(m.Data[4:8]))
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= unix.SizeofInet6Pktinfo:
			if l.addr = netip.AddrFrom16([16]byte(m.Data[:16])); l.addr.IsLinkLocalUnicast() {
				l.index = binary.NativeEndian.Uint32(m.Data[16:])
			}
		}
	}
	return l
}

// control is the message that makes it the source of an answer.
func (l local) control() []byte {
	switch {
	case !l.addr.IsValid() || l.addr.IsMulticast():
		return nil
	case l.addr.Is4():
		return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: l.addr.As4()})
	}
	return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: l.addr.As16(), Ifindex: l.index})
}
