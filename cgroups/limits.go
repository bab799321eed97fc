package cgroups

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limits are what a container may use (docker-run(1)). The zero value of each
// field means no limit; -1 takes one away, where docker has that.
type Limits struct {
	Parent string `json:",omitzero"` // cgroup to make its own in; "": the nearest that is ours

	Memory      int64  `json:",omitzero"` // bytes
	Swap        int64  `json:",omitzero"` // bytes of memory and swap together
	Reservation int64  `json:",omitzero"` // bytes that are taken last
	Quota       int64  `json:",omitzero"` // microseconds of CPU time in a period
	Period      uint64 `json:",omitzero"` // microseconds; 0: 100000
	Shares      uint64 `json:",omitzero"` // 2 to 262144, of which 1024 is usual
	CPUs        string `json:",omitzero"` // list, as 0-3,7
	Mems        string `json:",omitzero"`
	PIDs        int64  `json:",omitzero"`
	Weight      uint16 `json:",omitzero"` // of block devices: 10 to 1000

	DeviceWeights []DeviceWeight `json:",omitzero"`
	DeviceRates   []DeviceRate   `json:",omitzero"`
	Conf          []string       `json:",omitzero"` // FILE=VALUE, as they are
}

// DeviceWeight is a weight of one block device.
type DeviceWeight struct {
	Path   string
	Device string // MAJOR:MINOR
	Weight uint16
}

// DeviceRate is a limit for one block device.
type DeviceRate struct {
	Path   string
	Device string // MAJOR:MINOR
	Kind   string // rbps, wbps, riops or wiops: keys of io.max
	Rate   uint64
}

// usualPeriod is the kernel's own (cgroup-v2.rst, cpu.max).
const usualPeriod = 100000

// file is a value for a file of a cgroup (cgroup-v2.rst).
type file struct {
	name, value string
	flag        string // that asks for it
	optional    bool   // nobody asked for it by name
}

// files gives what is to be written, in this order.
func (l *Limits) files() (list []file) {
	add := func(there bool, name, value, flag string) {
		if there {
			list = append(list, file{name: name, value: value, flag: flag})
		}
	}
	add(l.Memory != 0, "memory.max", most(l.Memory), "--memory")
	switch {
	case l.Swap < 0:
		add(true, "memory.swap.max", "max", "--memory-swap")
	case l.Swap > 0:
		add(true, "memory.swap.max", strconv.FormatInt(l.Swap-max(l.Memory, 0), 10), "--memory-swap")
	case l.Memory > 0: // docker: as much swap as memory
		list = append(list, file{"memory.swap.max", strconv.FormatInt(l.Memory, 10), "--memory", true})
	}
	add(l.Reservation != 0, "memory.low", most(l.Reservation), "--memory-reservation")
	if l.Quota != 0 || l.Period != 0 {
		add(true, "cpu.max", fmt.Sprintf("%s %d", most(l.Quota), or(l.Period, usualPeriod)), "--cpus")
	}
	add(l.Shares != 0, "cpu.weight", strconv.FormatUint(weightOfShares(l.Shares), 10), "--cpu-shares")
	add(l.CPUs != "", "cpuset.cpus", l.CPUs, "--cpuset-cpus")
	add(l.Mems != "", "cpuset.mems", l.Mems, "--cpuset-mems")
	add(l.PIDs != 0, "pids.max", most(l.PIDs), "--pids-limit")
	add(l.Weight != 0, "io.weight", strconv.Itoa(weightOfBlkio(l.Weight)), "--blkio-weight")
	for _, w := range l.DeviceWeights {
		add(true, "io.weight", fmt.Sprintf("%s %d", w.Device, weightOfBlkio(w.Weight)), "--blkio-weight-device")
	}
	for _, r := range l.DeviceRates {
		add(true, "io.max", fmt.Sprintf("%s %s=%d", r.Device, r.Kind, r.Rate), rateFlags[r.Kind])
	}
	for _, text := range l.Conf {
		name, value, _ := strings.Cut(text, "=")
		add(true, name, value, "--cgroup-conf")
	}
	return list
}

var rateFlags = map[string]string{"rbps": "--device-read-bps", "wbps": "--device-write-bps", "riops": "--device-read-iops", "wiops": "--device-write-iops"}

// most: 0 and less are no limit.
func most(n int64) string {
	if n <= 0 {
		return "max"
	}
	return strconv.FormatInt(n, 10)
}

func or(n, other uint64) uint64 {
	if n == 0 {
		return other
	}
	return n
}

// weightOfShares maps [2, 262144] to [1, 10000], as runtimes agreed upon
// (crun(1), CGROUP v2).
func weightOfShares(shares uint64) uint64 {
	shares = min(max(shares, 2), 262144)
	return 1 + (shares-2)*9999/262142
}

// weightOfBlkio maps [10, 1000] to [1, 10000].
func weightOfBlkio(weight uint16) int { return 1 + (int(weight)-10)*9999/990 }

// Controllers are those that the limits need, and the flag that needs each.
func (l *Limits) Controllers() (names []string, flags map[string]string) {
	flags = map[string]string{}
	for _, f := range l.files() {
		name, _, _ := strings.Cut(f.name, ".")
		if name != "cgroup" && flags[name] == "" {
			names, flags[name] = append(names, name), f.flag
		}
	}
	slices.Sort(names)
	return names, flags
}

// Merge gives the limits with those of other that are set in place of its own.
func (l *Limits) Merge(other *Limits) *Limits {
	merged := Limits{}
	if l != nil {
		merged = *l
	}
	keep := func(to *int64, n int64) {
		if n != 0 {
			*to = n
		}
	}
	keep(&merged.Memory, other.Memory)
	keep(&merged.Swap, other.Swap)
	keep(&merged.Reservation, other.Reservation)
	keep(&merged.Quota, other.Quota)
	keep(&merged.PIDs, other.PIDs)
	merged.Period, merged.Shares = or(other.Period, merged.Period), or(other.Shares, merged.Shares)
	if other.CPUs != "" {
		merged.CPUs = other.CPUs
	}
	if other.Mems != "" {
		merged.Mems = other.Mems
	}
	if other.Weight != 0 {
		merged.Weight = other.Weight
	}
	merged.DeviceWeights = append(slices.Clone(merged.DeviceWeights), other.DeviceWeights...)
	merged.DeviceRates = append(slices.Clone(merged.DeviceRates), other.DeviceRates...)
	merged.Conf = append(slices.Clone(merged.Conf), other.Conf...)
	return &merged
}
