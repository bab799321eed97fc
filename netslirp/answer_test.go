package netslirp

import (
	"bufio"
	"fmt"
	"net"
	"strings"
)

// answerRole ADDRESS answers lines: "who" with the client's address, "reset"
// with a reset, all others with a mark: "ask ADDRESS" after it has asked that.
func answerRole(args []string) error {
	l, err := net.Listen(oneFamily("tcp", args[0]), args[0])
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			for lines := bufio.NewScanner(conn); lines.Scan(); {
				address, ask := strings.CutPrefix(lines.Text(), "ask ")
				switch {
				case lines.Text() == "who":
					fmt.Fprintln(conn, conn.RemoteAddr())
				case lines.Text() == "reset":
					_ = conn.(*net.TCPConn).SetLinger(0)
					return
				case ask && echoOnce(address) != nil:
					return
				default:
					fmt.Fprint(conn, "!\n")
				}
			}
		}()
	}
}

// answerUDPRole ADDRESS does the same with datagrams, and sends others back
// with a mark.
func answerUDPRole(args []string) error {
	conn, err := net.ListenPacket(oneFamily("udp", args[0]), args[0])
	if err != nil {
		return err
	}
	buf := make([]byte, 65536)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return err
		}
		reply := append([]byte("!"), buf[:n]...)
		if string(buf[:n]) == "who\n" {
			reply = []byte(from.String())
		}
		if _, err := conn.WriteTo(reply, from); err != nil {
			return err
		}
	}
}

// oneFamily: a wildcard would stand for both.
func oneFamily(protocol, address string) string {
	if address[0] == '[' {
		return protocol + "6"
	}
	return protocol + "4"
}
