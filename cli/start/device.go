package start

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"containers/rl/cli/flags"
	"containers/rl/container"
)

// deviceFlags give a container devices of the host (podman-run(1),
// docker-run(1)).
type deviceFlags struct {
	texts, rules, dirs []string
	gpus               string
}

// WantedDevices are devices of CDI specifications (package cdi).
type WantedDevices struct {
	Names    []string // VENDOR/CLASS=NAME
	GPUs     []string // ids of --gpus, or all
	GPUCount int      // how many of these, whichever
	Dirs     []string // in place of the usual ones; none
}

func (d *deviceFlags) flags(f *flags.Set) {
	f.StringArrayVar(&d.texts, "device", nil, "give the container a device, or all of a directory: /HOST[:/CONTAINER[:rwm]]; or by CDI: VENDOR/CLASS=NAME")
	f.StringVar(&d.gpus, "gpus", "", "NVIDIA graphics cards, by CDI: all, a number, or device=ID[,ID]")
	f.StringArrayVar(&d.dirs, "cdi-spec-dir", nil, "directory of CDI specifications, in place of /etc/cdi, /var/run/cdi and ~/.config/cdi")
	f.StringArrayVar(&d.rules, "device-cgroup-rule", nil, "not here: a filter of devices needs root")
}

// checkDevices reads all of them.
func (o *Run) checkDevices(cold *Cold) error {
	for _, rule := range o.device.rules {
		if !validRule(rule) {
			return fmt.Errorf("--device-cgroup-rule: invalid device cgroup format '%s': TYPE MAJOR:MINOR MODE, as 'c 1:3 mr'", rule)
		}
	}
	if len(o.device.rules) > 0 {
		return errors.New("--device-cgroup-rule: device cgroup rules are not supported in rootless mode or in a user namespace: the filter needs root: " +
			"give the devices themselves by --device")
	}
	wanted := WantedDevices{Dirs: o.device.dirs}
	for _, text := range o.device.texts {
		if isQualified(text) {
			wanted.Names = append(wanted.Names, text)
		} else if err := o.addDevice(text); err != nil {
			return err
		}
	}
	if err := wanted.gpus(o.device.gpus); err != nil {
		return fmt.Errorf("invalid argument %q for --gpus: %w", o.device.gpus, err)
	}
	return o.addQualified(wanted, cold)
}

// isQualified tells VENDOR/CLASS=NAME from a path.
func isQualified(text string) bool {
	kind, _, ok := strings.Cut(text, "=")
	return ok && kind != "" && kind[0] != '/' && kind[0] != '.' && strings.Contains(kind, "/")
}

func (o *Run) addQualified(w WantedDevices, cold *Cold) (err error) {
	switch {
	case len(w.Names)+len(w.GPUs)+w.GPUCount == 0:
		return nil
	case cold == nil:
		return errCold
	}
	o.rare.CDI, err = cold.Devices(w)
	return err
}

// gpus reads docker's --gpus, a list of KEY=VALUE as CSV has it; one without a
// key is a number, or all.
func (w *WantedDevices) gpus(text string) error {
	if text == "" {
		return nil
	}
	words, err := fields(text)
	if err != nil {
		return err
	}
	count := ""
	for _, word := range words {
		key, value, ok := strings.Cut(word, "=")
		switch {
		case !ok && count == "" && len(w.GPUs) == 0:
			count = word
		case key == "count" && count == "":
			count = value
		case key == "device" && value != "":
			w.GPUs = append(w.GPUs, strings.Split(value, ",")...)
		case key == "driver" && (value == "nvidia" || value == "cdi"), key == "capabilities", key == "options":
		case key == "driver":
			return fmt.Errorf("could not select device driver %q with capabilities: [[gpu]]", value)
		case !ok && len(w.GPUs) > 0: // device=0,1 without quotes
			w.GPUs = append(w.GPUs, word)
		default:
			return fmt.Errorf("unexpected %q: all, NUMBER, or count, device, driver and capabilities with their values", word)
		}
	}
	switch {
	case count != "" && len(w.GPUs) > 0:
		return errors.New("cannot set both Count and DeviceIDs on device request")
	case count == "all" || count == "-1" || count == "" && len(w.GPUs) == 0:
		w.GPUs = []string{"all"}
	case count != "":
		if w.GPUCount, err = strconv.Atoi(count); err != nil || w.GPUCount < 0 {
			return fmt.Errorf("count must be an integer: %q", count)
		}
	}
	return nil
}

func (o *Run) addDevice(text string) error {
	d, err := parseDevice(text)
	if err == nil {
		err = CheckTarget(d.Path)
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
