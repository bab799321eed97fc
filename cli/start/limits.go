package start

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"containers/rl/cli/flags"
	"containers/rl/container"
)

// limits are the flags of resources as they were typed (podman-run(1),
// docker-update(1)).
type limits struct {
	memory, swap, reservation, swappiness, kernelMemory           string
	cpus, period, quota, shares, cpusetCPUs, cpusetMems           string
	realtimePeriod, realtimeRuntime, pids, weight, mode, parent   string
	weightDevices, readBps, writeBps, readIOps, writeIOps, config []string
	noKill                                                        bool
}

// flags declares those that can be changed later too.
func (l *limits) flags(f *flags.Set) {
	f.StringVarP(&l.memory, "memory", "m", "", "most memory: a number with b, k, m or g")
	f.StringVar(&l.swap, "memory-swap", "", "most memory and swap together, or -1")
	f.StringVar(&l.reservation, "memory-reservation", "", "memory that is taken from it last")
	f.StringVar(&l.swappiness, "memory-swappiness", "-1", "not with cgroup v2")
	f.StringVar(&l.kernelMemory, "kernel-memory", "", "not with cgroup v2")
	f.StringVar(&l.cpus, "cpus", "", "number of CPUs, as 1.5")
	f.StringVar(&l.period, "cpu-period", "", "microseconds that --cpu-quota is of")
	f.StringVar(&l.quota, "cpu-quota", "", "microseconds of CPU time in a period")
	f.StringVarP(&l.shares, "cpu-shares", "c", "", "weight among others: 1024 is usual")
	f.StringVar(&l.cpusetCPUs, "cpuset-cpus", "", "CPUs to run on: 0-3,7")
	f.StringVar(&l.cpusetMems, "cpuset-mems", "", "memory nodes to use: 0-1")
	f.StringVar(&l.realtimePeriod, "cpu-rt-period", "", "not with cgroup v2")
	f.StringVar(&l.realtimeRuntime, "cpu-rt-runtime", "", "not with cgroup v2")
	f.StringVar(&l.pids, "pids-limit", "", "most processes, or -1")
	f.StringVar(&l.weight, "blkio-weight", "", "weight among others on block devices: 10 to 1000")
	f.StringArrayVar(&l.weightDevices, "blkio-weight-device", nil, "that of one device: /dev/sda:200")
	f.StringArrayVar(&l.readBps, "device-read-bps", nil, "most bytes in a second: /dev/sda:1mb")
	f.StringArrayVar(&l.writeBps, "device-write-bps", nil, "the same of writing")
	f.StringArrayVar(&l.readIOps, "device-read-iops", nil, "most operations in a second: /dev/sda:1000")
	f.StringArrayVar(&l.writeIOps, "device-write-iops", nil, "the same of writing")
}

// runFlags declares the others.
func (l *limits) runFlags(f *flags.Set) {
	l.flags(f)
	f.BoolVar(&l.noKill, "oom-kill-disable", false, "not with cgroup v2")
	f.StringVar(&l.mode, "cgroups", "enabled", "enabled|disabled|no-conmon|split: whether the container gets a cgroup with its limits")
	f.StringVar(&l.parent, "cgroup-parent", "", "cgroup to make the container's in")
	f.StringArrayVar(&l.config, "cgroup-conf", nil, "FILE=VALUE of the container's cgroup")
}

// parse gives nil when nothing is limited.
func (l *limits) parse() (*container.Limits, error) {
	if err := l.refuse(); err != nil {
		return nil, err
	}
	c := &container.Limits{Parent: l.parent, CPUs: l.cpusetCPUs, Mems: l.cpusetMems, Conf: l.config}
	asked := l.parent != "" || l.cpusetCPUs != "" || l.cpusetMems != "" || len(l.config) > 0
	for _, one := range []struct {
		flag, text string
		set        func(string) error
	}{
		{"memory", l.memory, bytesTo(&c.Memory)}, {"memory-swap", l.swap, bytesTo(&c.Swap)}, {"memory-reservation", l.reservation, bytesTo(&c.Reservation)},
		{"cpus", l.cpus, func(text string) error { return cpusTo(c, text) }}, {"cpu-period", l.period, unsignedTo(&c.Period)}, {"cpu-quota", l.quota, numberTo(&c.Quota)},
		{"cpu-shares", l.shares, unsignedTo(&c.Shares)}, {"pids-limit", l.pids, numberTo(&c.PIDs)}, {"blkio-weight", l.weight, func(text string) error { return weightTo(&c.Weight, text) }},
	} {
		if one.text == "" || one.text == "0" { // docker's for none
			continue
		}
		asked = true
		if err := one.set(one.text); err != nil {
			return nil, fmt.Errorf("invalid value for %s: %w", one.flag, err)
		}
	}
	devices, err := l.devices(c)
	if err != nil || !asked && !devices {
		return nil, err
	}
	return c, l.consistent(c)
}

// refuse is for what cgroup v2 has nothing of.
func (l *limits) refuse() error {
	for _, one := range []struct {
		flag  string
		given bool
	}{{"memory-swappiness", l.swappiness != "-1"}, {"kernel-memory", l.kernelMemory != ""}, {"cpu-rt-period", l.realtimePeriod != ""}, {"cpu-rt-runtime", l.realtimeRuntime != ""}, {"oom-kill-disable", l.noKill}} {
		if one.given {
			return fmt.Errorf("--%s: not supported: cgroup v2 has no such limit", one.flag)
		}
	}
	switch l.mode {
	case "", "enabled", "no-conmon", "disabled":
	case "split":
		if l.parent != "" {
			return errors.New("cannot set --cgroup-parent with --cgroups=split")
		}
	default:
		return fmt.Errorf("--cgroups %s: enabled, disabled, no-conmon or split", l.mode)
	}
	return nil
}

