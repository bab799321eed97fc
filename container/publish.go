package container

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	netconfig "containers/rl/netslirp/config"
)

// openNetwork takes what the container needs of the host's network, and of one
// that it shares. It comes before anything of the container is made, so that a
// port or an address in use costs nothing.
func (r *Running) openNetwork(o *Options) error {
	err := r.publish(o.Ports)
	if err == nil {
		err = r.joinSegment(o)
	}
	if err != nil {
		r.closeNetwork(o)
	}
	return err
}

// closeNetwork gives back what the network stack did not take over.
func (r *Running) closeNetwork(o *Options) {
	r.closeSockets(o)
	r.leaveSegment()
}

func (r *Running) closeSockets(o *Options) {
	for _, l := range r.ports {
		unix.Close(l.FD)
	}
	r.ports = nil
	if s := o.Slirp.Segment; s != nil {
		unix.Close(s.Dir)
		unix.Close(s.Socket)
		o.Slirp.Segment = nil
	}
}

// publish opens the host's side of the published ports, and fills in the ports
// that were left to us.
func (r *Running) publish(ports []netconfig.Port) error {
	for n := range ports {
		fd, err := openPort(&ports[n])
		if err != nil {
			return err
		}
		r.ports = append(r.ports, netconfig.Listener{FD: fd, Port: ports[n]})
	}
	return nil
}

// choosePorts finds the host's ports for a container that is started later, as
// podman does, and lets go of them.
func choosePorts(ports []netconfig.Port) error {
	for n := range ports {
		if p := &ports[n]; p.HostPort != 0 && p.HostLast == 0 {
			continue // whether it is free is asked at the start
		}
		fd, err := openPort(&ports[n])
		if err != nil {
			return err
		}
		defer unix.Close(fd) // all at once: two ports are never the same
	}
	return nil
}

// openPort tries one port of the host after the other.
func openPort(p *netconfig.Port) (fd int, err error) {
	last := max(p.HostPort, p.HostLast)
	for at := int(p.HostPort); at <= int(last); at++ {
		fd, err = listen(p, at)
		if err == nil {
			p.HostPort, p.HostLast = boundPort(fd), 0
			return fd, nil
		}
		if !errors.Is(err, unix.EADDRINUSE) {
			break
		}
	}
	return -1, portError(p, err)
}

func portError(p *netconfig.Port, err error) error {
	host := p.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	err = fmt.Errorf("listen %s %s:%d: bind: %w", p.Protocol, first(host, "0.0.0.0"), p.HostPort, err)
	if errors.Is(err, unix.EACCES) {
		return fmt.Errorf("cannot expose privileged port %d: %w: sudo sysctl -w net.ipv4.ip_unprivileged_port_start=%[1]d, or choose a port of %[3]s or above",
			p.HostPort, err, unprivilegedPorts())
	}
	return fmt.Errorf("publishing port %d/%s: %w", p.Port, p.Protocol, err)
}

func unprivilegedPorts() string {
	text, _ := readFile("/proc/sys/net/ipv4/ip_unprivileged_port_start") // ip-sysctl: Linux 4.11
	return first(strings.TrimSpace(string(text)), "1024")
}

// listen opens one socket. All addresses are both families' in one socket,
// where the host has both.
func listen(p *netconfig.Port, at int) (fd int, err error) {
	if len(p.Address) == 0 {
		fd, err = bind(p, &unix.SockaddrInet6{Port: at}, unix.AF_INET6, 0)
		if err == nil || !errors.Is(err, unix.EAFNOSUPPORT) && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return fd, err
		}
		return bind(p, &unix.SockaddrInet4{Port: at}, unix.AF_INET, 0)
	}
	if len(p.Address) == 4 {
		return bind(p, &unix.SockaddrInet4{Port: at, Addr: [4]byte(p.Address)}, unix.AF_INET, 0)
	}
	return bind(p, &unix.SockaddrInet6{Port: at, Addr: [16]byte(p.Address), ZoneId: zone(p.Host)}, unix.AF_INET6, 1)
}

// zone is the device of a link-local address such as fe80::1%eth0.
func zone(host string) uint32 {
	_, name, _ := strings.Cut(host, "%")
	if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		return uint32(n)
	}
	text, _ := readFile("/sys/class/net/" + strings.ReplaceAll(name, "/", "_") + "/ifindex")
	n, _ := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	return uint32(n)
}

func bind(p *netconfig.Port, address unix.Sockaddr, family, only6 int) (int, error) {
	kind := unix.SOCK_STREAM
	if p.Protocol == "udp" {
		kind = unix.SOCK_DGRAM
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	set := func(level, option, value int) {
		if err == nil {
			err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, level, option, value))
		}
	}
	if family == unix.AF_INET6 {
		set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only6)
	}
	switch {
	case kind == unix.SOCK_STREAM: // connections of the last run may linger
		set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	case family == unix.AF_INET6:
		set(unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	default:
		set(unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	}
	if err == nil {
		err = unix.Bind(fd, address)
	}
	if err == nil && kind == unix.SOCK_STREAM {
		err = unix.Listen(fd, backlog)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// backlog is cut to net.core.somaxconn (listen(2)).
const backlog = 4096

func boundPort(fd int) uint16 {
	name, _ := unix.Getsockname(fd)
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		return uint16(name.Port)
	case *unix.SockaddrInet6:
		return uint16(name.Port)
	}
	return 0
}
