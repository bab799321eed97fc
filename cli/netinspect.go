package cli

import (
	"net"

	"containers/rl/container"
	"containers/rl/netslirp/config"
)

// inspectedNetwork is NetworkSettings of docker-inspect(1) and
// podman-container-inspect(1).
type inspectedNetwork struct {
	inspectedEndpoint
	Ports    map[string][]portBinding
	Networks map[string]inspectedEndpoint
}

// inspectedEndpoint is a container's place in a network.
type inspectedEndpoint struct {
	NetworkID, EndpointID string
	IPAddress             string
	IPPrefixLen           int
	Gateway               string
	GlobalIPv6Address     string
	GlobalIPv6PrefixLen   int
	IPv6Gateway           string
	MacAddress            string
	Aliases               []string
}

func inspectNetwork(i *container.Info) inspectedNetwork {
	o := &i.Options
	n := inspectedNetwork{Ports: map[string][]portBinding{}, Networks: map[string]inspectedEndpoint{}}
	a := o.Attached()
	if o.Network == container.NetworkSlirp && a == nil {
		n.inspectedEndpoint = inspectEndpoint(&o.Slirp)
	}
	if a == nil {
		n.Networks[o.NetworkMode()] = n.inspectedEndpoint
		return n
	}
	n.inspectedEndpoint = inspectAttached(i, a)
	n.Networks[a.Network] = n.inspectedEndpoint
	return n
}

// inspectAttached: the address is the container's while it runs.
func inspectAttached(i *container.Info, a *container.Attachment) inspectedEndpoint {
	e := inspectedEndpoint{NetworkID: a.Network, Aliases: append([]string{i.ID[:12]}, a.Aliases...)}
	if !i.Running() || i.State.Address == [4]byte{} {
		return e
	}
	e.IPAddress, e.IPPrefixLen, e.Gateway = config.Text4(i.State.Address), a.Bits, config.Text4(a.Gateway)
	mac := net.HardwareAddr(i.Options.Slirp.MAC[:])
	if !a.OwnMAC {
		mac = append(net.HardwareAddr{0x02, 0x42}, i.State.Address[:]...)
	}
	e.MacAddress = mac.String()
	return e
}

func inspectEndpoint(n *config.Network) inspectedEndpoint {
	e := inspectedEndpoint{IPAddress: config.Text4(n.Address4), IPPrefixLen: n.Bits4, Gateway: config.Text4(n.Gateway4)}
	if n.IPv6 {
		e.GlobalIPv6Address, e.GlobalIPv6PrefixLen, e.IPv6Gateway = config.Address6Text, config.Bits6, config.Gateway6Text
	}
	if n.Ethernet() {
		e.MacAddress = net.HardwareAddr(n.MAC[:]).String()
	}
	return e
}

// inspectPorts adds what is published, and what is exposed.
func inspectPorts(v *inspected, i *container.Info) {
	exposed := exposer{}.of(i)
	v.HostConfig.PortBindings, v.HostConfig.PublishAllPorts = portBindings(i, nil, false), i.Options.PublishAll
	if i.Options.Network == container.NetworkSlirp {
		v.NetworkSettings.Ports = portBindings(i, exposed, true)
	}
	for _, p := range i.Options.Ports {
		exposed = append(exposed, portName(p))
	}
	for _, name := range exposed {
		if v.Config.ExposedPorts == nil {
			v.Config.ExposedPorts = map[string]struct{}{}
		}
		v.Config.ExposedPorts[name] = struct{}{}
	}
}
