package start

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func (o *Run) checkMounts() error {
	parsers := []struct {
		texts []string
		parse func(string) (specs.Mount, error)
	}{{o.volumes, volume}, {o.mounts, mount}, {o.tmpfs, tmpfs}, {o.devices, device}}
	seen := map[string]bool{}
	for _, kind := range parsers {
		for _, text := range kind.texts {
			m, err := kind.parse(text)
			if err != nil {
				return err
			}
			if m.Destination = path.Clean(m.Destination); m.Destination == "/" || !path.IsAbs(m.Destination) {
				return fmt.Errorf("mount %s: the target must be an absolute path other than /", text)
			}
			if inProc(m.Destination) {
				return fmt.Errorf("mount %s: nothing can be mounted there: what is below /proc tells the container's processes apart and confines them", text)
			}
			if seen[m.Destination] {
				return fmt.Errorf("mount %s: duplicate mount destination", m.Destination)
			}
			seen[m.Destination] = true
			o.Mounts = append(o.Mounts, m)
		}
	}
	return nil
}

// procFiles may be replaced, as with runc: they are for reading alone.
var procFiles = []string{"cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo"}

// inProc: a mount there could stand for the files by which a container is
// confined (CVE-2019-19921 and its family).
func inProc(target string) bool {
	name, below := strings.CutPrefix(target, "/proc/")
	return target == "/proc" || below && !slices.Contains(procFiles, name)
}

// volume is docker's -v SOURCE:TARGET[:OPTIONS].
func volume(text string) (specs.Mount, error) {
	part := strings.Split(text, ":")
	if len(part) < 2 || len(part) > 3 || part[0] == "" || part[1] == "" {
		return specs.Mount{}, fmt.Errorf("--volume %s: /HOST:/CONTAINER[:ro]", text)
	}
	if !strings.HasPrefix(part[0], "/") && !strings.HasPrefix(part[0], ".") {
		return specs.Mount{}, fmt.Errorf("--volume %s: named volumes are not there yet; give a path", text)
	}
	options := []string{"rbind"}
	if len(part) == 3 {
		for _, option := range strings.Split(part[2], ",") {
			switch option {
			case "bind":
				options[0] = option // without what is mounted below
			case "ro", "rw", "nosuid", "nodev", "noexec", "rbind", "private", "rprivate", "slave", "rslave", "shared", "rshared":
				options = append(options, option)
			case "z", "Z", "consistent", "cached", "delegated": // nothing to do here: no SELinux, no virtual machine
			default:
				return specs.Mount{}, fmt.Errorf("--volume %s: unknown option %q", text, option)
			}
		}
	}
	return bindMount(part[0], part[1], options)
}

// bindMount refuses a source that is not there, as podman does.
func bindMount(source, target string, options []string) (specs.Mount, error) {
	source, err := absolute(source)
	if err == nil {
		_, err = os.Stat(source)
	}
	return specs.Mount{Type: "bind", Source: path.Clean(source), Destination: target, Options: options}, err
}

// tmpfs is docker's --tmpfs TARGET[:OPTIONS].
func tmpfs(text string) (specs.Mount, error) {
	target, options, _ := strings.Cut(text, ":")
	m := specs.Mount{Type: "tmpfs", Source: "tmpfs", Destination: target, Options: []string{"nosuid", "nodev", "noexec"}}
	for _, option := range strings.Split(options, ",") {
		name, _, _ := strings.Cut(option, "=")
		switch name {
		case "":
		case "size", "mode", "uid", "gid", "nr_inodes", "ro", "rw", "exec", "noexec", "suid", "nosuid", "dev", "nodev":
			m.Options = append(m.Options, option)
		default:
			return m, fmt.Errorf("--tmpfs %s: unknown option %q", text, option)
		}
	}
	return m, nil
}

// mount is docker's --mount, a list of key=value.
func mount(text string) (specs.Mount, error) {
	values := map[string]string{"type": "volume"}
	for _, field := range strings.Split(text, ",") {
		key, value, set := strings.Cut(field, "=")
		switch key {
		case "type", "source", "target", "tmpfs-size", "tmpfs-mode", "bind-propagation":
		case "src":
			key = "source"
		case "dst", "destination":
			key = "target"
		case "readonly", "ro", "bind-nonrecursive":
			if key == "ro" {
				key = "readonly"
			}
			if !set {
				value = "true"
			}
		default:
			return specs.Mount{}, fmt.Errorf("--mount %s: unknown key %q", text, key)
		}
		values[key] = value
	}
	return values2mount(text, values)
}

func values2mount(text string, v map[string]string) (specs.Mount, error) {
	var options []string
	bind := "rbind"
	for _, choice := range []struct {
		key    string
		chosen func()
	}{{"readonly", func() { options = append(options, "ro") }}, {"bind-nonrecursive", func() { bind = "bind" }}} {
		switch v[choice.key] {
		case "", "false", "0":
		case "true", "1":
			choice.chosen()
		default:
			return specs.Mount{}, fmt.Errorf("--mount %s: %s is true or false", text, choice.key)
		}
	}
	switch v["bind-propagation"] {
	case "":
	case "private", "rprivate", "slave", "rslave", "shared", "rshared":
		options = append(options, v["bind-propagation"])
	default:
		return specs.Mount{}, fmt.Errorf("--mount %s: bind-propagation is one of [r]private, [r]slave, [r]shared", text)
	}
	switch v["type"] {
	case "bind":
		if v["source"] == "" || v["target"] == "" {
			return specs.Mount{}, fmt.Errorf("--mount %s: bind needs source and target", text)
		}
		return bindMount(v["source"], v["target"], append([]string{bind}, options...))
	case "tmpfs":
		if v["source"] != "" {
			return specs.Mount{}, fmt.Errorf("--mount %s: tmpfs has no source", text)
		}
		if v["tmpfs-size"] != "" {
			options = append(options, "size="+v["tmpfs-size"])
		}
		if v["tmpfs-mode"] != "" {
			options = append(options, "mode="+v["tmpfs-mode"])
		}
		return specs.Mount{Type: "tmpfs", Source: "tmpfs", Destination: v["target"], Options: append([]string{"nosuid", "nodev", "noexec"}, options...)}, nil
	}
	return specs.Mount{}, fmt.Errorf("--mount %s: type %q: bind or tmpfs", text, v["type"])
}

// absolute: the container may be started again from elsewhere.
func absolute(name string) (string, error) {
	if path.IsAbs(name) {
		return name, nil
	}
	here, err := os.Getwd()
	return path.Join(here, name), err
}

// device is bound: a user namespace makes none. What the user may do with it is
// what the container may do, so fewer rights than all cannot be given.
func device(text string) (specs.Mount, error) {
	part := strings.Split(text, ":")
	target := part[0]
	if len(part) > 1 && strings.HasPrefix(part[1], "/") {
		target = part[1]
		part = part[1:]
	}
	if len(part) > 2 || len(part) == 2 && part[1] != "rwm" && part[1] != "rw" {
		return specs.Mount{}, fmt.Errorf("--device %s: /HOST[:/CONTAINER[:rwm]]; without root a device keeps the rights that the user has", text)
	}
	source := strings.SplitN(text, ":", 2)[0]
	info, err := os.Stat(source)
	if err == nil && info.Mode()&os.ModeDevice == 0 {
		err = fmt.Errorf("--device %s: not a device", source)
	}
	if err != nil {
		return specs.Mount{}, err
	}
	return bindMount(source, target, []string{"bind"})
}
