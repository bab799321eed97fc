package netslirp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// told gives what is sent to when the container is silent.
func (c *container) told() <-chan struct{} {
	quiet := make(chan struct{}, 1)
	c.WhenQuiet(0, func() {
		select {
		case quiet <- struct{}{}:
		default:
		}
	})
	return quiet
}

func awaitQuiet(t *testing.T, quiet <-chan struct{}) {
	t.Helper()
	select {
	case <-quiet:
	case <-time.After(20 * time.Second):
		t.Fatal("no silence was told")
	}
}

// exchange demands the mark for a line.
func exchange(t *testing.T, conn net.Conn, line string) {
	t.Helper()
	got := make([]byte, 2)
	fmt.Fprintln(conn, line)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "!\n" {
		t.Fatalf("%s: %q, %v", line, got, err)
	}
}

func dialPort(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

// A server that is withdrawn does nothing, and one that goes on with what it had
// does all that it did.
func TestWithdraw(t *testing.T) {
	out := listen(t, "127.0.0.1", "10.0.2.2", func(c *net.TCPConn) { _, _ = io.Copy(c, c) })
	l, address := listener(t, "tcp", "127.0.0.1", 80)
	c := published(t, toHost(), l, "answer", "0.0.0.0:80")
	conn := dialSoon(t, "tcp", address)
	quiet := c.told()
	exchange(t, conn, "ask "+out)
	awaitQuiet(t, quiet)
	if _, _, _, err := c.Withdraw(); !errors.Is(err, ErrBusy) {
		t.Fatalf("with a connection: %v, not ErrBusy", err)
	}
	exchange(t, conn, "ask "+out)
	conn.Close()
	awaitQuiet(t, quiet)
	tun, ports, _, err := c.Withdraw()
	if err != nil {
		t.Fatal(err)
	}
	conn = dialPort(t, address)
	defer conn.Close()
	fmt.Fprintln(conn, "ask "+out)
	_ = conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, err := conn.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("withdrawn: %d bytes, %v", n, err)
	}
	next, err := Serve(tun, toHost(), nil, ports...)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(conn, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	exchange(t, conn, "ask "+out)
}

// GoOn undoes it.
func TestWithdrawGoOn(t *testing.T) {
	out := listen(t, "127.0.0.1", "10.0.2.2", func(c *net.TCPConn) { _, _ = io.Copy(c, c) })
	l, address := listener(t, "tcp", "127.0.0.1", 80)
	c := published(t, toHost(), l, "answer", "0.0.0.0:80")
	dialSoon(t, "tcp", address).Close()
	quiet := c.told()
	for range 2 {
		awaitQuiet(t, quiet)
		if _, _, _, err := c.Withdraw(); err != nil {
			t.Fatal(err)
		}
		c.GoOn()
		conn := dialPort(t, address)
		exchange(t, conn, "ask "+out)
		conn.Close()
	}
}

// A connection that has ended on both sides may still have something to bring.
func TestWithdrawUnread(t *testing.T) {
	want, _ := digest(pattern(unread))
	address := listen(t, "127.0.0.1", "10.0.2.2", func(c *net.TCPConn) {
		_, _ = io.Copy(io.Discard, c)
		_, _ = io.Copy(c, pattern(unread))
	})
	c := start(t, toHost(), "late", address)
	quiet := c.told()
	awaitQuiet(t, quiet)
	for end := time.Now().Add(10 * time.Second); c.active.count.Load() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the flow has not ended")
		}
	}
	c.quiet.told.Store(c.quiet.packets.Load()) // the flow's end may have come with packets
	if _, _, _, err := c.Withdraw(); !errors.Is(err, ErrBusy) {
		t.Errorf("with something unread: %v, not ErrBusy", err)
	}
	if got := c.wait(t); got != want+"\n" {
		t.Errorf("read %s, sent was %s", got, want)
	}
}

// unread fits into the stack's buffer, and not into a socket's of the container.
const unread = 1 << 19
