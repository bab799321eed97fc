package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/netslirp/config"
	"containers/rl/storage"
)

// exposedPorts are those that an image's configuration names, in order.
func exposedPorts(img *storage.Image) (list []string) {
	if img == nil || !bytes.Contains(img.Config, []byte(`"ExposedPorts"`)) {
		return nil
	}
	var image struct {
		Config struct{ ExposedPorts map[string]struct{} }
	}
	if json.Unmarshal(img.Config, &image) != nil {
		return nil
	}
	for name := range image.Config.ExposedPorts {
		if !strings.Contains(name, "/") {
			name += "/tcp"
		}
		list = append(list, name)
	}
	slices.SortFunc(list, comparePorts)
	return list
}

// comparePorts is by number, then by protocol, of PORT/PROTOCOL.
func comparePorts(a, b string) int {
	portA, protocolA, _ := strings.Cut(a, "/")
	portB, protocolB, _ := strings.Cut(b, "/")
	numberA, _ := strconv.Atoi(portA)
	numberB, _ := strconv.Atoi(portB)
	return cmp.Or(cmp.Compare(numberA, numberB), strings.Compare(protocolA, protocolB))
}

// portName is PORT/PROTOCOL.
func portName(p config.Port) string { return strconv.Itoa(int(p.Port)) + "/" + p.Protocol }

// hostAddress: nothing is all addresses, which docker and podman write so.
func hostAddress(p config.Port) string {
	switch {
	case p.Host == "":
		return "0.0.0.0"
	case strings.Contains(p.Host, ":"):
		return "[" + p.Host + "]"
	}
	return p.Host
}

// sortedPorts are a container's published ports by their numbers inside.
func sortedPorts(i *container.Info) []config.Port {
	list := i.Options.Ports
	if len(list) < 2 {
		return list
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b config.Port) int {
		return cmp.Or(comparePorts(portName(a), portName(b)), strings.Compare(a.Host, b.Host), cmp.Compare(a.HostPort, b.HostPort))
	})
	return list
}

// exposer knows the ports that images expose; it looks at each image once.
type exposer map[string][]string

// of are the exposed ports of a container and of its image, in order.
func (e exposer) of(i *container.Info) []string {
	list, known := e[i.ImageID]
	if !known && i.ImageID != "" {
		if dirs, err := start.Directories(); err == nil {
			if img, err := dirs.Lookup(i.ImageID); err == nil {
				list = exposedPorts(img)
				img.Close()
			}
		}
		if e != nil {
			e[i.ImageID] = list
		}
	}
	if len(list) == 0 && len(i.Options.Exposed) == 0 {
		return nil
	}
	list = append(slices.Clone(list), i.Options.Exposed...)
	slices.SortFunc(list, comparePorts)
	return slices.Compact(list)
}

// portsText is the column of ps: 0.0.0.0:8080->80/tcp, 9000-9002/udp.
func portsText(i *container.Info, exposed []string) string {
	if len(i.Options.Ports) == 0 && len(exposed) == 0 {
		return ""
	}
	var texts []string
	for _, g := range portGroups(sortedPorts(i)) {
		texts = append(texts, hostAddress(g.Port)+":"+span(g.HostPort, g.size)+"->"+span(g.Port.Port, g.size)+"/"+g.Protocol)
	}
	var bare []config.Port
	for _, name := range exposed {
		if !slices.ContainsFunc(i.Options.Ports, func(p config.Port) bool { return portName(p) == name }) {
			number, protocol, _ := strings.Cut(name, "/")
			port, _ := strconv.Atoi(number)
			bare = append(bare, config.Port{Port: uint16(port), HostPort: uint16(port), Protocol: protocol})
		}
	}
	for _, g := range portGroups(bare) {
		texts = append(texts, span(g.Port.Port, g.size)+"/"+g.Protocol)
	}
	return strings.Join(texts, ", ")
}

// portGroup are ports in a row.
type portGroup struct {
	config.Port
	size int
}

func portGroups(list []config.Port) (groups []portGroup) {
next:
	for _, p := range list {
		for n := range groups {
			g := &groups[n]
			if g.Protocol == p.Protocol && g.Host == p.Host && int(p.Port)-int(g.Port.Port) == g.size && int(p.HostPort)-int(g.HostPort) == g.size {
				g.size++
				continue next
			}
		}
		groups = append(groups, portGroup{p, 1})
	}
	return groups
}

func span(first uint16, size int) string {
	if size == 1 {
		return strconv.Itoa(int(first))
	}
	return fmt.Sprintf("%d-%d", first, int(first)+size-1)
}

// portJSON is a row of ps's Ports (podman-ps(1), --format json).
type portJSON struct {
	HostIP        string `json:"host_ip"`
	ContainerPort uint16 `json:"container_port"`
	HostPort      uint16 `json:"host_port"`
	Range         int    `json:"range"`
	Protocol      string `json:"protocol"`
}

