package cli

import (
	"fmt"
	"strconv"
	"time"

	"containers/rl/container"
)

// statsRow is one container's usage. One that does not run has none.
type statsRow struct {
	info      *container.Info
	now, then container.Usage
	long      bool
}

// numbers are podman's ContainerStats, all that it has as numbers.
type numbers struct {
	AvgCPU                                       float64
	ContainerID, Name                            string
	PerCPU                                       []uint64
	CPU                                          float64
	CPUNano, CPUSystemNano                       uint64
	SystemNano                                   int64
	MemUsage, MemLimit                           uint64
	MemPerc                                      float64
	NetInput, NetOutput, BlockInput, BlockOutput uint64
	PIDs                                         uint64
	UpTime                                       time.Duration
	Duration                                     uint64
}

// statsColumns are docker's and podman's (docker-stats(1), podman-stats(1)), and
// the pressure that cgroups tell.
var statsColumns = map[string]column[statsRow]{
	"Container": {"CONTAINER", func(r statsRow) any { return r.id() }}, "ID": {"ID", func(r statsRow) any { return r.id() }},
	"ContainerID": {"CONTAINER ID", func(r statsRow) any { return r.info.ID }}, "Name": {"NAME", func(r statsRow) any { return r.info.Name() }},
	"CPUPerc": {"CPU %", func(r statsRow) any { return r.percent(r.cpu()) }}, "CPU": {"CPU", func(r statsRow) any { return r.cpu() }},
	"AVGCPU": {"AVG CPU %", func(r statsRow) any { return r.percent(r.average()) }}, "AvgCPU": {"AVG CPU", func(r statsRow) any { return r.average() }},
	"CPUNano": {"CPU NANO", func(r statsRow) any { return r.now.CPU.Nanoseconds() }}, "Duration": {"DURATION", func(r statsRow) any { return r.now.CPU.Nanoseconds() }},
	"CPUSystemNano": {"CPU SYSTEM NANO", func(r statsRow) any { return r.now.System.Nanoseconds() }}, "PerCPU": {"PER CPU", func(statsRow) any { return []uint64{} }},
	"SystemNano": {"SYSTEM NANO", func(r statsRow) any { return r.nano() }}, "Up": {"UP", func(r statsRow) any { return r.now.CPU.String() }},
	"UpTime": {"CPU TIME", func(r statsRow) any { return r.now.CPU }}, "CPUTime": {"CPU TIME", func(r statsRow) any { return r.now.CPU.String() }},
	"MemUsage":      {"MEM USAGE / LIMIT", func(r statsRow) any { return decimalPair(r.now.Memory, r.now.Limit) }},
	"MemUsageBytes": {"MEM USAGE / LIMIT", func(r statsRow) any { return binaryPair(r.now.Memory, r.now.Limit) }},
	"MemPerc":       {"MEM %", func(r statsRow) any { return r.percent(r.memory()) }}, "MemLimit": {"MEM LIMIT", func(r statsRow) any { return r.now.Limit }},
	"NetIO":    {"NET IO", func(r statsRow) any { return decimalPair(r.now.NetIn, r.now.NetOut) }},
	"NetInput": {"NET INPUT", func(r statsRow) any { return r.now.NetIn }}, "NetOutput": {"NET OUTPUT", func(r statsRow) any { return r.now.NetOut }},
	"BlockIO":    {"BLOCK IO", func(r statsRow) any { return decimalPair(r.now.BlockIn, r.now.BlockOut) }},
	"BlockInput": {"BLOCK INPUT", func(r statsRow) any { return r.now.BlockIn }}, "BlockOutput": {"BLOCK OUTPUT", func(r statsRow) any { return r.now.BlockOut }},
	"PIDs": {"PIDS", func(r statsRow) any { return r.now.PIDs }}, "PIDS": {"PIDS", func(r statsRow) any { return r.pids() }},
	"ContainerStats": {"CONTAINER STATS", func(r statsRow) any { return r.numbers() }},
	"CPUPressure":    {"CPU PRESSURE", func(r statsRow) any { return pressureText(r.now.Pressure.CPU) }},
	"MemPressure":    {"MEM PRESSURE", func(r statsRow) any { return pressureText(r.now.Pressure.Memory) }},
	"IOPressure":     {"IO PRESSURE", func(r statsRow) any { return pressureText(r.now.Pressure.IO) }},
}

