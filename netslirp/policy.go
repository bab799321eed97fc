package netslirp

import (
	"net"
	"net/netip"

	"containers/rl/netslirp/config"
)

// network is a config.Network in the types of this package.
type network struct {
	Address4, Address6 netip.Prefix // Address6 is invalid without IPv6
	Gateway4, Gateway6 netip.Addr
	DNS4, DNS6         netip.Addr
	HostLoopback       bool
	Internal           bool
	// outer gives an address of the host, but for its loopback, that the
	// gateway's stands for; nil, or an invalid one: for none.
	outer func(six bool) netip.Addr
}

func newNetwork(n config.Network) network {
	a := network{HostLoopback: n.HostLoopback, Internal: n.Internal, Gateway4: netip.AddrFrom4(n.Gateway4), DNS4: netip.AddrFrom4(n.DNS4)}
	a.Address4 = netip.PrefixFrom(netip.AddrFrom4(n.Address4), n.Bits4)
	if n.IPv6 {
		a.Address6 = netip.PrefixFrom(netip.AddrFrom16(config.Address6), config.Bits6)
		a.Gateway6, a.DNS6 = netip.AddrFrom16(config.Gateway6), netip.AddrFrom16(config.DNS6)
	}
	return a
}

// outerAddress is the one from which the host would send to others. What
// listens there is reached under its own name too.
func outerAddress(six bool) netip.Addr {
	protocol, elsewhere := "udp4", "198.51.100.1:9" // RFC 5737; nothing is sent
	if six {
		protocol, elsewhere = "udp6", "[2001:db8::1]:9" // RFC 3849
	}
	conn, err := net.Dial(protocol, elsewhere)
	if err != nil {
		return netip.Addr{}
	}
	defer conn.Close()
	own, _ := netip.ParseAddrPort(conn.LocalAddr().String())
	if addr := own.Addr().Unmap().WithZone(""); addr.IsGlobalUnicast() {
		return addr
	}
	return netip.Addr{}
}

// target says where on the host a flow to dst goes, or that it may not. The
// container must not meet what listens on the host's loopback in the belief
// that only the host's own users reach it.
func (c *network) target(dst netip.AddrPort) (netip.AddrPort, bool) {
	addr := dst.Addr().Unmap().WithZone("")
	switch {
	case c.Internal:
		return netip.AddrPort{}, false
	case addr == c.Gateway4 && c.HostLoopback:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), dst.Port()), true
	case c.Gateway6.IsValid() && addr == c.Gateway6 && c.HostLoopback:
		return netip.AddrPortFrom(netip.IPv6Loopback(), dst.Port()), true
	case c.outer != nil && (addr == c.Gateway4 || addr == c.Gateway6):
		own := c.outer(addr.Is6())
		return netip.AddrPortFrom(own, dst.Port()), own.IsValid()
	case c.Address4.Contains(addr), c.Address6.IsValid() && c.Address6.Contains(addr):
		return netip.AddrPort{}, false // nobody else lives in our network
	case !addr.IsGlobalUnicast(), unspecified4(addr), hidesIPv4(addr):
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(addr, dst.Port()), true
}

// unspecified4: Linux connects 0.0.0.0 to its loopback; the rest of
// 0.0.0.0/8 is nobody's.
func unspecified4(a netip.Addr) bool { return a.Is4() && a.As4()[0] == 0 }

// hidesIPv4: ::a.b.c.d (RFC 4291, section 2.5.5.1) ends at an IPv4 address
// where a host still has such tunnels.
func hidesIPv4(a netip.Addr) bool {
	return a.Is6() && netip.PrefixFrom(netip.IPv6Unspecified(), 96).Contains(a)
}

// destination is target for an address.
func (c *network) destination(addr netip.Addr) (netip.Addr, bool) {
	to, ok := c.target(netip.AddrPortFrom(addr, 1))
	return to.Addr(), ok
}

// isPeer says whether an address is another container's, if anybody's.
func (c *network) isPeer(a netip.Addr) bool {
	return c.Address4.Contains(a) && a != c.Address4.Addr() && a != c.Gateway4
}

// isDNS says whether an address is the forwarder's.
func (c *network) isDNS(addr netip.AddrPort) bool {
	plain := addr.Addr().Unmap()
	return addr.Port() == dnsPort && (plain == c.DNS4 || plain == c.DNS6)
}
