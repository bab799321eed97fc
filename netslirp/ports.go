package netslirp

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"containers/rl/netslirp/config"
)

// ParsePublish reads the values of --publish, of the form
// [[ADDRESS:][HOST-PORT]:]PORT[/PROTOCOL] with ranges FIRST-LAST for ports
// (podman-run(1), docker-run(1)). What is said twice counts once.
func ParsePublish(texts []string) (all []config.Port, err error) {
	for _, text := range texts {
		for one := range strings.SplitSeq(text, ",") {
			list, err := parsePublish(one)
			if err != nil {
				return nil, fmt.Errorf("--publish %s: %w", one, err)
			}
			all = append(all, list...)
		}
	}
	var kept []config.Port
	for _, p := range all {
		same := slices.IndexFunc(kept, func(k config.Port) bool {
			return p.HostPort != 0 && p.HostLast == 0 && k.HostLast == 0 && k.Protocol == p.Protocol && k.Host == p.Host && k.HostPort == p.HostPort
		})
		switch {
		case same < 0:
			kept = append(kept, p)
		case kept[same].Port != p.Port:
			return nil, fmt.Errorf("conflicting port mappings for host port %d (protocol %s)", p.HostPort, p.Protocol)
		}
	}
	return kept, nil
}

func parsePublish(text string) (list []config.Port, err error) {
	text, protocol, err := splitProtocol(text)
	if err != nil {
		return nil, err
	}
	host, hostPorts, ports, err := splitPublish(text)
	if err != nil {
		return nil, err
	}
	p := config.Port{Protocol: protocol}
	if host != "" {
		address, err := netip.ParseAddr(host)
		if err != nil {
			return nil, fmt.Errorf("cannot parse %q as an IP address", host)
		}
		p.Host, p.Address = address.String(), address.AsSlice()
	}
	first, last, err := parseRange(ports)
	if err != nil {
		return nil, fmt.Errorf("invalid containerPort: %w", err)
	}
	hostFirst, hostLast := 0, 0
	if hostPorts != "" {
		if hostFirst, hostLast, err = parseRange(hostPorts); err != nil {
			return nil, fmt.Errorf("invalid hostPort: %w", err)
		}
		if hostLast-hostFirst != last-first && first != last {
			return nil, fmt.Errorf("host and container port ranges have different lengths: %d vs %d", hostLast-hostFirst+1, last-first+1)
		}
	}
	for n := range last - first + 1 {
		p.Port = uint16(first + n)
		switch {
		case hostPorts == "":
		case first == last && hostFirst < hostLast: // one of them
			p.HostPort, p.HostLast = uint16(hostFirst), uint16(hostLast)
		default:
			p.HostPort = uint16(hostFirst + n)
		}
		list = append(list, p)
	}
	return list, nil
}

// splitPublish cuts at the colons; an IPv6 address stands in brackets.
func splitPublish(text string) (host, hostPorts, ports string, err error) {
	bracketed := strings.HasPrefix(text, "[")
	if bracketed {
		var found bool
		if host, text, found = strings.Cut(text[1:], "]:"); !found {
			return "", "", "", fmt.Errorf("no ]: behind the address")
		}
	}
	parts := strings.Split(text, ":")
	switch {
	case len(parts) == 1 && !bracketed:
		return "", "", parts[0], nil
	case len(parts) == 2:
		return host, parts[0], parts[1], nil
	case len(parts) == 3 && !bracketed:
		return parts[0], parts[1], parts[2], nil
	}
	return "", "", "", fmt.Errorf("invalid port format: [[ADDRESS:][HOST-PORT]:]PORT[/PROTOCOL], an IPv6 address in brackets")
}

func splitProtocol(text string) (rest, protocol string, err error) {
	rest, protocol, found := strings.Cut(text, "/")
	if !found {
		return text, "tcp", nil
	}
	switch protocol = strings.ToLower(protocol); protocol {
	case "tcp", "udp":
		return rest, protocol, nil
	case "sctp":
		return "", "", fmt.Errorf("sctp is not supported without root: tcp or udp")
	}
	return "", "", fmt.Errorf("invalid proto: %s: tcp or udp", protocol)
}

func parseRange(text string) (first, last int, err error) {
	from, to, ranged := strings.Cut(text, "-")
	if !ranged {
		to = from
	}
	for _, one := range []struct {
		text string
		to   *int
	}{{from, &first}, {to, &last}} {
		n, err := strconv.ParseUint(one.text, 10, 32)
		if err != nil {
			return 0, 0, fmt.Errorf("%s: not a port or range of ports", text)
		}
		if n < 1 || n > 65535 {
			return 0, 0, fmt.Errorf("%s: port numbers must be between 1 and 65535 (inclusive), got %d", text, n)
		}
		*one.to = int(n)
	}
	if last < first {
		return 0, 0, fmt.Errorf("%s: the last port of the range is below the first", text)
	}
	return first, last, nil
}

// ParseExpose reads a value of --expose, or an image's, as PORT/PROTOCOL each.
func ParseExpose(text string) (list []string, err error) {
	ports, protocol, err := splitProtocol(text)
	if err != nil {
		return nil, fmt.Errorf("--expose %s: %w", text, err)
	}
	first, last, err := parseRange(ports)
	if err != nil {
		return nil, fmt.Errorf("--expose %s: invalid port: %w", text, err)
	}
	for n := first; n <= last; n++ {
		list = append(list, fmt.Sprintf("%d/%s", n, protocol))
	}
	return list, nil
}
