package config

// Port is a port of the container that the host answers for.
type Port struct {
	Protocol string // tcp or udp
	// Host is an address of the host as text, and Address the same in bytes;
	// nothing stands for all addresses of both families.
	Host    string `json:",omitzero"`
	Address []byte `json:",omitzero"`
	// HostPort is 0 until one was found, which with HostLast is one of
	// HostPort to HostLast.
	HostPort uint16
	HostLast uint16 `json:",omitzero"`
	Port     uint16 // in the container
}

// Listener is a socket of the host for a port: a TCP socket that listens, or a
// UDP socket that tells to which address a datagram came (ip(7), IP_PKTINFO;
// ipv6(7), IPV6_RECVPKTINFO).
type Listener struct {
	FD int
	Port
}
