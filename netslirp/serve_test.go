package netslirp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"containers/rl/netslirp/config"
)

// listen serves every connection on a loopback address of the host and gives
// the address by which the container reaches it.
func listen(t testing.TB, host, seen string, serve func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Skipf("needs %s: %v", host, err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn.(*net.TCPConn))
			}()
		}
	}()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return net.JoinHostPort(seen, port)
}

const large = 48 << 20

var families = []struct{ name, host, gateway, dns string }{
	{"IPv4", "127.0.0.1", "10.0.2.2", "10.0.2.3"}, {"IPv6", "::1", "fd00::2", "fd00::3"},
}

func TestSend(t *testing.T) {
	want, _ := digest(pattern(large))
	for _, mtu := range []int{1500, 65520} {
		for _, f := range families {
			t.Run(fmt.Sprint(f.name, mtu), func(t *testing.T) {
				got := make(chan string, 1)
				address := listen(t, f.host, f.gateway, func(c *net.TCPConn) {
					sum, err := digest(c)
					got <- fmt.Sprint(sum, err)
				})
				cfg := toHost()
				cfg.MTU = mtu
				play(t, cfg, "send", address, fmt.Sprint(large))
				if sum := <-got; sum != fmt.Sprint(want, nil) {
					t.Errorf("the host got %s, sent was %s", sum, want)
				}
			})
		}
	}
}

func TestFetch(t *testing.T) {
	want, _ := digest(pattern(large))
	for _, mtu := range []int{1500, 65520} {
		for _, f := range families {
			t.Run(fmt.Sprint(f.name, mtu), func(t *testing.T) {
				address := listen(t, f.host, f.gateway, func(c *net.TCPConn) { _, _ = io.Copy(c, pattern(large)) })
				cfg := toHost()
				cfg.MTU = mtu
				if got := play(t, cfg, "fetch", address); got != want+"\n" {
					t.Errorf("the container got %s, sent was %s", got, want)
				}
			})
		}
	}
}

func TestHalfClose(t *testing.T) {
	address := listen(t, "127.0.0.1", "10.0.2.2", func(c *net.TCPConn) {
		question, _ := io.ReadAll(c) // ends only by the container's half close
		fmt.Fprintf(c, "answer to %s", question)
	})
	if got := play(t, toHost(), "half", address); got != "answer to question" {
		t.Errorf("got %q", got)
	}
}

func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	play(t, toHost(), "refused", "10.0.2.2:"+port, "[fd00::2]:"+port)
}

func TestReset(t *testing.T) {
	address := listen(t, "127.0.0.1", "10.0.2.2", func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 1))
		_ = c.SetLinger(0)
	})
	play(t, toHost(), "reset", address)
}

// TestBackPressure: what the container does not read, the host may not send.
func TestBackPressure(t *testing.T) {
	const size = 96 << 20
	sent := make(chan time.Duration, 1)
	address := listen(t, "127.0.0.1", "10.0.2.2", func(c *net.TCPConn) {
		begin := time.Now()
		_, _ = io.Copy(c, pattern(size))
		sent <- time.Since(begin)
	})
	want, _ := digest(pattern(size))
	if got := play(t, toHost(), "slow", address); got != want+"\n" {
		t.Errorf("got %s, sent was %s", got, want)
	}
	if d := <-sent; d < 800*time.Millisecond {
		t.Errorf("all was taken within %v, though nobody read", d)
	}
}

func TestManyConnections(t *testing.T) {
	address := listen(t, "127.0.0.1", "10.0.2.2", func(c *net.TCPConn) { _, _ = io.Copy(c, c) })
	play(t, toHost(), "many", address, "400")
}

// TestLoopbackUnreachable: a server on the host's loopback is not met by any
// spelling of its address.
func TestLoopbackUnreachable(t *testing.T) {
	met := make(chan string, 8)
	address := listen(t, "127.0.0.1", "10.0.2.2", func(c *net.TCPConn) { met <- c.RemoteAddr().String() })
	_, port, _ := net.SplitHostPort(address)
	play(t, config.Default(), "refused", "10.0.2.2:"+port, "10.0.2.3:"+port, "10.0.2.77:"+port, "[fd00::2]:"+port, "[fd00::3]:"+port, "[64:ff9b::7f00:1]:"+port)
	if len(met) > 0 {
		t.Errorf("met by %s", <-met)
	}
}

func TestDatagrams(t *testing.T) {
	var addresses []string
	for _, f := range families {
		conn, err := net.ListenPacket("udp", net.JoinHostPort(f.host, "0"))
		if err != nil {
			t.Skipf("needs %s: %v", f.host, err)
		}
		defer conn.Close()
		go answer(conn, func(b []byte) []byte { return b })
		_, port, _ := net.SplitHostPort(conn.LocalAddr().String())
		addresses = append(addresses, net.JoinHostPort(f.gateway, port))
	}
	play(t, toHost(), "datagram", addresses...)
}

