package cli

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"containers/rl/container"
	"containers/rl/netslirp/config"
	"containers/rl/storage"
)

// userNetwork is a network that containers share, as podman shows it
// (podman-network-inspect(1)); its file is the same.
type userNetwork struct {
	Name             string            `json:"name"`
	ID               string            `json:"id"`
	Driver           string            `json:"driver"`
	NetworkInterface string            `json:"network_interface"`
	Created          time.Time         `json:"created"`
	Subnets          []networkSubnet   `json:"subnets"`
	IPv6Enabled      bool              `json:"ipv6_enabled"`
	Internal         bool              `json:"internal"`
	DNSEnabled       bool              `json:"dns_enabled"`
	Labels           map[string]string `json:"labels,omitempty"`
	Options          map[string]string `json:"options,omitempty"`
	IPAMOptions      map[string]string `json:"ipam_options"`
}

type networkSubnet struct {
	Subnet     string      `json:"subnet"`
	Gateway    string      `json:"gateway"`
	LeaseRange *leaseRange `json:"lease_range,omitempty"`
}

type leaseRange struct {
	StartIP string `json:"start_ip"`
	EndIP   string `json:"end_ip"`
}

var (
	errNetworkDamaged = errors.New("it is damaged")
	errNoNetwork      = errors.New("network not found")
	errNetworkUsed    = errors.New("network is being used")
	networkName       = func(name string) bool { return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`).MatchString(name) }
)

// defaultNetwork is podman's, which is always there; docker's name is bridge.
const defaultNetwork = "podman"

func networkDefault() *userNetwork {
	return &userNetwork{Name: defaultNetwork, ID: "2f259bab93aaaaa2542ba43ef33eb990d0999ee1b9924b557b7be53c0b7a1bb9", Driver: "bridge", NetworkInterface: "podman0",
		Subnets: []networkSubnet{{Subnet: "10.88.0.0/16", Gateway: "10.88.0.1"}}, IPAMOptions: map[string]string{"driver": "host-local"}}
}

func networksDir(d storage.Dirs) string { return path.Join(d.Data, "networks") }

// networkList gives all that can be read by name, and an error for the others.
func networkList(d storage.Dirs) (list []*userNetwork, err error) {
	entries, err := os.ReadDir(networksDir(d))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listing networks: %w", err)
	}
	list = append(list, networkDefault())
	var failed []error
	for _, e := range entries {
		n, err := readNetwork(d, e.Name())
		if errors.Is(err, os.ErrNotExist) || !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		list = append(list, n)
	}
	slices.SortFunc(list, func(a, b *userNetwork) int { return strings.Compare(a.Name, b.Name) })
	return list, errors.Join(failed...)
}

func readNetwork(d storage.Dirs, file string) (*userNetwork, error) {
	n := &userNetwork{}
	text, err := os.ReadFile(path.Join(networksDir(d), file))
	if errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err == nil {
		err = json.Unmarshal(text, n)
	}
	if err == nil && len(n.ID) < 12 {
		err = errors.New("it has no id")
	}
	if err != nil {
		return nil, fmt.Errorf("reading network %s: %w: %w: rl network rm %[1]s removes it", strings.TrimSuffix(file, ".json"), errNetworkDamaged, err)
	}
	return n, nil
}

// networkFind finds one by name, id, or beginning of id.
func networkFind(d storage.Dirs, ref string) (*userNetwork, error) {
	list, unread := networkList(d)
	if ref == "bridge" || ref == "default" {
		ref = defaultNetwork
	}
	var found []*userNetwork
	for _, n := range list {
		if n.Name == ref || n.ID == ref {
			return n, nil
		}
		if ref != "" && strings.HasPrefix(n.ID, ref) {
			found = append(found, n)
		}
	}
	switch len(found) {
	case 0:
		return nil, errors.Join(fmt.Errorf("unable to find network with name or ID %s: %w", ref, errNoNetwork), unread)
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("more than one result for network ID %s", ref)
}

// networkWanted are the flags of network create.
type networkWanted struct {
	name, driver, ipam           string
	subnets, gateways, ranges    []string
	labels, options              []string
	noDNS, internal, six, ignore bool
}

// create writes the file of a new network.
func (w *networkWanted) create(d storage.Dirs) (*userNetwork, error) {
	list, err := networkList(d)
	if err != nil {
		return nil, err
	}
	taken := func(name string) bool {
		return slices.ContainsFunc(list, func(n *userNetwork) bool { return n.Name == name })
	}
	if w.name == "" {
		for n := 1; w.name == "" || taken(w.name); n++ {
			w.name = fmt.Sprintf("podman%d", n)
		}
	}
	if !networkName(w.name) {
		return nil, fmt.Errorf("network name %s invalid: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument", w.name)
	}
	if slices.Contains([]string{"bridge", "host", "none", "default", "private", "slirp", "slirp4netns", "pasta", "container", "ns"}, w.name) {
		return nil, fmt.Errorf("network name %s is a mode of networks, and cannot be a name", w.name)
	}
	if taken(w.name) {
		return nil, fmt.Errorf("network name %s already used: network already exists", w.name)
	}
	n := &userNetwork{Name: w.name, Driver: "bridge", NetworkInterface: fmt.Sprintf("podman%d", len(list)), Created: time.Now(), Internal: w.internal,
		DNSEnabled: !w.noDNS, IPAMOptions: map[string]string{"driver": "host-local"}}
	if n.Subnets, err = w.subnet(list); err != nil {
		return nil, err
	}
	if n.Labels, err = pairList("--label", w.labels); err == nil {
		n.Options, err = w.checkOptions()
	}
	if err != nil {
		return nil, err
	}
	id := make([]byte, 32)
	_, _ = rand.Read(id)
	n.ID = hex.EncodeToString(id)
	return n, n.write(d)
}

func (w *networkWanted) checkOptions() (map[string]string, error) {
	options, err := pairList("--opt", w.options)
	for key, value := range options {
		switch key {
		case "mtu", "com.docker.network.driver.mtu":
			_, err = parseMTU(value)
		case "isolate": // networks do not reach each other as it is
		default:
			err = fmt.Errorf("unsupported bridge network option %s", key)
		}
		if err != nil {
			return nil, err
		}
	}
	return options, err
}

func pairList(flag string, texts []string) (map[string]string, error) {
	var all map[string]string
	for _, text := range texts {
		name, value, _ := strings.Cut(text, "=")
		if name == "" {
			return nil, fmt.Errorf("%s %s: NAME=VALUE", flag, text)
		}
		if all == nil {
			all = map[string]string{}
		}
		all[name] = value
	}
	return all, nil
}

func (n *userNetwork) write(d storage.Dirs) error {
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(networksDir(d), 0o700); err != nil {
		return fmt.Errorf("making network %s: %w", n.Name, err)
	}
	file, err := os.OpenFile(path.Join(networksDir(d), n.Name+".json"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("network name %s already used: network already exists", n.Name)
	}
	if err != nil {
		return fmt.Errorf("making network %s: %w", n.Name, err)
	}
	if _, err = file.Write(append(text, '\n')); err == nil {
		err = file.Sync() // or a power cut leaves an empty one
	}
	return errors.Join(err, file.Close())
}

// subnet is what was asked for, or the first of podman's pool that nobody has.
func (w *networkWanted) subnet(list []*userNetwork) ([]networkSubnet, error) {
	if len(w.subnets) > 1 || w.six {
		return nil, errors.New("a network has one IPv4 subnet: more, and IPv6, are not supported")
	}
	var used []netip.Prefix
	for _, n := range list {
		for _, s := range n.Subnets {
			if p, err := netip.ParsePrefix(s.Subnet); err == nil {
				used = append(used, p)
			}
		}
	}
	overlaps := func(p netip.Prefix) bool { return slices.ContainsFunc(used, p.Overlaps) }
	if len(w.subnets) == 1 {
		p, err := netip.ParsePrefix(w.subnets[0])
		if err != nil || !p.Addr().Is4() || p.Bits() > 30 || p.Bits() < 8 {
			return nil, fmt.Errorf("--subnet %s: not an IPv4 network of 8 to 30 bits", w.subnets[0])
		}
		if p = p.Masked(); overlaps(p) {
			return nil, fmt.Errorf("subnet %s is already used on the host or by another config", p)
		}
		return w.place(p)
	}
	if len(w.gateways)+len(w.ranges) > 0 {
		return nil, errors.New("--gateway and --ip-range need a --subnet: invalid argument")
	}
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			used = append(used, p.Masked())
		}
	}
	for second := 89; second < 256; second++ {
		for third := range 256 {
			if p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(second), byte(third), 0}), 24); !overlaps(p) {
				return w.place(p)
			}
		}
	}
	return nil, errors.New("could not find free subnet from subnet pools")
}

// place adds the gateway and the range, which lie in the subnet.
func (w *networkWanted) place(p netip.Prefix) ([]networkSubnet, error) {
	s := networkSubnet{Subnet: p.String(), Gateway: p.Addr().Next().String()}
	if len(w.gateways) > 1 || len(w.ranges) > 1 {
		return nil, errors.New("--gateway and --ip-range: one for each --subnet")
	}
	if len(w.gateways) == 1 {
		a, err := netip.ParseAddr(w.gateways[0])
		if err != nil || !p.Contains(a) || a == p.Addr() || a == lastOf(p) {
			return nil, fmt.Errorf("gateway %s not in subnet %s", w.gateways[0], p)
		}
		s.Gateway = a.String()
	}
	if len(w.ranges) == 1 {
		r, err := netip.ParsePrefix(w.ranges[0])
		if err != nil || !p.Contains(r.Addr()) || r.Bits() < p.Bits() {
			return nil, fmt.Errorf("ip range %s not in subnet %s", w.ranges[0], p)
		}
		first, last := r.Masked().Addr(), lastOf(r)
		if first == p.Addr() {
			first = first.Next()
		}
		if last == lastOf(p) {
			last = last.Prev()
		}
		s.LeaseRange = &leaseRange{first.String(), last.String()}
	}
	return []networkSubnet{s}, nil
}

// lastOf is the broadcast address.
func lastOf(p netip.Prefix) netip.Addr {
	a := p.Masked().Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		a[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(a)
}

// attachNetwork is a place in a network for a new container; ip may be "".
func attachNetwork(ref, ip string, aliases []string) (*container.Attachment, error) {
	dirs, err := storage.Locate(os.Getenv, os.Getuid())
	if err != nil {
		return nil, err
	}
	n, err := networkFind(dirs, ref)
	if err != nil {
		return nil, err
	}
	if len(n.Subnets) == 0 {
		return nil, fmt.Errorf("network %s has no subnet", n.Name)
	}
	p, err1 := netip.ParsePrefix(n.Subnets[0].Subnet)
	gateway, err2 := netip.ParseAddr(n.Subnets[0].Gateway)
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("reading network %s: %w", n.Name, err)
	}
	a := &container.Attachment{Network: n.Name, ID: n.ID[:12], Base: p.Addr().As4(), Bits: p.Bits(), Gateway: gateway.As4(), First: p.Addr().Next().As4(), Last: lastOf(p).Prev().As4(),
		Names: n.DNSEnabled, Internal: n.Internal, Aliases: aliases}
	if r := n.Subnets[0].LeaseRange; r != nil {
		first, err1 := netip.ParseAddr(r.StartIP)
		last, err2 := netip.ParseAddr(r.EndIP)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("reading network %s: %w", n.Name, err)
		}
		a.First, a.Last = first.As4(), last.As4()
	}
	a.MTU, _ = parseMTU(cmp.Or(n.Options["mtu"], n.Options["com.docker.network.driver.mtu"]))
	if ip != "" {
		static, err := netip.ParseAddr(ip)
		if err != nil || !static.Is4() {
			return nil, fmt.Errorf("--ip %s: not an IPv4 address", ip)
		}
		if !p.Contains(static) || static == gateway || static == p.Addr() || static == lastOf(p) {
			return nil, fmt.Errorf("requested static ip %s not in any subnet on network %s", ip, n.Name)
		}
		a.IP = static.As4()
	}
	return a, nil
}

// parseMTU: IPv4's least, and ours at most.
func parseMTU(text string) (int, error) {
	var mtu int
	if n, err := fmt.Sscanf(text, "%d", &mtu); n != 1 || err != nil || mtu < 576 || mtu > config.MaxMTU {
		return 0, fmt.Errorf("mtu %q: a number from 576 to %d", text, config.MaxMTU)
	}
	return mtu, nil
}

// members are the containers that have a place in a network.
func members(list []*container.Info, n *userNetwork) (all []*container.Info) {
	for _, i := range list {
		if a := i.Options.Attached(); a != nil && (n.ID == "" && a.Network == n.Name || n.ID != "" && a.ID == n.ID[:12]) {
			all = append(all, i)
		}
	}
	return all
}
