// Package netslirp connects a network namespace to the host without
// privilege: packets of a TUN device (Linux's tun(4),
// Documentation/networking/tuntap.rst) meet a TCP/IP stack inside this
// process, which repeats every flow with an ordinary socket of the host.
//
// It gives TCP with half-close, refusals and back-pressure, UDP, ICMP echo
// where the host allows unprivileged ping sockets (icmp(7),
// net.ipv4.ping_group_range), and a DNS forwarder that follows the
// host's resolv.conf.
//
// The device, its addresses and the files of the container are package
// config's; making it inside the namespace is left to the caller, who hands
// the prepared descriptor to Serve.
//
// Published ports go the other way: a connection to a socket of the host is
// repeated inside, from the client's own address where that can be (see ways).
//
// The host's loopback cannot be reached unless config.Network.HostLoopback maps it to
// the gateway's address, which else stands for the host's outer one. Where the kernel refuses an offload, packets cross
// one by one and slower; where it refuses ping sockets, echo requests stay
// unanswered; where the host has no IPv6, connections are reset.
//
// The stack is built when the first packet arrives that asks something of it:
// neighbour and router discovery of an idle namespace do not count. A connection
// to a published port is the other thing that asks.
package netslirp