func answer(conn net.PacketConn, reply func([]byte) []byte) {
	buf := make([]byte, 65536)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		_, _ = conn.WriteTo(reply(buf[:n]), from)
	}
}

// listenBoth finds a port that is free for both protocols.
func listenBoth(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for try := 0; ; try++ {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", conn.LocalAddr().String())
		if err == nil {
			t.Cleanup(func() { conn.Close(); l.Close() })
			return conn, l
		}
		conn.Close()
		if try == 100 {
			t.Fatalf("no port of both protocols: %v", err)
		}
	}
}

func TestDNS(t *testing.T) {
	conn, l := listenBoth(t)
	go answer(conn, func(b []byte) []byte { return append(b, " answered"...) })
	server := netip.MustParseAddrPort(conn.LocalAddr().String())
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			question, _ := io.ReadAll(c)
			fmt.Fprintf(c, "%s by TCP", question)
			c.Close()
		}
	}()
	cfg := config.Default() // the name server is on the loopback, which stays shut
	dead := netip.MustParseAddrPort("127.0.0.1:1")
	cfg.Nameservers = []string{dead.String(), server.String()}
	for _, f := range families {
		if got := play(t, cfg, "dns", net.JoinHostPort(f.dns, "53")); got != "idquestion answered" {
			t.Errorf("%s: got %q", f.name, got)
		}
		if got := play(t, cfg, "dnstcp", net.JoinHostPort(f.dns, "53")); got != "question by TCP" {
			t.Errorf("%s: got %q by TCP", f.name, got)
		}
	}
}

// TestNameserversFollow: the host's file is read again when it has changed.
func TestNameserversFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	r := resolver{resolved: path}
	if got := fmt.Sprint(r.nameservers()); got != "[127.0.0.1:53]" {
		t.Errorf("without a file: %s", got)
	}
	for i, want := range []string{"192.0.2.1", "192.0.2.2"} {
		if err := os.WriteFile(path, []byte("nameserver "+want+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		stamp := time.Unix(int64(1000+i), 0)
		if err := os.Chtimes(path, stamp, stamp); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(r.nameservers()); got != "["+want+":53]" {
			t.Errorf("got %s, the file says %s", got, want)
		}
	}
}

func TestPing(t *testing.T) {
	for _, to := range []string{"10.0.2.2", "10.0.2.3", "fd00::2"} {
		play(t, config.Default(), "ping", to)
	}
	t.Run("through the host", func(t *testing.T) {
		if ping(netip.MustParseAddr("127.0.0.1"), append([]byte{8, 0, 0, 0, 0, 0, 0, 1}, "x"...)) == nil {
			t.Skip("needs ping sockets (net.ipv4.ping_group_range)")
		}
		own := hostAddress(t)
		play(t, config.Default(), "ping", own)
	})
}

func hostAddress(t *testing.T) string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() && !strings.HasPrefix(p.Addr().String(), "10.0.2.") {
			return p.Addr().String()
		}
	}
	t.Skip("needs an IPv4 address beside the loopback's")
	return ""
}

// TestIdle: neighbour and router discovery of a quiet container build no stack.
func TestIdle(t *testing.T) {
	c := start(t, config.Default(), "quiet")
	c.wait(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stack != nil {
		t.Error("a quiet container has a stack")
	}
}

// TestFirstPacket: a packet that was read before Serve is answered by it. The
// role is a refused connection, whose one packet would be sent again only
// after a second, longer than the role waits for it.
func TestFirstPacket(t *testing.T) {
	cfg := toHost()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	c, tun := enter(t, cfg, "refused", "10.0.2.2:"+port)
	first := firstWanted(t, tun)
	begun := time.Now()
	c.serve(t, tun, cfg, first)
	c.wait(t)
	if took := time.Since(begun); took > 900*time.Millisecond {
		t.Errorf("answered after %v: it was the second packet that was", took)
	}
}

func firstWanted(t *testing.T, tun int) []byte {
	t.Helper()
	buf := make([]byte, config.HeaderSize+largestPacket)
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		poll := []unix.PollFd{{Fd: int32(tun), Events: unix.POLLIN}}
		if _, err := unix.Poll(poll, 1000); err != nil && !errors.Is(err, unix.EINTR) {
			t.Fatal(err)
		}
		n, err := unix.Read(tun, buf)
		if err == nil && n > config.HeaderSize && config.Wanted(buf[config.HeaderSize:n]) {
			return buf[:n]
		}
	}
	t.Fatal("the container sent nothing")
	return nil
}

// TestOwn6: answers are taken from the first packet on. The kernel's own route
// (metric 0) comes a while after the address, ours (1024) with it.
func TestOwn6(t *testing.T) {
	if got := play(t, config.Default(), "own"); !strings.Contains(got, " 00000400 ") {
		t.Errorf("routes to the container's address: %q", got)
	}
}
