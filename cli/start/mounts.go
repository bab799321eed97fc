package start

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"containers/rl/container"
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
	}{{o.volumes, volume}, {o.mounts, mount}, {o.tmpfs, tmpfs}}
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
	return o.checkDevices(cold)
}

func (o *Run) addMount(text string, m specs.Mount) error {
	m.Destination = path.Clean(m.Destination)
	if err := CheckTarget(m.Destination); err != nil {
		return fmt.Errorf("mount %s: %w", text, err)
	}
	if slices.ContainsFunc(o.Mounts, func(other specs.Mount) bool { return other.Destination == m.Destination }) {
		return fmt.Errorf("mount %s: %s: duplicate mount destination", text, m.Destination)
	}
	o.Mounts = append(o.Mounts, m)
	return nil
}

// CheckTarget refuses places of a container where nothing may be mounted.
func CheckTarget(target string) error {
	switch {
	case target == "/" || !path.IsAbs(target):
		return errors.New("the target must be an absolute path other than /")
	case inProc(target):
		return errors.New("nothing can be mounted there: what is below /proc tells the container's processes apart and confines them")
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

// tmpfs is docker's --tmpfs TARGET[:OPTIONS].
func tmpfs(text string) (specs.Mount, error) {
	target, options, _ := strings.Cut(text, ":")
	m := specs.Mount{Type: "tmpfs", Source: "tmpfs", Destination: target, Options: []string{"nosuid", "nodev", "noexec"}}
	var copied []string
	list := strings.Split(options, ",")
	if err := checkExclusive(list); err != nil {
		return m, fmt.Errorf("--tmpfs %s: %w", text, err)
	}
	seen := map[string]bool{}
	for _, option := range list {
		name, _, valued := strings.Cut(option, "=")
		if valued && seen[name] {
			return m, fmt.Errorf("--tmpfs %s: option %s can only be set once", text, name)
		}
		seen[name] = true
		switch name {
		case "":
		case container.CopyUp, notCopyUp:
			copied = append(copied, option)
		case "size", "mode", "uid", "gid", "nr_inodes", "U", "ro", "rw", "exec", "noexec", "suid", "nosuid", "dev", "nodev":
			m.Options = append(m.Options, option)
		default:
			return m, fmt.Errorf("--tmpfs %s: unknown option %q", text, option)
		}
	}
	copied, err := copyUp(copied)
	if err != nil {
		return m, fmt.Errorf("--tmpfs %s: %w", text, err)
	}
	m.Options = append(m.Options, copied...)
	return m, nil
}

const notCopyUp = "notmpcopyup"

// copyUp is podman's default: a tmpfs has at first what the image has there.
func copyUp(given []string) ([]string, error) {
	switch {
	case len(given) > 1:
		return nil, errors.New("the options tmpcopyup and notmpcopyup can only be set once")
	case len(given) == 1 && given[0] == notCopyUp:
		return nil, nil
	}
	return []string{container.CopyUp}, nil
}
