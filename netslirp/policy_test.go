package netslirp

import (
	"fmt"
	"net/netip"
	"testing"

	"containers/rl/netslirp/config"
)

func TestParseOptions(t *testing.T) {
	for text, want := range map[string]string{
		"slirp":                                   "10.0.2.100/24 10.0.2.2 10.0.2.3 fd00::100/64 65520 false",
		"slirp4netns:mtu=1500":                    "10.0.2.100/24 10.0.2.2 10.0.2.3 fd00::100/64 1500 false",
		"slirp:cidr=192.168.7.0/24":               "192.168.7.100/24 192.168.7.2 192.168.7.3 fd00::100/64 65520 false",
		"slirp:enable_ipv6=false":                 "10.0.2.100/24 10.0.2.2 10.0.2.3 invalid Prefix 65520 false",
		"pasta":                                   "10.0.2.100/24 10.0.2.2 10.0.2.3 fd00::100/64 65520 false",
		"pasta:--mtu,1400,-4,--map-gw":            "10.0.2.100/24 10.0.2.2 10.0.2.3 invalid Prefix 1400 true",
		"pasta:--mtu=1401":                        "10.0.2.100/24 10.0.2.2 10.0.2.3 fd00::100/64 1401 false",
		"slirp:port_handler=slirp4netns":          "10.0.2.100/24 10.0.2.2 10.0.2.3 fd00::100/64 65520 false",
		"slirp:allow_host_loopback=true,mtu=1280": "10.0.2.100/24 10.0.2.2 10.0.2.3 fd00::100/64 1280 true",
	} {
		c, err := ParseOptions(text)
		v := newNetwork(c)
		got := fmt.Sprint(v.Address4, " ", v.Gateway4, " ", v.DNS4, " ", v.Address6, " ", c.MTU, " ", c.HostLoopback)
		if err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "bridge", "slirp:", "slirp:mtu", "slirp:mtu=1279", "slirp:mtu=65521", "slirp:mtu=x", "slirp:cidr=10.0.0.0/26", "slirp:cidr=::/64",
		"slirp:cidr=127.0.0.0/8", "slirp:cidr=224.0.0.0/8", "slirp:cidr=0.0.0.0/8", "slirp:allow_host_loopback=1", "slirp:bogus=1", "pasta:--mtu", "pasta:-T,80", "slirp:port_handler=x"} {
		if _, err := ParseOptions(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// The host's loopback, its own names for it, and our own network are shut.
func TestTarget(t *testing.T) {
	shut, open := newNetwork(config.Default()), newNetwork(config.Default())
	open.HostLoopback = true
	for addr, want := range map[string]string{
		"93.184.216.34": "93.184.216.34", "2001:db8::1": "2001:db8::1", "127.0.0.1": "", "127.9.9.9": "", "::1": "", "0.0.0.0": "", "0.1.2.3": "",
		"10.0.2.2": "", "10.0.2.100": "", "10.0.2.77": "", "fd00::2": "", "fd00::77": "", "169.254.1.1": "", "fe80::1": "", "224.0.0.1": "", "ff02::1": "",
		"::ffff:127.0.0.1": "", "::127.0.0.1": "", "::ffff:93.184.216.34": "93.184.216.34",
	} {
		to, ok := shut.target(netip.AddrPortFrom(netip.MustParseAddr(addr), 80))
		if got := to.Addr().String(); ok != (want != "") || ok && got != want {
			t.Errorf("%s leads to %s, %v, want %q", addr, got, ok, want)
		}
	}
	for addr, want := range map[string]string{"10.0.2.2": "127.0.0.1:80", "fd00::2": "[::1]:80"} {
		if to, ok := open.target(netip.AddrPortFrom(netip.MustParseAddr(addr), 80)); !ok || to.String() != want {
			t.Errorf("%s leads to %s, %v, want %s", addr, to, ok, want)
		}
	}
	if _, ok := open.destination(netip.MustParseAddr("127.0.0.1")); ok {
		t.Error("127.0.0.1 leads out")
	}
	if !shut.isDNS(netip.MustParseAddrPort("10.0.2.3:53")) || shut.isDNS(netip.MustParseAddrPort("10.0.2.3:80")) || !shut.isDNS(netip.MustParseAddrPort("[fd00::3]:53")) {
		t.Error("isDNS does not know the forwarder")
	}
}

func TestChecks(t *testing.T) {
	for _, good := range []string{"db:1.2.3.4", "up:host-gateway", "six:[::5]", "six:::5"} {
		if err := CheckHost(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "x", ":1.2.3.4", "x:", "x:nonsense", "a b:1.2.3.4", "a\nb:1.2.3.4", "#a:1.2.3.4"} {
		if CheckHost(bad) == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	if CheckDNS("1.1.1.1") != nil || CheckDNS("::1") != nil || CheckDNS("name") == nil {
		t.Error("CheckDNS does not know an address")
	}
}
