package start

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"containers/rl/cli/flags"
	"containers/rl/container"
)

// attached are the flags of what is kept beside a container.
type attached struct {
	secrets, from       []string
	imageVolume, driver string
}

func (a *attached) flags(f *flags.Set) {
	f.StringArrayVar(&a.from, "volumes-from", nil, "mount what another container has: CONTAINER[:ro|rw]")
	f.StringArrayVar(&a.secrets, "secret", nil, "give the container a secret: NAME[,type=mount|env,target=...,uid=...,gid=...,mode=...]")
	f.StringVar(&a.imageVolume, "image-volume", "bind", "what becomes of the image's volumes: bind|tmpfs|ignore")
	f.StringVar(&a.driver, "volume-driver", "", "local is the only one")
}

// volume is -v [SOURCE:]TARGET[:OPTIONS] (podman-run(1), docker-run(1)).
func volume(text string) (m specs.Mount, err error) {
	part := strings.Split(text, ":")
	if len(part) > 3 {
		return m, fmt.Errorf("--volume %s: incorrect volume format, should be [host-dir:]ctr-dir[:option]", text)
	}
	source, target, options := "", part[0], []string(nil)
	if len(part) > 1 {
		source, target = part[0], part[1]
		if source == "" {
			return m, fmt.Errorf("--volume %s: host directory cannot be empty", text)
		}
	}
	if len(part) == 3 {
		options = strings.Split(part[2], ",")
	}
	if !path.IsAbs(target) {
		return m, fmt.Errorf("--volume %s: invalid container path %q, must be an absolute path", text, target)
	}
	if err := checkOptions(options); err != nil {
		return m, fmt.Errorf("--volume %s: %w", text, err)
	}
	for n, option := range options {
		if key, value, _ := strings.Cut(option, "="); key == "upperdir" || key == "workdir" {
			if value, err = absolute(value); err != nil {
				return m, err
			}
			options[n] = key + "=" + value
		}
	}
	if isPath(source) {
		return bindMount(source, target, bindOptions(options))
	}
	return namedVolume(source, target, options)
}

// isPath: what begins otherwise is the name of a volume.
func isPath(source string) bool {
	return strings.HasPrefix(source, "/") || strings.HasPrefix(source, ".")
}

// namedVolume: no name means a volume of the container's own.
func namedVolume(name, target string, options []string) (specs.Mount, error) {
	m := specs.Mount{Type: container.TypeVolume, Source: name, Destination: target, Options: options}
	if name == "" {
		return m, nil
	}
	return m, container.CheckVolumeName(name)
}

// words are the options of a bind or a volume; "" has no opposite.
var words = []string{"ro", "rw", "suid", "nosuid", "dev", "nodev", "exec", "noexec", "bind", "rbind", "private", "rprivate", "slave", "rslave", "shared", "rshared",
	"unbindable", "runbindable", "z", "Z", "U", "O", "copy", "nocopy", "consistent", "cached", "delegated"}

// exclusive are groups of options of which one can be given.
var exclusive = [][]string{{"ro", "rw"}, {"suid", "nosuid"}, {"dev", "nodev"}, {"exec", "noexec"}, {"bind", "rbind"}, {"copy", "nocopy"}, {"z", "Z"},
	{"private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable"}}

func checkOptions(options []string) error {
	overlay := slices.Contains(options, "O")
	for _, option := range options {
		key, value, valued := strings.Cut(option, "=")
		switch {
		case key == "idmap":
			return errors.New("idmap: a mount with ids of its own needs root on the host; U gives the files to the container's user")
		case overlay && valued && (key == "upperdir" || key == "workdir") && value != "":
		case !slices.Contains(words, option):
			return fmt.Errorf("unknown option %q", option)
		case overlay && !slices.Contains([]string{"O", "U", "z", "Z", "rw"}, option):
			return fmt.Errorf("option O and option %s cannot be used together", option)
		}
	}
	if overlay && hasKey(options, "upperdir") != hasKey(options, "workdir") {
		return errors.New("options upperdir and workdir must be specified together")
	}
	return checkExclusive(options)
}

