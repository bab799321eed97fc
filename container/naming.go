package container

import (
	"reflect"

	netconfig "containers/rl/netslirp/config"
)

// Naming is what a container was told of its network beyond the mode's kind,
// and of the files that name others.
type Naming struct {
	Mode    string // as it was asked for: bridge, pasta, ...
	NoHosts bool   `json:",omitzero"` // leave the image's /etc/hosts
	NoDNS   bool   `json:",omitzero"` // leave the image's /etc/resolv.conf
	// Attached is its place in a network that it shares; nil: it is alone.
	Attached *Attachment `json:",omitzero"`
}

// NetworkMode is the network's name as podman has it: what was asked for, or
// slirp4netns, which ours does as.
func (o *Options) NetworkMode() string {
	switch {
	case o.Joins != nil && o.Joins.Network != "":
		return o.Joins.Network
	case o.Network != NetworkSlirp:
		return o.Network.String()
	case o.naming().Mode == "slirp":
		return "slirp4netns"
	}
	return first(o.naming().Mode, "slirp4netns")
}

// Attached is its place in a network that it shares; nil: it is alone.
func (o *Options) Attached() *Attachment { return o.naming().Attached }

// naming is the zero one when there is none.
func (o *Options) naming() Naming {
	if o.Naming == nil {
		return Naming{}
	}
	return *o.Naming
}

// plainNetwork: nothing of the network has a form of its own in the options.
func plainNetwork(o *Options) bool {
	return o.Naming == nil && len(o.Ports) == 0 && len(o.Exposed) == 0 && !o.PublishAll && reflect.DeepEqual(o.Slirp, netconfig.Default())
}
