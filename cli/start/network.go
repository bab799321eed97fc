package start

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"containers/rl/cli/flags"
	"containers/rl/container"
	netconfig "containers/rl/netslirp/config"
)

// network are the flags of run that concern its network, as they were typed.
type network struct {
	modes           []string // of --network, and --net, which is the same
	publish, expose []string
	mac, ip, ip6    string
	aliases         []string
	noHosts         bool
}

func (o *Run) networkFlags(f *flags.Set) {
	n := &o.network
	f.StringArrayVar(&n.modes, "network", nil, "slirp4netns[:OPTION,...]|pasta[:OPTION,...]|bridge|NETWORK[:ip=...,alias=...]|host|none|container:NAME|ns:PATH (default slirp4netns)")
	f.Alias("net", "network")
	f.StringArrayVarP(&n.publish, "publish", "p", nil, "publish a port: [[HOST-ADDRESS:][HOST-PORT]:]PORT[/udp], or a range")
	f.BoolVarP(&o.PublishAll, "publish-all", "P", false, "publish all exposed ports at free ports of the host")
	f.StringArrayVar(&n.expose, "expose", nil, "expose a port, or a range, for --publish-all")
	f.StringVar(&n.mac, "mac-address", "", "address of the network device: 02:00:00:00:00:01")
	f.StringVar(&n.ip, "ip", "", "address in the network NETWORK")
	f.StringVar(&n.ip6, "ip6", "", "not supported: an error")
	f.StringArrayVar(&n.aliases, "network-alias", nil, "another name in the network NETWORK")
	f.BoolVar(&n.noHosts, "no-hosts", false, "leave the image's /etc/hosts as it is")
	f.StringArrayVar(&o.DNS, "dns", nil, "name server, or none to leave the image's /etc/resolv.conf")
	f.StringArrayVar(&o.DNSSearch, "dns-search", nil, "search domain")
	f.StringArrayVar(&o.DNSOptions, "dns-option", nil, "resolver option")
	f.Alias("dns-opt", "dns-option")
	f.StringArrayVar(&o.AddHost, "add-host", nil, "line of /etc/hosts: NAME:ADDRESS")
}

// mode is the one that counts; "" is the default.
func (n *network) mode() string {
	if len(n.modes) == 0 {
		return ""
	}
	return n.modes[len(n.modes)-1]
}

func (o *Run) checkNetwork(cold *Cold) (err error) {
	text := o.network.mode()
	mode, options, some := strings.Cut(text, ":")
	o.Network = container.NetworkSlirp
	var naming container.Naming
	switch mode {
	case "container", "ns":
		return o.checkJoinedNetwork()
	case "host":
		o.Network = container.NetworkHost
	case "none":
		o.Network = container.NetworkNone
	case "", "default", "private":
		o.Offline = len(o.network.publish) == 0 && !o.PublishAll
	case "slirp", "slirp4netns", "pasta":
		naming.Mode = mode
	default:
		if cold == nil {
			return errCold
		}
		if err := o.attach(cold, mode, options, &naming); err != nil {
			return err
		}
	}
	if naming.Attached == nil && (o.network.ip != "" || o.network.ip6 != "") {
		return errors.New("networks and static ip/mac address can only be used with Bridge mode networking")
	}
	if naming.Attached == nil && some && (options == "" || mode != "slirp" && mode != "slirp4netns" && mode != "pasta") {
		return fmt.Errorf("--network %s: %s takes no options", text, mode)
	}
	if mode == "none" && len(o.DNS)+len(o.DNSSearch)+len(o.DNSOptions) > 0 {
		return errors.New("conflicting options: --network none has no use for --dns")
	}
	if err := o.checkFiles(&naming); err != nil {
		return err
	}
	if naming != (container.Naming{}) {
		o.Naming = &naming
	}
	o.Slirp = netconfig.Default()
	if !some && len(o.DNS)+len(o.AddHost)+len(o.network.publish)+len(o.network.expose) == 0 && !o.PublishAll && o.network.mac == "" {
		return nil
	}
	if cold == nil {
		return errCold
	}
	if o.Network == container.NetworkSlirp && some && naming.Attached == nil {
		if o.Slirp, err = cold.Network(text); err != nil {
			return err
		}
	}
	return o.checkAddresses(cold)
}

