package netslirp

import "net/netip"

// loopback4 is where a host without name servers asks (resolver(5)).
var loopback4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// destination is target for an address.
func (c *Config) destination(addr netip.Addr) (netip.Addr, bool) {
	to, ok := c.target(netip.AddrPortFrom(addr, 1))
	return to.Addr(), ok
}

// isDNS says whether an address is the forwarder's.
func (c *Config) isDNS(addr netip.AddrPort) bool {
	plain := addr.Addr().Unmap()
	return addr.Port() == dnsPort && (plain == c.DNS4 || plain == c.DNS6)
}
