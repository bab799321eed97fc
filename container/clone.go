package container

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	netconfig "containers/rl/netslirp/config"
	"containers/rl/storage"
)

// Clone gives the options of a container like this one, with an id of its own and
// no name yet. Volumes with a name are the same; those without, which are one
// container's, are new and empty. Nothing of what was written to its files is
// copied: that is what commit is for.
func (i *Info) Clone(d storage.Dirs) (*Options, error) {
	o := &Options{}
	if err := decode(encode(i.Options), o); err != nil {
		return nil, fmt.Errorf("copying the options of container %s: %w", i.Name(), err)
	}
	id := make([]byte, 32)
	if _, err := unix.Getrandom(id, 0); err != nil {
		return nil, fmt.Errorf("making an id: %w", err)
	}
	o.ID, o.Name, o.ImageName = hex.EncodeToString(id), "", i.Image
	if o.Hostname == i.ID[:12] {
		o.Hostname = o.ID[:12]
	}
	// Those that the image declares are among the mounts already.
	o.ImageVolumes = ImageVolumesIgnore
	for n := range o.Mounts {
		m := &o.Mounts[n]
		if m.Type != TypeVolume {
			continue
		}
		if v, err := d.FindVolume(m.Source); err == nil && v.Name == m.Source && v.Anonymous {
			m.Source = ""
			for _, option := range v.Options {
				m.Options = append(m.Options, "volume-opt="+option)
			}
		}
	}
	return o, o.loadSecrets(i.Dir)
}

// Enter makes a container that is to be made one of a pod. What it had of its own
// where the pod's containers share a namespace goes, and so do the namespaces of
// others: those are of another user namespace than the pod's (see Joins).
func (o *Options) Enter(p *Pod) {
	o.Pod = &Membership{ID: p.ID, Name: p.Name, Ends: p.ExitPolicy == ExitStop}
	joins := p.Joins()
	o.Joins = joins
	if o.Network == NetworkJoined {
		o.Network, o.Slirp = NetworkSlirp, netconfig.Default()
	}
	if joins == nil {
		return
	}
	o.KeepID, o.KeepAs, o.HostName = false, "", ""
	for _, one := range joins.All() {
		if *one.To == "" {
			continue
		}
		switch one.Kind {
		case "pid":
			o.HostPID = false
		case "ipc":
			o.HostIPC, o.PrivateIPC, o.NoShm = false, false, false
		case "uts":
			o.HostUTS = false
		case "cgroup":
			o.HostCgroup = false
		case "net":
			o.Network, o.Offline, o.Slirp, o.Naming = NetworkJoined, false, netconfig.Network{}, nil
			o.Ports, o.PublishAll, o.AddHost = nil, false, nil
			o.DNS, o.DNSSearch, o.DNSOptions = nil, nil, nil
		}
	}
}

// Follow has it join the clones of the containers that it joins and needs: clones
// are their ids, by those of the containers.
func (o *Options) Follow(clones map[string]string) {
	if o.Joins != nil {
		for _, one := range o.Joins.All() {
			if id, ok := strings.CutPrefix(*one.To, "container:"); ok && clones[id] != "" {
				*one.To = "container:" + clones[id]
			}
		}
	}
	if o.Rare != nil {
		for n, id := range o.Rare.Requires {
			o.Rare.Requires[n] = first(clones[id], id)
		}
	}
}

// CloneName is a name that is free, for the clone of what has another: NAME-clone,
// NAME-clone1 and so on, as podman has it.
func CloneName(name string, taken func(name string) bool) string {
	base := name + "-clone"
	if at := strings.LastIndex(name, "-clone"); at >= 0 && strings.Trim(name[at+len("-clone"):], "0123456789") == "" {
		base = name[:at+len("-clone")]
	}
	for n, candidate := 0, base; ; candidate = fmt.Sprint(base, n) {
		if !taken(candidate) {
			return candidate
		}
		n++
	}
}

// MakeClone is Create for options that Clone gave. Without a name it gets one
// after the container's.
func MakeClone(h Host, i *Info, o *Options) error {
	if o.Name != "" {
		return Create(h, o)
	}
	o.Name = CloneName(i.Name(), func(name string) bool {
		info, err := Find(h.Dirs, name)
		return err == nil && info.Name() == name
	})
	return Create(h, o)
}

// needs says which of the containers another one is made after, for those that
// are made in turn.
func (i *Info) needs(id string) bool {
	if i.Options.Joins != nil {
		for _, one := range i.Options.Joins.All() {
			if *one.To == "container:"+id {
				return true
			}
		}
	}
	return slices.Contains(i.Options.rare().Requires, id)
}

// InOrder puts those first that others need. Where two need each other, which no
// command makes, the older is first.
func InOrder(list []*Info) (ordered []*Info) {
	for left := slices.Clone(list); len(left) > 0; {
		n := slices.IndexFunc(left, func(i *Info) bool {
			return !slices.ContainsFunc(left, func(other *Info) bool { return other != i && i.needs(other.ID) })
		})
		n = max(n, 0)
		ordered, left = append(ordered, left[n]), slices.Delete(left, n, n+1)
	}
	return ordered
}
