package cli

import (
	"slices"
	"strings"

	"containers/rl/container"
)

// inspectedMount is a mount as docker and podman show it. Of those that have no
// source on the host they show none.
type inspectedMount struct {
	Type        string
	Name        string `json:",omitempty"`
	Source      string
	Destination string
	Driver      string
	Mode        string
	Options     []string
	RW          bool
	Propagation string
	SubPath     string `json:",omitempty"`
}

func inspectMounts(i *container.Info) []inspectedMount {
	list := []inspectedMount{}
	for _, m := range i.Options.Mounts {
		if m.Type != "bind" && m.Type != container.TypeVolume && m.Type != container.TypeImage {
			continue
		}
		v := inspectedMount{Type: m.Type, Source: m.Source, Destination: m.Destination, Options: kernelOptions(m.Options), RW: !slices.Contains(m.Options, "ro"), SubPath: container.SubpathOf(m)}
		if m.Type == container.TypeVolume {
			v.Name, v.Driver, v.Source = m.Source, container.LocalDriver, i.VolumeData(m.Source)
			v.Options = append([]string{"nosuid", "nodev", "rbind"}, v.Options...)
		}
		if m.Type == container.TypeImage {
			v.RW = slices.Contains(m.Options, "rw-image")
		}
		v.Propagation = propagation(m.Options)
		for _, word := range []string{"z", "Z"} {
			if slices.Contains(m.Options, word) {
				v.Mode = word
			}
		}
		list = append(list, v)
	}
	return list
}

func propagation(options []string) string {
	for _, p := range []string{"private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable"} {
		if slices.Contains(options, p) {
			return p
		}
	}
	return "rprivate"
}

// kernelOptions leaves out what is for rl, and what shows elsewhere.
func kernelOptions(list []string) []string {
	kept := []string{}
	for _, option := range list {
		if slices.Contains([]string{"nosuid", "nodev", "noexec", "suid", "dev", "exec", "bind", "rbind"}, option) {
			kept = append(kept, option)
		}
	}
	return kept
}

// inspectBinds is docker's list of what -v said.
func inspectBinds(o *container.Options) (list []string) {
	for _, m := range o.Mounts {
		if m.Type != "bind" && m.Type != container.TypeVolume {
			continue
		}
		access := "rw"
		if slices.Contains(m.Options, "ro") {
			access = "ro"
		}
		words := append([]string{access, propagation(m.Options)}, kernelOptions(m.Options)...)
		for _, option := range m.Options {
			if key, _, _ := strings.Cut(option, "="); slices.Contains([]string{"U", "O", "upperdir", "workdir", "z", "Z", "copy", "nocopy"}, key) {
				words = append(words, option)
			}
		}
		list = append(list, m.Source+":"+m.Destination+":"+strings.Join(words, ","))
	}
	return list
}
