package harness

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// client [udp] HOST PORTFILE TEXT sends a line to a port of the host, and prints what is answered until the other side ends, or for udp the first
// datagram. The program behind the port may be starting, so it tries again for a while. With ! the connection must be refused. HOST outer is the
// address that echoer gives.
func client(ts *testscript.TestScript, neg bool, args []string) {
	protocol := "tcp"
	if len(args) == 4 && args[0] == "udp" {
		protocol, args = args[0], args[1:]
	}
	if len(args) != 3 {
		ts.Fatalf("usage: [!] client [udp] HOST PORTFILE TEXT")
	}
	if args[0] == "outer" {
		args[0] = outerAddress()
	}
	address := net.JoinHostPort(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
	var answer []byte
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if answer, err = converse(protocol, address, args[2]); len(answer) > 0 || neg {
			break
		}
	}
	if neg != (err != nil && len(answer) == 0) {
		ts.Fatalf("%s %s: %q, %v", protocol, address, answer, err)
	}
	fmt.Fprintf(ts.Stdout(), "%s", answer)
}

func converse(protocol, address, text string) ([]byte, error) {
	conn, err := net.DialTimeout(protocol, address, 5*time.Second)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintln(conn, text); err != nil {
		return nil, err
	}
	if stream, ok := conn.(*net.TCPConn); ok {
		_ = stream.CloseWrite()
		return io.ReadAll(conn)
	}
	_ = conn.SetDeadline(time.Now().Add(300 * time.Millisecond))
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	return buf[:n], err
}

// lowPorts says whether ports are kept from users without privilege (ip-sysctl, ip_unprivileged_port_start).
func lowPorts() bool {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	var first int
	_, _ = fmt.Sscan(string(text), &first)
	return err == nil && first > 79
}
