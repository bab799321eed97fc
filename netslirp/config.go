package netslirp

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// DeviceName is the network device's name in the container.
const DeviceName = "eth0"

const (
	minMTU = 1280 // IPv6's least, RFC 8200 section 5
	maxMTU = 65520
)

// Config describes the network as the container sees it.
type Config struct {
	// Address4 and Address6 are the container's own, with the prefix of its
	// network. Address6 is invalid without IPv6.
	Address4, Address6 netip.Prefix
	Gateway4, Gateway6 netip.Addr
	DNS4, DNS6         netip.Addr
	MTU                int
	// HostLoopback lets the gateway's address stand for the host's loopback.
	HostLoopback bool
	// Nameservers answer the container's queries; nil: those of the host's
	// resolv.conf, followed as it changes.
	Nameservers []netip.AddrPort
}

// Default is the network of slirp4netns(1), with IPv6 and the largest MTU:
// no wire carries these packets, and fewer of them cost less.
func Default() Config {
	cfg := Config{MTU: maxMTU}
	cfg.setNetwork4(netip.MustParsePrefix("10.0.2.0/24"))
	cfg.Address6 = netip.MustParsePrefix("fd00::100/64")
	cfg.Gateway6 = netip.MustParseAddr("fd00::2")
	cfg.DNS6 = netip.MustParseAddr("fd00::3")
	return cfg
}

// setNetwork4 places the addresses where slirp4netns does: the network's
// second, third and hundredth.
func (c *Config) setNetwork4(network netip.Prefix) {
	base := network.Masked().Addr().As4()
	at := func(n byte) netip.Addr {
		a := base
		a[3] += n
		return netip.AddrFrom4(a)
	}
	c.Address4 = netip.PrefixFrom(at(100), network.Bits())
	c.Gateway4, c.DNS4 = at(2), at(3)
}

// ParseOptions reads "slirp[:option=value,...]" as podman does for
// slirp4netns: allow_host_loopback, enable_ipv6, mtu and cidr.
func ParseOptions(s string) (Config, error) {
	cfg := Default()
	mode, list, some := strings.Cut(s, ":")
	if mode != "slirp" && mode != "slirp4netns" {
		return Config{}, fmt.Errorf("network %q: not slirp or slirp4netns", mode)
	}
	if !some {
		return cfg, nil
	}
	for option := range strings.SplitSeq(list, ",") {
		if err := cfg.set(option); err != nil {
			return Config{}, err
		}
	}
	return cfg, nil
}

func (c *Config) set(option string) error {
	key, value, _ := strings.Cut(option, "=")
	var err error
	switch key {
	case "allow_host_loopback":
		c.HostLoopback, err = parseBool(value)
	case "enable_ipv6":
		var on bool
		if on, err = parseBool(value); err == nil && !on {
			c.Address6, c.Gateway6, c.DNS6 = netip.Prefix{}, netip.Addr{}, netip.Addr{}
		}
	case "mtu":
		c.MTU, err = parseMTU(value)
	case "cidr":
		err = c.parseNetwork(value)
	default:
		return fmt.Errorf("network option %q: unknown; known are allow_host_loopback, enable_ipv6, mtu and cidr", key)
	}
	if err != nil {
		return fmt.Errorf("network option %s: %w", key, err)
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
	if err != nil || mtu < minMTU || mtu > maxMTU {
		return 0, fmt.Errorf("%q is not a number from %d to %d", s, minMTU, maxMTU)
	}
	return mtu, nil
}

// parseNetwork demands room for the hundredth address and refuses networks
// that a connection from the container could never mean.
func (c *Config) parseNetwork(s string) error {
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
	c.setNetwork4(network)
	return nil
}
