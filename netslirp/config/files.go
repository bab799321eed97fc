package config

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// hostNames stand for the host in the container, as with podman and docker.
var hostNames = []string{"host.containers.internal", "host.docker.internal"}

// Hosts is the container's /etc/hosts. names are its own. extra are
// "name:address" pairs, whose address may be host-gateway, checked by
// netslirp.CheckHost; n is nil without a network of ours. base is the host's
// file where the network is the host's, and replaces what is said of the
// loopback.
func Hosts(names []string, extra []string, n *Network, base []byte) []byte {
	var b bytes.Buffer
	gateway, own := "127.0.0.1", "127.0.1.1"
	if n != nil {
		gateway, own = Text4(n.Gateway4), Text4(n.Address4)
	}
	for _, e := range extra {
		name, address, _ := strings.Cut(e, ":")
		if address = strings.TrimSuffix(strings.TrimPrefix(address, "["), "]"); address == "host-gateway" {
			address = gateway
		}
		fmt.Fprintf(&b, "%s\t%s\n", address, name)
	}
	if len(base) > 0 {
		b.Write(append(bytes.TrimRight(base, "\n"), '\n'))
	} else {
		b.WriteString("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
	}
	if n != nil || len(base) > 0 {
		fmt.Fprintf(&b, "%s\t%s\n", gateway, strings.Join(hostNames, " "))
	}
	if len(names) > 0 && names[0] != "" {
		fmt.Fprintf(&b, "%s\t%s\n", own, strings.Join(names, " "))
	}
	return b.Bytes()
}

// ResolvConf is the container's /etc/resolv.conf. host is the host's; with a
// network of ours (n is not nil) the forwarder stands for its name servers,
// unless there are others (dns), checked by netslirp.CheckDNS.
func ResolvConf(host []byte, n *Network, dns, search, options []string) []byte {
	var b bytes.Buffer
	own := ParseResolv(host)
	if len(search) == 0 {
		search = own.Search
	}
	if len(search) > 0 && !slices.Equal(search, []string{"."}) { // docker's way to say none
		fmt.Fprintf(&b, "search %s\n", strings.Join(search, " "))
	}
	servers := own.Servers
	switch {
	case len(dns) > 0:
		servers = dns
	case n != nil:
		servers = []string{Text4(n.DNS4)}
		if n.IPv6 {
			servers = append(servers, DNS6Text)
		}
	}
	for _, s := range servers {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	if len(options) == 0 {
		options = own.Options
	}
	if len(options) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(options, " "))
	}
	return b.Bytes()
}

// Resolv is what resolv.conf(5) can say that concerns us.
type Resolv struct{ Servers, Search, Options []string }

// ParseResolv reads a resolv.conf. What it does not know it passes over.
func ParseResolv(text []byte) (r Resolv) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0][0] == ';' {
			continue
		}
		switch fields[0] {
		case "nameserver":
			r.Servers = append(r.Servers, fields[1])
		case "search", "domain": // the last one counts
			r.Search = fields[1:]
		case "options":
			r.Options = append(r.Options, fields[1:]...)
		}
	}
	return r
}
