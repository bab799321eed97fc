package netslirp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"containers/rl/netslirp/config"
)

// A client keeps its address where that can mean nobody else inside.
func TestWays(t *testing.T) {
	both, four := newNetwork(config.Default()), config.Default()
	four.IPv6 = false
	only4 := newNetwork(four)
	for _, c := range []struct {
		network *network
		client  string
		want    string
	}{
		{&both, "192.0.2.7:1000", "192.0.2.7:1000>10.0.2.100 10.0.2.2:0>10.0.2.100 [fd00::2]:0>fd00::100"},
		{&both, "[::ffff:192.0.2.7]:1000", "192.0.2.7:1000>10.0.2.100 10.0.2.2:0>10.0.2.100 [fd00::2]:0>fd00::100"},
		{&both, "127.0.0.1:1000", "10.0.2.2:0>10.0.2.100 [fd00::2]:0>fd00::100"},
		{&both, "10.0.2.100:1000", "10.0.2.2:0>10.0.2.100 [fd00::2]:0>fd00::100"},
		{&both, "[2001:db8::7]:1000", "[2001:db8::7]:1000>fd00::100 [fd00::2]:0>fd00::100 10.0.2.2:0>10.0.2.100"},
		{&both, "[::1]:1000", "[fd00::2]:0>fd00::100 10.0.2.2:0>10.0.2.100"},
		{&both, "[fe80::1%eth0]:1000", "[fd00::2]:0>fd00::100 10.0.2.2:0>10.0.2.100"},
		{&only4, "192.0.2.7:1000", "192.0.2.7:1000>10.0.2.100 10.0.2.2:0>10.0.2.100"},
		{&only4, "[2001:db8::7]:1000", "10.0.2.2:0>10.0.2.100"},
	} {
		var got []string
		for _, w := range c.network.ways(netip.MustParseAddrPort(c.client)) {
			got = append(got, fmt.Sprint(w.from, ">", w.to))
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s: %s, want %s", c.client, text, c.want)
		}
	}
}

// listener makes a socket of the host for a port of the container, and says
// where it is reached.
func listener(t *testing.T, protocol, host string, port uint16) (config.Listener, string) {
	t.Helper()
	family, kind := unix.AF_INET, unix.SOCK_STREAM
	if protocol == "udp" {
		kind = unix.SOCK_DGRAM
	}
	addr := netip.MustParseAddr(host)
	var address unix.Sockaddr = &unix.SockaddrInet6{Addr: addr.As16()}
	if addr.Is4() {
		address = &unix.SockaddrInet4{Addr: addr.As4()}
	} else {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, address); err != nil {
		t.Skipf("needs %s: %v", host, err)
	}
	if kind == unix.SOCK_STREAM {
		err = unix.Listen(fd, 16)
	} else if family == unix.AF_INET {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	} else {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	var at int
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		at = name.Port
	case *unix.SockaddrInet6:
		at = name.Port
	}
	if addr.IsUnspecified() {
		host = "::1"
	}
	return config.Listener{FD: fd, Port: config.Port{Protocol: protocol, HostPort: uint16(at), Port: port}}, net.JoinHostPort(host, fmt.Sprint(at))
}

// published starts a role that listens, behind a port.
func published(t *testing.T, cfg config.Network, l config.Listener, role string, args ...string) *container {
	t.Helper()
	c, tun := enter(t, cfg, role, args...)
	var err error
	if c.Server, err = Serve(tun, cfg, nil, l); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); _ = c.command.Process.Kill(); _ = c.command.Wait() })
	return c
}

// dialSoon waits for the program inside to listen. It dials anew then: what
// came while it began may have been refused by the first way and taken by the
// next, which shows another client.
func dialSoon(t *testing.T, protocol, address string) net.Conn {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.Dial(protocol, address)
		// Refused inside: the reset may come before the dial has ended.
		if errors.Is(err, syscall.ECONNRESET) && time.Now().Before(end) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		if protocol == "udp" {
			_ = conn.SetDeadline(time.Now().Add(200 * time.Millisecond))
		}
		_, _ = conn.Write([]byte("?\n"))
		got := make([]byte, 2)
		_, err = io.ReadAtLeast(conn, got, 1)
		conn.Close()
		if err == nil && got[0] == '!' {
			if conn, err = net.Dial(protocol, address); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			return conn
		}
		if time.Now().After(end) {
			t.Fatal("the program inside never answered")
		}
	}
}

