package netslirp

import "net/netip"

// target says where on the host a flow to dst goes, or that it may not. The
// container must not meet what listens on the host's loopback in the belief
// that only the host's own users reach it.
func (c *Config) target(dst netip.AddrPort) (netip.AddrPort, bool) {
	addr := dst.Addr().Unmap().WithZone("")
	switch {
	case addr == c.Gateway4 && c.HostLoopback:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), dst.Port()), true
	case c.Gateway6.IsValid() && addr == c.Gateway6 && c.HostLoopback:
		return netip.AddrPortFrom(netip.IPv6Loopback(), dst.Port()), true
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