func (l *limits) consistent(c *container.Limits) error {
	switch {
	case l.mode == "disabled":
		return errors.New("conflicting options: --cgroups=disabled leaves no cgroup to limit")
	case l.cpus != "" && (l.quota != "" || l.period != ""):
		return errors.New("--cpus and --cpu-quota or --cpu-period cannot be set together")
	case c.Swap > 0 && c.Memory == 0:
		return errors.New("invalid value for memory-swap: it is of memory and swap together: set --memory too")
	case c.Swap > 0 && c.Swap < c.Memory:
		return errors.New("minimum memory swap limit should be larger than memory limit, see usage")
	case c.Reservation > 0 && c.Memory > 0 && c.Reservation > c.Memory:
		return errors.New("minimum memory limit should be larger than memory reservation limit, see usage")
	case c.Period != 0 && (c.Period < 1000 || c.Period > 1000000):
		return errors.New("invalid value for cpu-period: 1000 to 1000000 microseconds")
	case c.Quota > 0 && c.Quota < 1000:
		return errors.New("invalid value for cpu-quota: at least 1000 microseconds")
	}
	for _, text := range c.Conf {
		name, _, ok := strings.Cut(text, "=")
		if !ok || strings.Contains(name, "/") || !strings.Contains(name, ".") || strings.HasPrefix(name, "cgroup.") {
			return fmt.Errorf("--cgroup-conf %s: FILE=VALUE, with a file of a controller, as memory.high", text)
		}
	}
	return nil
}

// numberOfBytes reads docker's sizes, which may have a fraction: 1.5g.
func numberOfBytes(text string) (int64, error) {
	number := strings.TrimRight(strings.ToLower(text), "ib")
	factor := 1.0
	if at := strings.IndexByte("kmgtp", (number + " ")[max(0, len(number)-1)]); at >= 0 {
		factor, number = math.Pow(1024, float64(at+1)), strings.TrimSpace(number[:len(number)-1])
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n < 0 || n*factor >= math.MaxInt64 || number == "" || strings.ContainsAny(number, "xnpe+") {
		return 0, fmt.Errorf("invalid size: '%s'", text)
	}
	return int64(n * factor), nil
}

func bytesTo(to *int64) func(string) error {
	return func(text string) (err error) {
		if text == "-1" {
			*to = -1
			return nil
		}
		*to, err = numberOfBytes(text)
		return err
	}
}

func numberTo(to *int64) func(string) error {
	return func(text string) (err error) {
		if *to, err = strconv.ParseInt(text, 10, 64); err == nil && *to < 0 {
			*to = -1
		}
		return err
	}
}

func unsignedTo(to *uint64) func(string) error {
	return func(text string) (err error) {
		*to, err = strconv.ParseUint(text, 10, 64)
		return err
	}
}

func cpusTo(c *container.Limits, text string) error {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || n < 0.01 || n > 1<<20 {
		return fmt.Errorf("a number of CPUs, at least 0.01: %q", text)
	}
	c.Quota, c.Period = int64(n*100000), 100000
	return nil
}

func weightTo(to *uint16, text string) error {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n < 10 || n > 1000 {
		return fmt.Errorf("a number from 10 to 1000: %q", text)
	}
	*to = uint16(n)
	return nil
}

func (l *limits) devices(c *container.Limits) (some bool, err error) {
	for _, text := range l.weightDevices {
		name, device, value, err := blockDevice("blkio-weight-device", text)
		w := container.DeviceWeight{Path: name, Device: device}
		if err == nil {
			err = weightTo(&w.Weight, value)
		}
		if err != nil {
			return false, err
		}
		c.DeviceWeights = append(c.DeviceWeights, w)
	}
	for _, kind := range []struct {
		flag, key string
		texts     []string
		bytes     bool
	}{{"device-read-bps", "rbps", l.readBps, true}, {"device-write-bps", "wbps", l.writeBps, true}, {"device-read-iops", "riops", l.readIOps, false}, {"device-write-iops", "wiops", l.writeIOps, false}} {
		for _, text := range kind.texts {
			r, err := deviceRate(kind.flag, kind.key, text, kind.bytes)
			if err != nil {
				return false, err
			}
			c.DeviceRates = append(c.DeviceRates, r)
		}
	}
	return len(c.DeviceWeights)+len(c.DeviceRates) > 0, nil
}

func deviceRate(flag, key, text string, isBytes bool) (r container.DeviceRate, err error) {
	name, device, value, err := blockDevice(flag, text)
	if err != nil {
		return r, err
	}
	r = container.DeviceRate{Path: name, Device: device, Kind: key}
	if isBytes {
		var n int64
		n, err = numberOfBytes(value)
		r.Rate = uint64(n)
	} else {
		r.Rate, err = strconv.ParseUint(value, 10, 64)
	}
	if err == nil && r.Rate == 0 {
		err = errors.New("a positive number")
	}
	if err != nil {
		return r, fmt.Errorf("--%s %s: invalid rate: %w", flag, text, err)
	}
	return r, nil
}

// blockDevice reads PATH:VALUE.
func blockDevice(flag, text string) (name, device, value string, err error) {
	name, value, ok := strings.Cut(text, ":")
	if !ok || !strings.HasPrefix(name, "/dev/") {
		return "", "", "", fmt.Errorf("--%s %s: /dev/DEVICE:VALUE", flag, text)
	}
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		return "", "", "", fmt.Errorf("--%s %s: looking at %s: %w", flag, text, name, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return "", "", "", fmt.Errorf("--%s %s: %s is no block device", flag, text, name)
	}
	return name, fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev)), value, nil
}