func checkExclusive(options []string) error {
	for _, group := range exclusive {
		seen := ""
		for _, option := range options {
			if slices.Contains(group, option) && seen != "" {
				return fmt.Errorf("options %s and %s cannot be used together", seen, option)
			} else if slices.Contains(group, option) {
				seen = option
			}
		}
	}
	return nil
}

func hasKey(options []string, key string) bool {
	return slices.ContainsFunc(options, func(option string) bool { return strings.HasPrefix(option, key+"=") })
}

// bindOptions: with what is mounted below, unless bind says without.
func bindOptions(options []string) []string {
	if slices.Contains(options, "bind") || slices.Contains(options, "rbind") || slices.Contains(options, "O") {
		return options
	}
	return append([]string{"rbind"}, options...)
}

// bindMount refuses a source that is not there, as podman does.
func bindMount(source, target string, options []string) (specs.Mount, error) {
	source, err := absolute(source)
	if err == nil {
		if _, err = os.Stat(source); err != nil {
			err = fmt.Errorf("statfs %s: %w", source, errors.Unwrap(err)) // podman's words
		}
	}
	return specs.Mount{Type: "bind", Source: path.Clean(source), Destination: target, Options: options}, err
}

// absolute: the container may be started again from elsewhere.
func absolute(name string) (string, error) {
	if path.IsAbs(name) {
		return name, nil
	}
	here, err := os.Getwd()
	return path.Join(here, name), err
}

// volumesFrom adds the volumes and binds of other containers, where nothing of
// our own is mounted. Of two at one place the last counts.
func (o *Run) volumesFrom(host container.Host) error {
	own := len(o.Mounts)
	for _, text := range o.attached.from {
		ref, options, _ := strings.Cut(text, ":")
		info, err := container.Find(host.Dirs, ref)
		if err != nil {
			return fmt.Errorf("looking up container %q for volumes-from: %w", ref, err)
		}
		for _, m := range info.Options.Mounts {
			here := slices.IndexFunc(o.Mounts, func(other specs.Mount) bool { return other.Destination == m.Destination })
			if here >= 0 && here < own || m.Type != container.TypeVolume && m.Type != "bind" {
				continue
			}
			if here >= 0 {
				o.Mounts = slices.Delete(o.Mounts, here, here+1)
			}
			m.Options = withAccess(m.Options, options)
			o.Mounts = append(o.Mounts, m)
		}
	}
	return nil
}

// checkVolumesFrom reads CONTAINER[:OPTIONS].
func (o *Run) checkVolumesFrom() error {
	o.rare.VolumesFrom = o.attached.from
	for _, text := range o.attached.from {
		ref, options, some := strings.Cut(text, ":")
		if ref == "" {
			return fmt.Errorf("--volumes-from %s: no container", text)
		}
		list := strings.Split(options, ",")
		for _, option := range list {
			if some && !slices.Contains([]string{"ro", "rw", "z"}, option) {
				return fmt.Errorf("--volumes-from %s: invalid options %q, can only specify 'ro', 'rw', and 'z'", text, option)
			}
		}
		if slices.Contains(list, "ro") && slices.Contains(list, "rw") {
			return fmt.Errorf("--volumes-from %s: cannot set both ro and rw options", text)
		}
	}
	return nil
}

// withAccess replaces ro and rw by what is given, if anything is.
func withAccess(options []string, given string) []string {
	for _, access := range strings.Split(given, ",") {
		if access == "ro" || access == "rw" {
			options = slices.DeleteFunc(slices.Clone(options), func(option string) bool {
				return slices.Contains([]string{"ro", "rw", "rro", "ro-non-recursive"}, option)
			})
			return append(options, access)
		}
	}
	return options
}

// checkVolumeDefaults is for what concerns all volumes.
func (o *Run) checkVolumeDefaults() error {
	switch o.attached.imageVolume {
	case "bind", "anonymous", "":
	case container.ImageVolumesTmpfs, container.ImageVolumesIgnore:
		o.ImageVolumes = o.attached.imageVolume
	default:
		return fmt.Errorf("--image-volume %s: bind, tmpfs or ignore", o.attached.imageVolume)
	}
	if o.attached.driver != "" && o.attached.driver != container.LocalDriver {
		return fmt.Errorf("--volume-driver %s: %w", o.attached.driver, container.ErrDriver)
	}
	return errors.Join(o.checkVolumesFrom(), o.checkSecrets())
}
