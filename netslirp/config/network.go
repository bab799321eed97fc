package config

import "fmt"

// DeviceName is the network device's name in the container.
const DeviceName = "eth0"

// MaxMTU is the largest of the device. No wire carries these packets, and fewer
// of them cost less.
const MaxMTU = 65520

// Network is the container's, as package netslirp serves it. Addresses are
// bytes: package net/netip is initialised later than everything that this
// package has to come before.
type Network struct {
	Address4, Gateway4, DNS4 [4]byte
	Bits4                    int
	// IPv6 adds Address6, whose network, gateway and name server do not change.
	IPv6 bool
	MTU  int
	// MAC is the device's address; zeros: it has none, and is no Ethernet device.
	MAC [6]byte
	// HostLoopback lets the gateway's address stand for the host's loopback.
	HostLoopback bool
	// Internal: there is no way out, but published ports lead in.
	Internal bool `json:",omitzero"`
	// Segment is shared with other containers; nil: it is alone. Its device is
	// an Ethernet device then, and has IPv4 alone.
	Segment *Segment `json:"-"`
	// Nameservers answer the container's queries, as address:port; nil: those
	// of the host's resolv.conf, followed as it changes.
	Nameservers []string
}

// Segment is a container's place in a network that it shares: a directory with a
// datagram socket for each container, ADDRESS, and a file of its names beside
// it, ADDRESS.names. Whoever serves the device closes both descriptors.
type Segment struct {
	Dir, Socket int  // of the directory, and our own
	Names       bool // the name server's address answers for names of containers
}

// The IPv6 network, fd00::/64, in bytes and text.
var (
	Address6 = [16]byte{0xfd, 14: 0x01, 15: 0x00}
	Gateway6 = [16]byte{0xfd, 15: 0x02}
	DNS6     = [16]byte{0xfd, 15: 0x03}
)

// The same as text.
const (
	Bits6        = 64
	Address6Text = "fd00::100"
	Gateway6Text = "fd00::2"
	DNS6Text     = "fd00::3"
)

// Default is the network of slirp4netns(1), with IPv6 and the largest MTU.
func Default() Network {
	n := Network{IPv6: true, MTU: MaxMTU}
	n.SetNetwork4([4]byte{10, 0, 2, 0}, 24)
	return n
}

// SetNetwork4 places the addresses where slirp4netns does: the network's
// second, third and hundredth.
func (n *Network) SetNetwork4(base [4]byte, bits int) {
	at := func(host byte) [4]byte { return [4]byte{base[0], base[1], base[2], base[3] + host} }
	n.Address4, n.Gateway4, n.DNS4, n.Bits4 = at(100), at(2), at(3), bits
}

// Text4 is an IPv4 address as text.
func Text4(a [4]byte) string { return fmt.Sprintf("%d.%d.%d.%d", a[0], a[1], a[2], a[3]) }
