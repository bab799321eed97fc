package start

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"containers/rl/cli/flags"
	"containers/rl/container"
)

// deviceFlags give a container devices of the host (podman-run(1),
// docker-run(1)).
type deviceFlags struct {
	texts, rules []string
	gpus         string
}

func (d *deviceFlags) flags(f *flags.Set) {
	f.StringArrayVar(&d.texts, "device", nil, "give the container a device, or all of a directory: /HOST[:/CONTAINER[:rwm]]")
	f.StringVar(&d.gpus, "gpus", "", "not here: --device gives a device")
	f.StringArrayVar(&d.rules, "device-cgroup-rule", nil, "not here: a filter of devices needs root")
}

// checkDevices reads all of them.
func (o *Run) checkDevices() error {
	if o.device.gpus != "" {
		return errors.New("--gpus: not supported: give the devices by --device, as /dev/nvidia0")
	}
	for _, rule := range o.device.rules {
		if !validRule(rule) {
			return fmt.Errorf("--device-cgroup-rule: invalid device cgroup format '%s': TYPE MAJOR:MINOR MODE, as 'c 1:3 mr'", rule)
		}
	}
	if len(o.device.rules) > 0 {
		return errors.New("--device-cgroup-rule: device cgroup rules are not supported in rootless mode or in a user namespace: the filter needs root: " +
			"give the devices themselves by --device")
	}
	for _, text := range o.device.texts {
		if err := o.addDevice(text); err != nil {
			return err
		}
	}
	return nil
}

func (o *Run) addDevice(text string) error {
	d, err := parseDevice(text)
	if err == nil {
		err = checkTarget(d.Path)
	}
	if err != nil {
		return fmt.Errorf("--device %s: %w", text, err)
	}
	for _, m := range o.Mounts {
		if m.Destination == d.Path {
			return fmt.Errorf("--device %s: %s: duplicate mount destination", text, d.Path)
		}
	}
	for n, other := range o.rare.Devices { // the last one counts
		if other.Path == d.Path {
			o.rare.Devices[n] = d
			return nil
		}
	}
	o.rare.Devices = append(o.rare.Devices, d)
	return nil
}

// parseDevice reads /HOST[:/CONTAINER][:PERMISSIONS]. A link is followed now, as
// the device is meant that it leads to.
func parseDevice(text string) (d container.Device, err error) {
	part := strings.Split(text, ":")
	d = container.Device{Source: path.Clean(part[0]), Path: path.Clean(part[0])}
	switch rest := part[1:]; {
	case len(rest) > 2 || part[0] == "":
		return d, fmt.Errorf("invalid device specification: %s: /HOST[:/CONTAINER[:rwm]]", text)
	case len(rest) == 2:
		d.Path, d.Permissions = rest[0], rest[1]
	case len(rest) == 1 && strings.HasPrefix(rest[0], "/"):
		d.Path = rest[0]
	case len(rest) == 1:
		d.Permissions = rest[0]
	}
	if len(part) > 1 && (d.Path == "" || part[len(part)-1] == "") {
		return d, fmt.Errorf("invalid device specification: %s: /HOST[:/CONTAINER[:rwm]]", text)
	}
	if d.Permissions != "" && !validPermissions(d.Permissions) {
		return d, fmt.Errorf("invalid device mode: %s: of r, w and m", d.Permissions)
	}
	if !path.IsAbs(d.Source) {
		return d, fmt.Errorf("%s is not an absolute path", part[0])
	}
	if d.Path = path.Clean(d.Path); d.Permissions == container.AllPermissions {
		d.Permissions = ""
	}
	return d, find(&d)
}

// find takes the messages from podman and docker.
func find(d *container.Device) error {
	gathering := fmt.Sprintf("error gathering device information while adding custom device %q", d.Source)
	if _, err := os.Stat(d.Source); err != nil {
		return fmt.Errorf("%w: %s", err, gathering)
	}
	if !d.HasNodes() {
		return fmt.Errorf("%s: not a device node", gathering)
	}
	return d.Resolve()
}

// validPermissions: each of them once.
func validPermissions(text string) bool {
	for n, c := range text {
		if !strings.ContainsRune(container.AllPermissions, c) || strings.ContainsRune(text[:n], c) {
			return false
		}
	}
	return text != ""
}

// validRule is TYPE MAJOR:MINOR MODE (the kernel's cgroup-v1/devices.rst).
func validRule(text string) bool {
	f := strings.Fields(text)
	if len(f) != 3 || len(f[0]) != 1 || !strings.Contains("abc", f[0]) || !validPermissions(f[2]) {
		return false
	}
	major, minor, ok := strings.Cut(f[1], ":")
	number := func(s string) bool { return s == "*" || s != "" && strings.Trim(s, "0123456789") == "" }
	return ok && number(major) && number(minor)
}
