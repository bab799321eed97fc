package netslirp

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"containers/rl/netslirp/config"
)

// minMTU is IPv6's least, RFC 8200 section 5.
const minMTU = 1280

// options are a network while its options are read.
type options struct{ config.Network }

// ParseOptions reads "slirp[:option=value,...]" as podman does for
// slirp4netns: allow_host_loopback, enable_ipv6, mtu and cidr; and
// "pasta[:option,...]".
func ParseOptions(s string) (config.Network, error) {
	n := options{config.Default()}
	mode, list, some := strings.Cut(s, ":")
	if mode == "pasta" {
		err := n.pasta(strings.Split(list, ","))
		return n.Network, err
	}
	if mode != "slirp" && mode != "slirp4netns" {
		return config.Network{}, fmt.Errorf("network %q: not slirp or slirp4netns", mode)
	}
	if !some {
		return n.Network, nil
	}
	for option := range strings.SplitSeq(list, ",") {
		if err := n.set(option); err != nil {
			return config.Network{}, err
		}
	}
	return n.Network, nil
}

func (o *options) set(option string) error {
	key, value, _ := strings.Cut(option, "=")
	var err error
	switch key {
	case "allow_host_loopback":
		o.HostLoopback, err = parseBool(value)
	case "enable_ipv6":
		var on bool
		if on, err = parseBool(value); err == nil && !on {
			o.IPv6 = false
		}
	case "mtu":
		o.MTU, err = parseMTU(value)
	case "cidr":
		err = o.parseNetwork(value)
	case "port_handler":
		// Both are podman's. The client's address is kept by either.
		if value != "slirp4netns" && value != "rootlesskit" {
			err = fmt.Errorf("%q is neither slirp4netns nor rootlesskit", value)
		}
	default:
		return fmt.Errorf("network option %q: unknown; known are allow_host_loopback, enable_ipv6, mtu, cidr and port_handler", key)
	}
	if err != nil {
		return fmt.Errorf("network option %s: %w", key, err)
	}
	return nil
}

// pasta reads those of passt(1)'s options that have a meaning here.
func (o *options) pasta(words []string) (err error) {
	for len(words) > 0 && words[0] != "" {
		name, value, valued := strings.Cut(words[0], "=")
		words = words[1:]
		if name == "--mtu" || name == "-m" {
			if !valued && len(words) > 0 {
				value, words = words[0], words[1:]
			}
			if o.MTU, err = parseMTU(value); err != nil {
				return fmt.Errorf("network option %s: %w", name, err)
			}
			continue
		}
		switch name {
		case "-4", "--ipv4-only":
			o.IPv6 = false
		case "--map-gw":
			o.HostLoopback = true
		case "--no-map-gw":
			o.HostLoopback = false
		default:
			return fmt.Errorf("network option %q: unknown; known are --mtu, --ipv4-only, --map-gw and --no-map-gw", name)
		}
	}
	return nil
}

func parseBool(s string) (bool, error) {
	switch s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", s)
}

func parseMTU(s string) (int, error) {
	mtu, err := strconv.Atoi(s)
	if err != nil || mtu < minMTU || mtu > config.MaxMTU {
		return 0, fmt.Errorf("%q is not a number from %d to %d", s, minMTU, config.MaxMTU)
	}
	return mtu, nil
}

// parseNetwork demands room for the hundredth address and refuses networks
// that a connection from the container could never mean.
func (o *options) parseNetwork(s string) error {
	network, err := netip.ParsePrefix(s)
	if err != nil {
		return err
	}
	addr := network.Addr()
	if !addr.Is4() || network.Bits() < 1 || network.Bits() > 25 {
		return fmt.Errorf("%q is not an IPv4 network of 1 to 25 bits", s)
	}
	if !addr.IsGlobalUnicast() || addr.As4()[0] == 0 || addr.As4()[0] >= 240 {
		return fmt.Errorf("%q is not a unicast network", s)
	}
	if network.Masked().Addr().As4()[0] == 0 {
		return fmt.Errorf("%q begins in 0.0.0.0/8", s)
	}
	if network.Overlaps(netip.MustParsePrefix("127.0.0.0/8")) {
		return fmt.Errorf("%q holds the loopback addresses", s)
	}
	o.SetNetwork4(network.Masked().Addr().As4(), network.Bits())
	return nil
}

// ParseMAC reads an Ethernet address that one device can have.
func ParseMAC(text string) (mac [6]byte, err error) {
	list, err := net.ParseMAC(text)
	if err != nil {
		return mac, fmt.Errorf("--mac-address %s: %w", text, err)
	}
	if len(list) != len(mac) || list[0]&1 != 0 || [6]byte(list) == mac {
		return mac, fmt.Errorf("--mac-address %s: not the Ethernet address of one device", text)
	}
	return [6]byte(list), nil
}

// CheckHost refuses what is no "name:address" of --add-host.
func CheckHost(entry string) error {
	name, text, found := strings.Cut(entry, ":")
	if !found || name == "" || strings.ContainsAny(name, " \t\n#") {
		return fmt.Errorf("host entry %q: not name:address", entry)
	}
	if text == "host-gateway" {
		return nil
	}
	if _, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")); err != nil {
		return fmt.Errorf("host entry %q: %w", entry, err)
	}
	return nil
}

// CheckDNS refuses what is no name server's address.
func CheckDNS(server string) error {
	if _, err := netip.ParseAddr(server); err != nil {
		return fmt.Errorf("name server %q: %w", server, err)
	}
	return nil
}
