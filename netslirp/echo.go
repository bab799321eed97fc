package netslirp

import (
	"encoding/binary"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"containers/rl/netslirp/config"
)

const (
	// echoesAtOnce bounds the sockets; a flood of pings is dropped as by a router.
	echoesAtOnce = 64
	echoTimeout  = 10 * time.Second
)

// echoes repeats echo requests with ping sockets of the host, where
// net.ipv4.ping_group_range lets the user have one (icmp(7)). Else nothing
// answers, but the gateway.
type echoes struct {
	server *Server
	mu     sync.Mutex
	open   int
	ended  bool
}

// isEcho says whether a packet is an echo request without IP options.
func isEcho(data []byte, protocol uint8) bool {
	switch {
	case header.IPVersion(data) == header.IPv4Version && protocol == unix.IPPROTO_ICMP:
		h := header.IPv4(data)
		return h.FragmentOffset() == 0 && h.Flags()&header.IPv4FlagMoreFragments == 0 &&
			int(h.HeaderLength()) == header.IPv4MinimumSize && len(data) >= header.IPv4MinimumSize+header.ICMPv4MinimumSize &&
			header.ICMPv4(data[header.IPv4MinimumSize:]).Type() == header.ICMPv4Echo
	case header.IPVersion(data) == header.IPv6Version && protocol == unix.IPPROTO_ICMPV6:
		return len(data) >= header.IPv6MinimumSize+header.ICMPv6MinimumSize+4 &&
			header.ICMPv6(data[header.IPv6MinimumSize:]).Type() == header.ICMPv6EchoRequest
	}
	return false
}

// request handles one echo request; data is not kept.
func (e *echoes) request(data []byte) {
	_, dst, _, _ := addresses(data)
	size := header.IPv4MinimumSize
	if dst.Is6() {
		size = header.IPv6MinimumSize
	}
	cfg := &e.server.cfg
	packet := append([]byte{}, data...)
	if dst == cfg.Gateway4 || dst == cfg.Gateway6 || dst == cfg.DNS4 || dst == cfg.DNS6 {
		e.answer(packet, packet[size:])
		return
	}
	to, ok := cfg.destination(dst)
	if !ok || !e.take() {
		return
	}
	go func() {
		defer e.give()
		if reply := ping(to, packet[size:]); reply != nil {
			e.answer(packet, reply)
		}
	}()
}

func (e *echoes) take() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended || e.open >= echoesAtOnce {
		return false
	}
	e.open++
	e.server.active.began()
	return true
}

func (e *echoes) give() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open--
	e.server.active.ended()
}

func (e *echoes) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = true
}

// ping sends the message and gives the answer, nil when none came.
func ping(to netip.Addr, message []byte) []byte {
	family, protocol, kind := unix.AF_INET, unix.IPPROTO_ICMP, byte(header.ICMPv4Echo)
	var address unix.Sockaddr = &unix.SockaddrInet4{Addr: to.Unmap().As4()}
	if to.Is6() {
		family, protocol, kind = unix.AF_INET6, unix.IPPROTO_ICMPV6, byte(header.ICMPv6EchoRequest)
		address = &unix.SockaddrInet6{Addr: to.As16()}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil
	}
	if unix.Connect(fd, address) != nil {
		unix.Close(fd)
		return nil
	}
	socket := os.NewFile(uintptr(fd), "ping")
	defer socket.Close()
	_ = socket.SetDeadline(time.Now().Add(echoTimeout))
	out := append([]byte{kind}, message[1:]...)
	if _, err := socket.Write(out); err != nil {
		return nil
	}
	reply := make([]byte, largestPacket)
	n, err := socket.Read(reply)
	if err != nil || n < 8 {
		return nil
	}
	copy(reply[4:6], message[4:6]) // the kernel put its own identifier
	return reply[:n]
}

// answer makes an echo reply out of the request's header and a message.
func (e *echoes) answer(request, message []byte) {
	src, dst, _, _ := addresses(request)
	message = append([]byte{}, message...)
	message[1], message[2], message[3] = 0, 0, 0
	var packet []byte
	if dst.Is4() {
		message[0] = byte(header.ICMPv4EchoReply)
		binary.BigEndian.PutUint16(message[2:], ^checksum.Checksum(message, 0))
		packet = append(make([]byte, header.IPv4MinimumSize), message...)
		h := header.IPv4(packet)
		h.Encode(&header.IPv4Fields{TotalLength: uint16(len(packet)), TTL: 64, Protocol: unix.IPPROTO_ICMP, SrcAddr: address4(dst), DstAddr: address4(src)})
		h.SetChecksum(^h.CalculateChecksum())
	} else {
		message[0] = byte(header.ICMPv6EchoReply)
		packet = append(make([]byte, header.IPv6MinimumSize), message...)
		h := header.IPv6(packet)
		h.Encode(&header.IPv6Fields{PayloadLength: uint16(len(message)), TransportProtocol: header.ICMPv6ProtocolNumber, HopLimit: 64, SrcAddr: address16(dst), DstAddr: address16(src)})
		m := header.ICMPv6(packet[header.IPv6MinimumSize:])
		m.SetChecksum(header.ICMPv6Checksum(header.ICMPv6ChecksumParams{Header: m, Src: address16(dst), Dst: address16(src)}))
	}
	var buf [config.HeaderSize + config.EtherSize]byte
	_, _ = e.server.link.file.Write(append(e.server.link.head(&buf, header.IPVersion(packet)), packet...))
}
