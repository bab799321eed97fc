package netslirp

import (
	"bufio"
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// hostNames stand for the host in the container, as with podman and docker.
var hostNames = []string{"host.containers.internal", "host.docker.internal"}

// Hosts is the container's /etc/hosts. extra are "name:address" pairs, whose
// address may be host-gateway; cfg is nil without a network of ours.
func Hosts(hostname string, extra []string, cfg *Config) ([]byte, error) {
	var b bytes.Buffer
	for _, e := range extra {
		name, address, err := parseHost(e, cfg)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%s\t%s\n", address, name)
	}
	b.WriteString("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n")
	if cfg != nil {
		fmt.Fprintf(&b, "%s\t%s\n", cfg.Gateway4, strings.Join(hostNames, " "))
	}
	if hostname != "" {
		own := "127.0.1.1"
		if cfg != nil {
			own = cfg.Address4.Addr().String()
		}
		fmt.Fprintf(&b, "%s\t%s\n", own, hostname)
	}
	return b.Bytes(), nil
}

func parseHost(entry string, cfg *Config) (name string, address netip.Addr, err error) {
	name, text, found := strings.Cut(entry, ":")
	if !found || name == "" || strings.ContainsAny(name, " \t\n#") {
		return "", netip.Addr{}, fmt.Errorf("host entry %q: not name:address", entry)
	}
	if text == "host-gateway" {
		if cfg == nil {
			return name, netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
		}
		return name, cfg.Gateway4, nil
	}
	text = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	if address, err = netip.ParseAddr(text); err != nil {
		return "", netip.Addr{}, fmt.Errorf("host entry %q: %w", entry, err)
	}
	return name, address, nil
}

// ResolvConf is the container's /etc/resolv.conf. host is the host's; with a
// network of ours (cfg is not nil) the forwarder stands for its name servers.
func ResolvConf(host []byte, cfg *Config, dns, search, options []string) ([]byte, error) {
	var b bytes.Buffer
	own := parseResolv(host)
	if len(search) == 0 {
		search = own.search
	}
	if len(search) > 0 && !slices.Equal(search, []string{"."}) { // docker's way to say none
		fmt.Fprintf(&b, "search %s\n", strings.Join(search, " "))
	}
	servers := own.servers
	switch {
	case len(dns) > 0:
		servers = dns
		for _, s := range dns {
			if _, err := netip.ParseAddr(s); err != nil {
				return nil, fmt.Errorf("name server %q: %w", s, err)
			}
		}
	case cfg != nil:
		servers = []string{cfg.DNS4.String()}
		if cfg.DNS6.IsValid() {
			servers = append(servers, cfg.DNS6.String())
		}
	}
	for _, s := range servers {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	if len(options) == 0 {
		options = own.options
	}
	if len(options) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(options, " "))
	}
	return b.Bytes(), nil
}

// resolv is what resolv.conf(5) can say that concerns us.
type resolv struct{ servers, search, options []string }

func parseResolv(text []byte) (r resolv) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0][0] == ';' {
			continue
		}
		switch fields[0] {
		case "nameserver":
			r.servers = append(r.servers, fields[1])
		case "search", "domain": // the last one counts
			r.search = fields[1:]
		case "options":
			r.options = append(r.options, fields[1:]...)
		}
	}
	return r
}
