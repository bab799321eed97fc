package container

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is what a container uses. One with a cgroup of its own has it counted
// by the kernel; else it is the sum of what /proc tells of the processes, and
// what those that ended have left to who waited for them: to their parents
// (cutime of proc_pid_stat(5), proc_pid_io(5)), or to exec (usedFile).
type Usage struct {
	At                time.Time
	CPU, System       time.Duration // all, and the kernel's part
	Memory            uint64        // bytes: proportional set size
	Limit             uint64        // bytes: its own, or the machine's memory
	NetIn, NetOut     uint64        // bytes of all devices but loopback
	BlockIn, BlockOut uint64        // bytes from and to storage
	PIDs              int
	Pressure          Pressure
}

// tick is the unit of proc_pid_stat(5): USER_HZ is 100 on all architectures
// that rl is for.
const tick = time.Second / 100

func microseconds(n uint64) time.Duration { return time.Duration(n) * time.Microsecond }

// Usage measures. The container must run.
func (i *Info) Usage() (u Usage, err error) {
	list, err := i.Processes()
	if err != nil {
		return u, err
	}
	u.At, u.PIDs = time.Now(), len(list)
	for _, p := range list {
		u.CPU += time.Duration(p.UTime+p.STime+p.CUTime+p.CSTime) * tick
		u.System += time.Duration(p.STime+p.CSTime) * tick
		dir := "/proc/" + strconv.Itoa(p.PID)
		if pss := fields(dir+"/smaps_rollup", "Pss:"); pss[0] > 0 {
			u.Memory += pss[0] << 10
		} else {
			u.Memory += p.RSS * uint64(unix.Getpagesize())
		}
		io := fields(dir+"/io", "read_bytes:", "write_bytes:")
		u.BlockIn, u.BlockOut = u.BlockIn+io[0], u.BlockOut+io[1]
	}
	u.Limit = fields("/proc/meminfo", "MemTotal:")[0] << 10
	u.accounted(i)
	u.fromCgroup(i.State.Cgroup)
	if i.Options.Network != NetworkHost { // that is the host's traffic
		u.NetIn, u.NetOut = traffic(i.State.Init.PID)
	}
	return u, nil
}

// fields reads numbers behind keys at the beginnings of lines.
func fields(file string, keys ...string) []uint64 {
	values := make([]uint64, len(keys))
	text, _ := readFile(file)
	for line := range strings.Lines(string(text)) {
		for n, key := range keys {
			if rest, ok := strings.CutPrefix(line, key); ok {
				if f := strings.Fields(rest); len(f) > 0 {
					values[n], _ = strconv.ParseUint(f[0], 10, 64)
				}
			}
		}
	}
	return values
}

// traffic sums the devices of a process's network namespace (proc_pid_net(5),
// dev): received bytes are the first number of a line, sent ones the ninth.
func traffic(pid int) (in, out uint64) {
	text, _ := readFile(fmt.Sprintf("/proc/%d/net/dev", pid))
	for line := range strings.Lines(string(text)) {
		name, rest, found := strings.Cut(strings.TrimSpace(line), ":")
		f := strings.Fields(rest)
		if !found || name == "lo" || len(f) < 9 {
			continue
		}
		received, _ := strconv.ParseUint(f[0], 10, 64)
		sent, _ := strconv.ParseUint(f[8], 10, 64)
		in, out = in+received, out+sent
	}
	return in, out
}
