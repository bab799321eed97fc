package start

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// checkMounts reads all flags that mount something. What several of one kind
// say is in their order; what two kinds say of one place is an error.
func (o *Run) checkMounts(cold *Cold) error {
	if err := o.checkVolumeDefaults(); err != nil {
		return err
	}
	parsers := []struct {
		texts []string
		parse func(string) (specs.Mount, error)
	}{{o.volumes, volume}, {o.mounts, mount}, {o.tmpfs, tmpfs}, {o.devices, device}}
	for _, kind := range parsers {
		for _, text := range kind.texts {
			m, err := kind.parse(text)
			list := []specs.Mount{m}
			if err == nil && m.Type == globType {
				list, err = expand(m, cold)
			}
			if err != nil {
				return err
			}
			for _, m := range list {
				if err := o.addMount(text, m); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (o *Run) addMount(text string, m specs.Mount) error {
	if m.Destination = path.Clean(m.Destination); m.Destination == "/" || !path.IsAbs(m.Destination) {
		return fmt.Errorf("mount %s: the target must be an absolute path other than /", text)
	}
	if inProc(m.Destination) {
		return fmt.Errorf("mount %s: nothing can be mounted there: what is below /proc tells the container's processes apart and confines them", text)
	}
	if slices.ContainsFunc(o.Mounts, func(other specs.Mount) bool { return other.Destination == m.Destination }) {
		return fmt.Errorf("mount %s: %s: duplicate mount destination", text, m.Destination)
	}
	o.Mounts = append(o.Mounts, m)
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
