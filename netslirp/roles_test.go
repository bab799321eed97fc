package netslirp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"gvisor.dev/gvisor/pkg/tcpip/header"

	"containers/rl/netslirp/config"
)

// pattern is a stream whose every place differs from its neighbours.
func pattern(size int) io.Reader {
	block := make([]byte, 1<<16)
	for i := range block {
		block[i] = byte(i ^ i>>7)
	}
	return io.LimitReader(&cycle{block: block}, int64(size))
}

type cycle struct {
	block []byte
	at    int
}

func (c *cycle) Read(b []byte) (int, error) {
	n := copy(b, c.block[c.at:])
	c.at = (c.at + n) % (len(c.block) - 1) // no power of two
	return n, nil
}

func digest(r io.Reader) (string, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return fmt.Sprintf("%d %x", n, h.Sum(nil)), err
}

func dial(address string) (*net.TCPConn, error) {
	conn, err := net.DialTimeout("tcp", address, 20*time.Second)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), conn.SetDeadline(time.Now().Add(50 * time.Second))
}

// sendRole ADDRESS SIZE
func sendRole(args []string) error {
	size, _ := strconv.Atoi(args[1])
	conn, err := dial(args[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = io.Copy(conn, pattern(size))
	return err
}

// fetchRole ADDRESS prints the digest of what comes.
func fetchRole(args []string) error {
	conn, err := dial(args[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	sum, err := digest(conn)
	fmt.Println(sum)
	return err
}

// halfRole ADDRESS sends, ends its side, and reads the answer after it.
func halfRole(args []string) error {
	conn, err := dial(args[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("question")); err != nil {
		return err
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	fmt.Printf("%s", answer)
	return err
}

// refusedRole ADDRESS... demands a quick refusal of every one.
func refusedRole(args []string) error {
	for _, address := range args {
		conn, err := net.DialTimeout("tcp", address, 5*time.Second)
		if err == nil {
			conn.Close()
			return fmt.Errorf("%s: connected", address)
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return fmt.Errorf("%s: %w", address, err)
		}
	}
	return nil
}

// resetRole ADDRESS demands that the server's reset arrives as one.
func resetRole(args []string) error {
	conn, err := dial(args[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("x")); err != nil {
		return err
	}
	if _, err = io.ReadAll(conn); !errors.Is(err, syscall.ECONNRESET) {
		return fmt.Errorf("no reset: %v", err)
	}
	return nil
}

// slowRole ADDRESS reads nothing for a second, then all.
func slowRole(args []string) error {
	conn, err := dial(args[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	time.Sleep(time.Second)
	sum, err := digest(conn)
	fmt.Println(sum)
	return err
}

// lateRole ADDRESS ends its side at once, and reads three seconds later.
func lateRole(args []string) error {
	conn, err := dial(args[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetReadBuffer(128 << 10); err != nil {
		return err
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	time.Sleep(3 * time.Second)
	sum, err := digest(conn)
	fmt.Println(sum)
	return err
}

// manyRole ADDRESS COUNT makes connections eight at a time.
func manyRole(args []string) error {
	count, _ := strconv.Atoi(args[1])
	var all sync.WaitGroup
	failures := make(chan error, 8)
	for range 8 {
		all.Go(func() {
			for range count / 8 {
				if err := echoOnce(args[0]); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(failures)
	return <-failures
}

func echoOnce(address string) error {
	conn, err := dial(address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("hello")); err != nil {
		return err
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(conn, got); err != nil {
		return err
	}
	if string(got) != "hello" {
		return fmt.Errorf("got %q", got)
	}
	return nil
}

// datagramRole ADDRESS... demands every datagram back, of several sizes.
func datagramRole(args []string) error {
	for _, address := range args {
		conn, err := net.Dial("udp", address)
		if err != nil {
			return err
		}
		for _, size := range []int{1, 512, 1473, 9000, 40000} {
			want := bytes.Repeat([]byte{byte(size)}, size)
			if got, err := ask1(conn, want); err != nil || !bytes.Equal(got, want) {
				return fmt.Errorf("%s: %d bytes became %d: %v", address, size, len(got), err)
			}
		}
		conn.Close()
	}
	return nil
}

func ask1(conn net.Conn, message []byte) ([]byte, error) {
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write(message); err != nil {
		return nil, err
	}
	buf := make([]byte, 65536)
	n, err := conn.Read(buf)
	return buf[:n], err
}

// dnsRole ADDRESS prints the answer to a query.
func dnsRole(args []string) error {
	conn, err := net.Dial("udp", args[0])
	if err != nil {
		return err
	}
	answer, err := ask1(conn, []byte("idquestion"))
	fmt.Printf("%s", answer)
	return err
}

func dnsTCPRole(args []string) error { return halfRole(args) }

// pingRole ADDRESS by a ping socket, or a raw one, which root of the
// namespace may have.
func pingRole(args []string) error {
	ip := net.ParseIP(args[0])
	family, protocol, kind := "ip4:icmp", unix.IPPROTO_ICMP, byte(header.ICMPv4Echo)
	if ip.To4() == nil {
		family, protocol, kind = "ip6:ipv6-icmp", unix.IPPROTO_ICMPV6, byte(header.ICMPv6EchoRequest)
	}
	conn, err := net.Dial(family, args[0])
	if err != nil {
		return fmt.Errorf("protocol %d: %w", protocol, err)
	}
	defer conn.Close()
	message := append([]byte{kind, 0, 0, 0, 1, 2, 0, 1}, "payload"...)
	if kind == byte(header.ICMPv4Echo) { // the kernel sums up ICMPv6 only
		sum := internetSum(message)
		message[2], message[3] = byte(sum>>8), byte(sum)
	}
	got, err := ask1(conn, message)
	if err != nil {
		return err
	}
	if !bytes.HasSuffix(got, message[4:]) {
		return fmt.Errorf("answer %x to %x", got, message)
	}
	return nil
}

func internetSum(b []byte) uint16 {
	var sum uint32
	for i, c := range b {
		sum += uint32(c) << (8 * (1 - uint(i)%2))
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// ownRole prints the routes by which the container knows its IPv6 address.
func ownRole([]string) error {
	text, err := os.ReadFile("/proc/self/net/ipv6_route")
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, hex.EncodeToString(config.Address6[:])+" 80 ") {
			fmt.Print(line)
		}
	}
	return err
}

// quietRole does nothing but live until its input ends.
func quietRole([]string) error {
	time.Sleep(2 * time.Second)
	return nil
}

// loadRole up|down ADDRESS SECONDS
func loadRole(args []string) error {
	conn, err := dial(args[1])
	if err != nil {
		return err
	}
	defer conn.Close()
	seconds, _ := strconv.Atoi(args[2])
	limit := time.Now().Add(time.Duration(seconds) * time.Second)
	_ = conn.SetDeadline(limit)
	buf := make([]byte, 128<<10)
	for err == nil {
		if args[0] == "up" {
			_, err = conn.Write(buf)
		} else {
			_, err = conn.Read(buf)
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}
