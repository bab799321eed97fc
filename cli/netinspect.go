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

func inspectNetwork(o *container.Options) inspectedNetwork {
	n := inspectedNetwork{Ports: map[string][]portBinding{}, Networks: map[string]inspectedEndpoint{}}
	if o.Network == container.NetworkSlirp {
		n.inspectedEndpoint = inspectEndpoint(&o.Slirp)
	}
	n.Networks[o.NetworkMode()] = n.inspectedEndpoint
	return n
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
