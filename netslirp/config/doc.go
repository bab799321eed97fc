// Package config describes the network that package netslirp serves, as the
// container sees it: addresses, the device, and the texts of /etc/hosts
// (hosts(5)) and /etc/resolv.conf (resolv.conf(5)). Which addresses a container
// may reach, and the reading of options, are left to package netslirp.
//
// It is what the start of a container needs of the network, and no more, in a
// package of its own: package netslirp links a TCP/IP stack, whose packages
// would be initialised before every start. A container that sends nothing
// never needs them; Wanted tells the packets that do.
//
// Making and configuring the device is left to the caller: it opens
// /dev/net/tun (Documentation/networking/tuntap.rst) inside the namespace,
// sends DeviceRequest with TUNSETIFF, sets addresses and routes, and calls
// Prepare (TUNSETVNETHDRSZ, TUNSETOFFLOAD: Linux 2.6.33; neither needs
// privilege over the descriptor's namespace). Where the kernel refuses an
// offload, packets cross one by one and slower.
package config
