// Package netslirp connects a network namespace to the host without
// privilege: packets of a TUN device (Linux's tun(4),
// Documentation/networking/tuntap.rst) meet a TCP/IP stack inside this
// process, which repeats every flow with an ordinary socket of the host.
//
// It gives TCP with half-close, refusals and back-pressure, UDP, ICMP echo
// where the host allows unprivileged ping sockets (icmp(7),
// net.ipv4.ping_group_range), a DNS forwarder that follows the host's
// resolv.conf, and the texts of /etc/hosts and /etc/resolv.conf.
//
// Creating and configuring the device inside the namespace is left to the
// caller: it opens /dev/net/tun, sends DeviceRequest with TUNSETIFF, sets
// addresses and routes, and hands the descriptor to Serve, which sets the
// header size and the offloads (TUNSETVNETHDRSZ, TUNSETOFFLOAD: Linux 2.6.33;
// neither needs privilege over the descriptor's namespace).
//
// The host's loopback cannot be reached unless Config.HostLoopback maps it to
// the gateway's address. Where the kernel refuses an offload, packets cross
// one by one and slower; where it refuses ping sockets, echo requests stay
// unanswered; where the host has no IPv6, connections are reset.
//
// The stack is built when the first packet arrives that asks something of it:
// neighbour and router discovery of an idle namespace do not count.
package netslirp
