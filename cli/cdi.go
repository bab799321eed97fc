package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"containers/rl/cli/cdi"
	"containers/rl/cli/start"
	"containers/rl/container"
)

// gpuKind are the devices of docker's --gpus.
const gpuKind = "nvidia.com/gpu"

// findDevices gives what CDI devices need. What a container without root cannot
// have is an error.
func findDevices(w start.WantedDevices) (*container.Edits, error) {
	registry := cdi.Load(cdiDirs(w.Dirs))
	names, err := wantedNames(registry, w)
	if err != nil {
		return nil, err
	}
	list, err := registry.Resolve(names)
	if err != nil {
		if len(w.GPUs) > 0 && len(registry.OfKind(gpuKind)) == 0 {
			return nil, noGPUs(registry, err)
		}
		return nil, err
	}
	edits := &container.Edits{}
	for _, n := range names {
		edits.Names = append(edits.Names, n.String())
	}
	for _, e := range list {
		if err := addEdits(edits, e); err != nil {
			return nil, fmt.Errorf("CDI device %s: %w", strings.Join(edits.Names, ", "), err)
		}
	}
	return edits, nil
}

// wantedNames: --gpus names devices by their number or id, or says how many.
func wantedNames(registry *cdi.Registry, w start.WantedDevices) (names []cdi.Name, err error) {
	for _, text := range w.Names {
		n, err := cdi.ParseName(text)
		if err != nil {
			return nil, err
		}
		names = append(names, n)
	}
	for _, id := range w.GPUs {
		n, err := cdi.ParseName(gpuKind + "=" + id)
		if err != nil {
			return nil, err
		}
		names = append(names, n)
	}
	if w.GPUCount == 0 {
		return names, nil
	}
	all := registry.OfKind(gpuKind)
	if len(all) == 0 {
		return nil, noGPUs(registry, errors.Join(registry.Wrong()...))
	}
	// A card has two names, its number and its id: numbers are counted.
	if numbers := slices.DeleteFunc(slices.Clone(all), func(n cdi.Name) bool { return strings.Trim(n.Device, "0123456789") != "" }); len(numbers) > 0 {
		all = numbers
	}
	if len(all) < w.GPUCount {
		return nil, fmt.Errorf("--gpus %d: there are %d: could not select device driver \"\" with capabilities: [[gpu]]", w.GPUCount, len(all))
	}
	return append(names, all[:w.GPUCount]...), nil
}

func noGPUs(registry *cdi.Registry, why error) error {
	err := fmt.Errorf("could not select device driver \"\" with capabilities: [[gpu]]: no CDI specification has %s: make one: mkdir -p ~/.config/cdi && nvidia-ctk cdi generate --output=$HOME/.config/cdi/nvidia.yaml (looked in %s)",
		gpuKind, strings.Join(registry.Dirs, ", "))
	if why != nil && len(registry.Wrong()) > 0 {
		err = fmt.Errorf("%w: %w", err, why)
	}
	return err
}

// addEdits translates them. Of two for one place the later counts.
func addEdits(to *container.Edits, e cdi.Edits) error {
	if len(e.IntelRdt) > 0 && string(e.IntelRdt) != "null" {
		return errors.New("intelRdt: not supported: cache and memory bandwidth are shared out by the host's resctrl, which needs root")
	}
	if len(e.NetDevices) > 0 && string(e.NetDevices) != "null" {
		return errors.New("netDevices: not supported: moving a network device of the host needs root")
	}
	to.Env, to.GIDs = append(to.Env, cdi.Strings(e.Env)...), append(to.GIDs, e.GIDs...)
	for _, n := range e.DeviceNodes {
		if err := addNode(to, n); err != nil {
			return err
		}
	}
	for _, m := range e.Mounts {
		if err := addMount(to, m); err != nil {
			return err
		}
	}
	for _, h := range e.Hooks {
		hook := container.Hook{Stage: string(h.Stage), Path: string(h.Path), Args: cdi.Strings(h.Args), Env: cdi.Strings(h.Env)}
		if h.Timeout != nil {
			hook.Timeout = *h.Timeout
		}
		to.Hooks = append(to.Hooks, hook)
	}
	return nil
}