func TestPublishedTCP(t *testing.T) {
	own := hostAddress(t)
	for _, c := range []struct{ host, inside, from string }{
		{"127.0.0.1", "0.0.0.0:80", "10.0.2.2"}, {own, "0.0.0.0:80", own}, {"::1", "[::]:80", "fd00::2"},
		{"::1", "0.0.0.0:80", "10.0.2.2"}, // a program without IPv6
		{"127.0.0.1", "[fd00::100]:80", "fd00::2"},
	} {
		l, at := listener(t, "tcp", c.host, 80)
		published(t, config.Default(), l, "answer", c.inside)
		conn := dialSoon(t, "tcp", at)
		// Half closed, and then the answer: who we are, seen from inside.
		fmt.Fprint(conn, "who\n")
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Error(err)
		}
		text, err := io.ReadAll(conn)
		want := c.from
		if c.from == own { // the port is kept too
			want = conn.LocalAddr().String()
		}
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s, inside %s: %q, %v, want %s", at, c.inside, text, err, want)
		}
		conn.Close()
	}
}

// A refusal inside, and a reset, are resets here.
func TestPublishedReset(t *testing.T) {
	l, at := listener(t, "tcp", "127.0.0.1", 81)
	published(t, config.Default(), l, "answer", "0.0.0.0:80")
	conn, err := net.Dial("tcp", at)
	if err == nil {
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) { // by the dial too, when it is late
		t.Errorf("refused inside: %v", err)
	}
	l, at = listener(t, "tcp", "127.0.0.1", 80)
	published(t, config.Default(), l, "answer", "0.0.0.0:80")
	conn = dialSoon(t, "tcp", at)
	fmt.Fprint(conn, "reset\n")
	if _, err := io.ReadAll(conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("reset inside: %v", err)
	}
}

func TestPublishedUDP(t *testing.T) {
	own := hostAddress(t)
	for _, c := range []struct{ host, inside, from string }{
		{"127.0.0.1", "0.0.0.0:80", "10.0.2.2"}, {own, "0.0.0.0:80", own}, {"::1", "[::]:80", "fd00::2"}, {"::1", "0.0.0.0:80", "10.0.2.2"}, {"::", "[::]:80", "fd00::2"},
	} {
		l, at := listener(t, "udp", c.host, 80)
		published(t, config.Default(), l, "answerudp", c.inside)
		conn := dialSoon(t, "udp", at)
		got, err := ask1(conn, []byte("who\n"))
		if err != nil || !strings.Contains(string(got), c.from) {
			t.Errorf("%s, inside %s: %q, %v, want %s", at, c.inside, got, err, c.from)
		}
		big := strings.Repeat("x", 40000)
		if got, err := ask1(conn, []byte(big)); err != nil || len(got) != len(big)+1 {
			t.Errorf("%s: %d bytes, %v", at, len(got), err)
		}
		conn.Close()
	}
}

// TestEthernet: a device with an address carries the same, whole and cut.
func TestEthernet(t *testing.T) {
	want, _ := digest(pattern(large))
	for _, mtu := range []int{1500, 65520} {
		for _, f := range families {
			cfg := toHost()
			cfg.MTU, cfg.MAC = mtu, [6]byte{2, 1, 2, 3, 4, 5}
			address := listen(t, f.host, f.gateway, func(c *net.TCPConn) { _, _ = io.Copy(c, pattern(large)) })
			if got := play(t, cfg, "fetch", address); got != want+"\n" {
				t.Errorf("%s, mtu %d: the container got %s, sent was %s", f.name, mtu, got, want)
			}
			got := make(chan string, 1)
			address = listen(t, f.host, f.gateway, func(c *net.TCPConn) {
				sum, err := digest(c)
				got <- fmt.Sprint(sum, err)
			})
			play(t, cfg, "send", address, fmt.Sprint(large))
			if sum := <-got; sum != fmt.Sprint(want, nil) {
				t.Errorf("%s, mtu %d: the host got %s, sent was %s", f.name, mtu, sum, want)
			}
			play(t, cfg, "ping", f.gateway)
		}
	}
}

// TestLastWords: what a container said before its end arrives, whenever the end
// is.
func TestLastWords(t *testing.T) {
	for range 20 {
		got := make(chan string, 1)
		address := listen(t, "127.0.0.1", "10.0.2.2", func(c *net.TCPConn) {
			sum, err := digest(c)
			got <- fmt.Sprint(sum, err)
		})
		c := start(t, toHost(), "send", address, "300000")
		c.wait(t)
		c.Close()
		want, _ := digest(pattern(300000))
		if sum := <-got; sum != fmt.Sprint(want, nil) {
			t.Fatalf("the host got %s, sent was %s", sum, want)
		}
	}
}
