package netslirp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"containers/rl/netslirp/config"
)

const (
	dnsPort = 53 // RFC 1035
	// dnsTimeout for each name server, and dnsIdle for a flow: resolver(5)
	// waits five seconds.
	dnsTimeout = 2 * time.Second
	dnsIdle    = 15 * time.Second
	// queries at one time of one flow.
	dnsQueries = 64
)

// resolver passes queries on to the host's name servers. It reads no more of a
// message than its length: the answer is the name server's.
type resolver struct {
	fixed    []netip.AddrPort // when given by the caller
	segment  *segment         // whose names come first; nil: none
	internal bool             // nobody else is asked
	active   *activity        // has the queries that are not answered yet

	mu       sync.Mutex
	changed  time.Time
	servers  []netip.AddrPort
	resolved string // path of resolv.conf; "" is the host's, tests set another
}

// nameservers are those of the host's resolv.conf as it is now: a laptop
// changes networks under a running container.
func (r *resolver) nameservers() []netip.AddrPort {
	if r.fixed != nil {
		return r.fixed
	}
	path := r.resolved
	if path == "" {
		path = "/etc/resolv.conf"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	info, err := os.Stat(path)
	if err == nil && info.ModTime().Equal(r.changed) {
		return r.servers
	}
	r.servers = nil
	text, err := os.ReadFile(path)
	if err == nil {
		r.changed = info.ModTime()
	}
	for _, s := range config.ParseResolv(text).Servers {
		if addr, err := netip.ParseAddr(s); err == nil {
			r.servers = append(r.servers, netip.AddrPortFrom(addr, dnsPort))
		}
	}
	if len(r.servers) == 0 { // resolver(5): the local host
		r.servers = []netip.AddrPort{netip.AddrPortFrom(loopback4, dnsPort)}
	}
	return r.servers
}

// serve answers the queries of one flow.
func (r *resolver) serve(inside net.Conn) {
	defer inside.Close()
	var queries sync.WaitGroup
	defer queries.Wait()
	slots := make(chan struct{}, dnsQueries)
	buf := make([]byte, largestDatagram)
	for {
		_ = inside.SetReadDeadline(time.Now().Add(dnsIdle))
		n, err := inside.Read(buf)
		if err != nil {
			return
		}
		query := append([]byte{}, buf[:n]...)
		slots <- struct{}{}
		r.active.began()
		queries.Go(func() {
			defer func() { r.active.ended(); <-slots }()
			if reply, err := r.exchange(query); err == nil {
				_, _ = inside.Write(reply)
			}
		})
	}
}

// exchange asks one name server after the other.
func (r *resolver) exchange(query []byte) (reply []byte, err error) {
	err = errUnreachable
	if r.segment != nil && r.segment.names {
		if reply = r.segment.answer(query); reply != nil {
			return reply, nil
		}
	}
	if r.internal {
		return unknown(query)
	}
	for _, server := range r.nameservers() {
		if reply, err = ask(server, query); err == nil {
			return reply, nil
		}
	}
	return nil, err
}

func ask(server netip.AddrPort, query []byte) ([]byte, error) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(server))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(dnsTimeout))
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	buf := make([]byte, largestDatagram)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		// The id is the first two bytes; a late answer to another query of
		// this port cannot be, as the port is new, but a forged one can.
		if n >= 2 && len(query) >= 2 && buf[0] == query[0] && buf[1] == query[1] {
			return buf[:n], nil
		}
	}
}

// dialTCP connects to the first name server that takes a connection.
func (r *resolver) dialTCP() (*net.TCPConn, error) {
	if r.internal {
		return nil, errUnreachable
	}
	var failed []error
	for _, server := range r.nameservers() {
		ctx, cancel := context.WithTimeout(context.Background(), dnsTimeout)
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", server.String())
		cancel()
		if err == nil {
			return conn.(*net.TCPConn), nil
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}

// loopback4 is where a host without name servers asks (resolver(5)).
var loopback4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})

func nameservers(texts []string) (list []netip.AddrPort, err error) {
	for _, text := range texts {
		server, err := netip.ParseAddrPort(text)
		if err != nil {
			return nil, fmt.Errorf("name server %q: %w", text, err)
		}
		list = append(list, server)
	}
	return list, nil
}
