package config

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
)

func TestWanted(t *testing.T) {
	four := func(to string) []byte {
		a := netip.MustParseAddr(to).As4()
		return append(append([]byte{0x45}, make([]byte, 15)...), a[:]...)
	}
	six := func(to string) []byte {
		a := netip.MustParseAddr(to).As16()
		return append(append([]byte{0x60}, make([]byte, 23)...), a[:]...)
	}
	for _, c := range []struct {
		packet []byte
		want   bool
	}{
		{four("93.184.216.34"), true}, {four("10.0.2.3"), true}, {four("224.0.0.22"), false}, {six("fd00::3"), true}, {six("ff02::2"), false}, {six("ff02::16"), false},
		{four("10.0.2.3")[:19], false}, {six("fd00::3")[:39], false}, {nil, false}, {[]byte("\x10garbage, and much of it, longer than any header may be"), false},
	} {
		if got := Wanted(c.packet); got != c.want {
			t.Errorf("%x: %v", c.packet, got)
		}
	}
}

func TestHosts(t *testing.T) {
	cfg := Default()
	text := Hosts([]string{"box", "name"}, []string{"db:1.2.3.4", "up:host-gateway", "six:[::5]"}, &cfg, nil)
	for _, line := range []string{"1.2.3.4\tdb", "10.0.2.2\tup", "::5\tsix", "127.0.0.1\tlocalhost", "10.0.2.2\thost.containers.internal host.docker.internal", "10.0.2.100\tbox name"} {
		if !strings.Contains("\n"+string(text), "\n"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, text)
		}
	}
	if text = Hosts([]string{"box"}, nil, nil, nil); strings.Contains(string(text), "internal") || !strings.Contains(string(text), "127.0.1.1\tbox") {
		t.Errorf("without a network: %s", text)
	}
	if text = Hosts([]string{"box"}, nil, nil, []byte("127.0.0.1 localhost\n192.0.2.1 own\n")); !strings.Contains(string(text), "\n192.0.2.1 own\n") || strings.Count(string(text), "localhost") != 1 {
		t.Errorf("with the host's network: %s", text)
	}
}

func TestResolvConf(t *testing.T) {
	cfg := Default()
	host := []byte("# comment\nnameserver 9.9.9.9\nsearch a.example b.example\noptions ndots:2\n; x\nnonsense\n")
	for _, c := range []struct {
		cfg                  *Network
		dns, search, options []string
		want                 string
	}{
		{nil, nil, nil, nil, "search a.example b.example\nnameserver 9.9.9.9\noptions ndots:2\n"},
		{&cfg, nil, nil, nil, "search a.example b.example\nnameserver 10.0.2.3\nnameserver fd00::3\noptions ndots:2\n"},
		{&cfg, []string{"1.1.1.1"}, []string{"."}, []string{"timeout:1"}, "nameserver 1.1.1.1\noptions timeout:1\n"},
	} {
		if got := ResolvConf(host, c.cfg, c.dns, c.search, c.options); string(got) != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestAddress6Request(t *testing.T) {
	whole := Address6Request(0x01020304)
	for _, at := range Address6Index {
		if got := binary.NativeEndian.Uint32(whole[at:]); got != 0x01020304 {
			t.Errorf("at %d: %#x", at, got)
		}
	}
	first := binary.NativeEndian.Uint32(whole)
	if second := binary.NativeEndian.Uint32(whole[first:]); first%4 != 0 || int(first+second) != len(whole) {
		t.Errorf("messages of %d and %d bytes in %d", first, second, len(whole))
	}
}