func portsJSON(i *container.Info) (list []portJSON) {
	for _, g := range portGroups(sortedPorts(i)) {
		list = append(list, portJSON{g.Host, g.Port.Port, g.HostPort, g.size, g.Protocol})
	}
	return list
}

// portBinding is a place of the host in docker's and podman's inspect.
type portBinding struct{ HostIp, HostPort string }

// portBindings of HostConfig say what was asked for, those of NetworkSettings
// what is there, and with it what is exposed alone.
func portBindings(i *container.Info, exposed []string, settled bool) map[string][]portBinding {
	all := map[string][]portBinding{}
	for _, p := range sortedPorts(i) {
		host := p.Host
		if host == "" && settled {
			host = "0.0.0.0"
		}
		all[portName(p)] = append(all[portName(p)], portBinding{host, strconv.Itoa(int(p.HostPort))})
	}
	for _, name := range exposed {
		if all[name] == nil {
			all[name] = nil
		}
	}
	return all
}

// portFilter is docker's for publish and expose: PORT[/PROTOCOL], or a range.
// publish takes the port on either side.
func portFilter(key, value string) (func(*container.Info) bool, error) {
	wanted := map[string]bool{}
	ports, protocol, found := strings.Cut(value, "/")
	if !found {
		protocol = "tcp"
	}
	from, to, ranged := strings.Cut(ports, "-")
	if !ranged {
		to = from
	}
	first, err1 := strconv.ParseUint(from, 10, 16)
	last, err2 := strconv.ParseUint(to, 10, 16)
	if err1 != nil || err2 != nil || last < first {
		return nil, fmt.Errorf("--filter %s=%s: PORT[/PROTOCOL] or FIRST-LAST[/PROTOCOL]", key, value)
	}
	for n := first; n <= last; n++ {
		wanted[fmt.Sprintf("%d/%s", n, protocol)] = true
	}
	images := exposer{}
	return func(i *container.Info) bool {
		if key == "expose" {
			return slices.ContainsFunc(images.of(i), func(name string) bool { return wanted[name] })
		}
		return slices.ContainsFunc(i.Options.Ports, func(p config.Port) bool {
			return wanted[portName(p)] || wanted[fmt.Sprintf("%d/%s", p.HostPort, p.Protocol)]
		})
	}, nil
}

// portFlags is the command port (podman-port(1)).
func portFlags(f *flags.Set) func(Streams, []string) error {
	all := f.BoolP("all", "a", false, "show the ports of all containers that run")
	latest := latestFlag(f)
	return func(s Streams, args []string) error {
		bad := func(text string) error { return usageError{Text: text, Command: "port"} }
		if *all && (len(args) > 0 || *latest) {
			return bad("--all takes neither a container nor a port, nor --latest")
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		if *all {
			return allPorts(s.Out, host)
		}
		if args, err = withLatest(host, *latest, args); err != nil {
			return err
		}
		if len(args) == 0 || len(args) > 2 {
			return bad("you must supply a running container name or id, and at most one port")
		}
		info, err := container.Find(host.Dirs, args[0])
		if err != nil {
			return err
		}
		if len(args) == 1 {
			return printPorts(s.Out, info)
		}
		return printPort(s.Out, info, args[1])
	}
}

func allPorts(w io.Writer, host container.Host) error {
	list, err := oldestFirst(host)
	for _, i := range list {
		if i.Running() && len(i.Options.Ports) > 0 {
			fmt.Fprintln(w, i.ID)
			err = errors.Join(err, printPorts(w, i))
		}
	}
	return err
}

// printPorts: of a container that does not run nothing is open.
func printPorts(w io.Writer, i *container.Info) error {
	if !i.Running() {
		return nil
	}
	for _, p := range sortedPorts(i) {
		if _, err := fmt.Fprintf(w, "%s -> %s:%d\n", portName(p), hostAddress(p), p.HostPort); err != nil {
			return err
		}
	}
	return nil
}

func printPort(w io.Writer, i *container.Info, asked string) error {
	port, protocol, found := strings.Cut(asked, "/")
	if !found {
		protocol = "tcp"
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil || protocol == "" {
		return usageError{Text: fmt.Sprintf("port %s: PORT[/PROTOCOL]", asked), Command: "port"}
	}
	some := false
	for _, p := range sortedPorts(i) {
		if i.Running() && portName(p) == port+"/"+protocol {
			some = true
			fmt.Fprintf(w, "%s:%d\n", hostAddress(p), p.HostPort)
		}
	}
	if !some {
		return fmt.Errorf("failed to find published port %q: No public port '%s/%s' published for %s", asked, port, protocol, i.Name())
	}
	return nil
}