// attach finds a place in a network that is shared, and reads its options.
func (o *Run) attach(cold *Cold, name, options string, naming *container.Naming) (err error) {
	n := &o.network
	if len(n.modes) > 1 {
		return errors.New("--network: a container can be in one network, not in several")
	}
	for option := range strings.SplitSeq(options, ",") {
		key, value, _ := strings.Cut(option, "=")
		switch {
		case option == "":
		case key == "ip" && value != "":
			n.ip = value
		case key == "mac" && value != "":
			n.mac = value
		case key == "alias" && value != "":
			n.aliases = append(n.aliases, value)
		default:
			return fmt.Errorf("--network %s:%s: unknown option %q: ip, mac or alias", name, options, key)
		}
	}
	if n.ip6 != "" {
		return fmt.Errorf("--ip6 %s: shared networks have IPv4 alone", n.ip6)
	}
	naming.Mode = "bridge"
	if naming.Attached, err = cold.Attach(name, n.ip, n.aliases); err != nil {
		return fmt.Errorf("--network %s: %w", name, err)
	}
	return nil
}

// checkFiles is for the files that name hosts.
func (o *Run) checkFiles(naming *container.Naming) error {
	if o.network.noHosts && len(o.AddHost) > 0 {
		return errors.New("--no-hosts and --add-host cannot be set together")
	}
	naming.NoHosts = o.network.noHosts
	if slices.Contains(o.DNS, "none") {
		if len(o.DNS)+len(o.DNSSearch)+len(o.DNSOptions) > 1 {
			return errors.New("conflicting options: --dns none leaves /etc/resolv.conf alone: no other --dns, --dns-search or --dns-option can be set with it")
		}
		o.DNS, naming.NoDNS = nil, true
	}
	return nil
}

// checkAddresses is for what has addresses in it.
func (o *Run) checkAddresses(cold *Cold) (err error) {
	for _, check := range []struct {
		texts []string
		one   func(string) error
	}{{o.DNS, cold.CheckDNS}, {o.AddHost, cold.CheckHost}} {
		for _, text := range check.texts {
			if err := check.one(text); err != nil {
				return err
			}
		}
	}
	if o.network.mac != "" {
		if o.Network != container.NetworkSlirp {
			return fmt.Errorf("--mac-address %s: networks and static ip/mac address can only be used with a network of the container's own", o.network.mac)
		}
		if o.Slirp.MAC, err = cold.MAC(o.network.mac); err != nil {
			return err
		}
		if a := o.Attached(); a != nil {
			a.OwnMAC = true
		}
	}
	if o.Ports, err = cold.Publish(o.network.publish); err != nil {
		return err
	}
	for _, text := range o.network.expose {
		list, err := cold.Expose(text)
		if err != nil {
			return err
		}
		o.Exposed = append(o.Exposed, list...)
	}
	return nil
}

// discarded is podman's warning.
const discarded = "Port mappings have been discarded as one of the Host, Container, Pod, and None network modes are in use"

// publish adds the ports of --publish-all, which the image may name. Where the
// network is not ours there is nothing to publish.
func (o *Run) publish(s Streams, cold *Cold) error {
	if len(o.network.publish) == 0 && !o.PublishAll {
		return nil
	}
	if o.Network != container.NetworkSlirp {
		o.Ports, o.PublishAll = nil, false
		fmt.Fprintf(s.Err, "rl: warning: %s\n", discarded)
		return nil
	}
	if !o.PublishAll {
		return nil
	}
	for _, port := range append(cold.Exposed(o.Image), o.Exposed...) {
		list, err := cold.Publish([]string{port})
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(o.Ports, func(p netconfig.Port) bool { return p.Port == list[0].Port && p.Protocol == list[0].Protocol }) {
			o.Ports = append(o.Ports, list...)
		}
	}
	return nil
}