const statsTable = "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDS}}\t{{.CPUTime}}\t{{.AVGCPU}}"

func (r statsRow) id() string {
	if r.long {
		return r.info.ID
	}
	return short(r.info.ID)
}

// none is what a table shows where there is nothing to be told.
const none = "--"

// decimalPair is docker's HumanSize of two numbers, with four digits.
func decimalPair(a, b uint64) string {
	return pairOf(a, b, 1000, []string{"B", "kB", "MB", "GB", "TB", "PB"})
}

func binaryPair(a, b uint64) string {
	return pairOf(a, b, 1024, []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"})
}

func pairOf(a, b uint64, base float64, units []string) string {
	if a == 0 && b == 0 {
		return none + " / " + none
	}
	size := func(n uint64) string {
		value, unit := float64(n), 0
		for value >= base && unit < len(units)-1 {
			value, unit = value/base, unit+1
		}
		return fmt.Sprintf("%.4g%s", value, units[unit])
	}
	return size(a) + " / " + size(b)
}

// percent: what does not run has no part in anything.
func (r statsRow) percent(value float64) string {
	if r.now.At.IsZero() {
		return none
	}
	return fmt.Sprintf("%.2f%%", value)
}

func pressureText(average string) string {
	if average == "" {
		return none
	}
	return average + "%"
}

// cpu is the part of one CPU between two measurements.
func (r statsRow) cpu() float64 {
	span := r.now.At.Sub(r.then.At)
	if r.then.At.IsZero() || span <= 0 || r.now.CPU < r.then.CPU {
		return 0
	}
	return 100 * float64(r.now.CPU-r.then.CPU) / float64(span)
}

// average is the part of one CPU since the container's start.
func (r statsRow) average() float64 {
	if r.now.At.IsZero() {
		return 0
	}
	return 100 * float64(r.now.CPU) / float64(max(r.now.At.Sub(r.info.State.Started), time.Millisecond))
}

func (r statsRow) memory() float64 { return 100 * float64(r.now.Memory) / float64(max(r.now.Limit, 1)) }

func (r statsRow) nano() int64 {
	if r.now.At.IsZero() {
		return 0
	}
	return r.now.At.UnixNano()
}

func (r statsRow) pids() string {
	if r.now.PIDs == 0 {
		return none
	}
	return strconv.Itoa(r.now.PIDs)
}

func (r statsRow) numbers() numbers {
	u := r.now
	return numbers{AvgCPU: r.average(), ContainerID: r.info.ID, Name: r.info.Name(), CPU: r.cpu(), CPUNano: uint64(u.CPU), CPUSystemNano: uint64(u.System), SystemNano: r.nano(),
		MemUsage: u.Memory, MemLimit: u.Limit, MemPerc: r.memory(), NetInput: u.NetIn, NetOutput: u.NetOut, BlockInput: u.BlockIn, BlockOutput: u.BlockOut,
		PIDs: uint64(u.PIDs), UpTime: u.CPU, Duration: uint64(u.CPU)}
}

type statsJSON struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	CPUTime  string `json:"cpu_time"`
	CPUPerc  string `json:"cpu_percent"`
	AVGCPU   string `json:"avg_cpu"`
	MemUsage string `json:"mem_usage"`
	MemPerc  string `json:"mem_percent"`
	NetIO    string `json:"net_io"`
	BlockIO  string `json:"block_io"`
	PIDs     string `json:"pids"`
}

func (r statsRow) json() statsJSON {
	return statsJSON{r.id(), r.info.Name(), r.now.CPU.String(), r.percent(r.cpu()), r.percent(r.average()), decimalPair(r.now.Memory, r.now.Limit), r.percent(r.memory()),
		decimalPair(r.now.NetIn, r.now.NetOut), decimalPair(r.now.BlockIn, r.now.BlockOut), r.pids()}
}