func addNode(to *container.Edits, n cdi.Node) error {
	d := container.Device{Source: filepath.Clean(string(cmp.Or(n.HostPath, n.Path))), Path: filepath.Clean(string(n.Path)), Permissions: string(n.Permissions)}
	info, err := os.Stat(d.Source)
	if err != nil {
		return err
	}
	kind := map[bool]string{true: "c", false: "b"}[info.Mode()&os.ModeCharDevice != 0]
	switch want := strings.Replace(string(n.Type), "u", "c", 1); {
	case n.Type == "p" && info.Mode()&os.ModeNamedPipe != 0:
	case info.Mode()&os.ModeDevice == 0:
		return fmt.Errorf("device node %s: not a device node", d.Source)
	case want != "" && want != kind:
		return fmt.Errorf("device node %s: its type is %s, not %s", d.Source, kind, want)
	}
	if err := start.CheckTarget(d.Path); err != nil {
		return fmt.Errorf("device node %s: %w", d.Path, err)
	}
	to.Devices = append(slices.DeleteFunc(to.Devices, func(o container.Device) bool { return o.Path == d.Path }), d)
	return nil
}

func addMount(to *container.Edits, m cdi.Mount) error {
	mount := specs.Mount{Type: string(m.Type), Source: string(m.HostPath), Destination: filepath.Clean(string(m.ContainerPath)), Options: cdi.Strings(m.Options)}
	if mount.Type != "tmpfs" { // of binds the type is any word
		mount.Type = "bind"
		if !slices.Contains(mount.Options, "bind") && !slices.Contains(mount.Options, "rbind") {
			mount.Options = append([]string{"rbind"}, mount.Options...)
		}
		if _, err := os.Stat(mount.Source); err != nil {
			return err
		}
	}
	if err := start.CheckTarget(mount.Destination); err != nil {
		return fmt.Errorf("mount on %s: %w", mount.Destination, err)
	}
	to.Mounts = append(slices.DeleteFunc(to.Mounts, func(o specs.Mount) bool { return o.Destination == mount.Destination }), mount)
	return nil
}

// cdiDirs are the directories of specifications, a later one before an earlier:
// those of the flag, or of containers.conf(5), or the usual ones and the user's.
func cdiDirs(flag []string) []string {
	if len(flag) > 0 {
		return flag
	}
	if dirs := configuredDirs(); len(dirs) > 0 {
		return dirs
	}
	dirs := []string{"/etc/cdi", "/var/run/cdi"}
	if config := firstOf(os.Getenv("XDG_CONFIG_HOME"), underHome(".config")); config != "" {
		dirs = append(dirs, filepath.Join(config, "cdi"))
	}
	return dirs
}

func underHome(name string) string {
	home := os.Getenv("HOME")
	if home == "" {
		return ""
	}
	return filepath.Join(home, name)
}

// configuredDirs are cdi_spec_dirs of podman's configuration; the last file
// that has them counts.
func configuredDirs() (dirs []string) {
	files := []string{"/usr/share/containers/containers.conf", "/etc/containers/containers.conf", filepath.Join(firstOf(os.Getenv("XDG_CONFIG_HOME"), underHome(".config")), "containers/containers.conf")}
	if own := os.Getenv("CONTAINERS_CONF"); own != "" {
		files = []string{own}
	}
	for _, file := range append(files, os.Getenv("CONTAINERS_CONF_OVERRIDE")) {
		var conf struct {
			Engine struct {
				Dirs []string `toml:"cdi_spec_dirs"`
			} `toml:"engine"`
		}
		if _, err := toml.DecodeFile(file, &conf); err == nil && len(conf.Engine.Dirs) > 0 {
			dirs = conf.Engine.Dirs
		}
	}
	return dirs
}

// cdiFound is doctor's line.
func cdiFound() finding {
	registry := cdi.Load(cdiDirs(nil))
	if wrong := registry.Wrong(); len(wrong) > 0 {
		return finding{"cdi", "degraded", errors.Join(wrong...).Error(), "mend the file, or remove it"}
	}
	names := deviceNames(registry)
	if len(names) == 0 {
		return finding{"cdi", "ok", "no devices in " + strings.Join(registry.Dirs, ", "), ""}
	}
	return finding{"cdi", "ok", strings.Join(names, ", "), ""}
}

func deviceNames(registry *cdi.Registry) []string {
	names := []string{}
	for _, n := range registry.Names() {
		names = append(names, n.String())
	}
	return names
}
