package start

import (
	"reflect"
	"testing"

	"containers/rl/cli/flags"
	"containers/rl/container"
)

func parseLimits(t *testing.T, args ...string) (*container.Limits, error) {
	t.Helper()
	var l limits
	f := flags.New("run")
	l.runFlags(f)
	if err := f.Parse(args); err != nil {
		t.Fatal(err)
	}
	return l.parse()
}

func TestLimits(t *testing.T) {
	got, err := parseLimits(t, "-m", "1.5g", "--memory-swap=-1", "--memory-reservation", "64MiB", "--cpus", "1.5", "-c", "512", "--pids-limit", "-1", "--blkio-weight", "100", "--cpuset-cpus", "0-1", "--cgroup-conf", "memory.high=5")
	want := &container.Limits{Memory: 3 << 29, Swap: -1, Reservation: 64 << 20, Quota: 150000, Period: 100000, Shares: 512, PIDs: -1, Weight: 100, CPUs: "0-1", Conf: []string{"memory.high=5"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
	for _, none := range [][]string{nil, {"--memory", "0"}, {"--cgroups", "disabled"}, {"--pids-limit=0"}, {"--memory-swappiness", "-1"}} {
		if got, err := parseLimits(t, none...); got != nil || err != nil {
			t.Errorf("%q: %+v, %v", none, got, err)
		}
	}
	for _, bad := range [][]string{{"--memory", "foo"}, {"--memory", "-5m"}, {"--memory", "k"}, {"--memory", "1e3"}, {"--memory", "9999999999g"}, {"--memory-swap", "5m"},
		{"--memory", "9m", "--memory-swap", "5m"}, {"--memory", "1m", "--memory-reservation", "2m"}, {"--cpus", "-1"}, {"--cpus", "x"}, {"--cpus", "1", "--cpu-quota", "5000"},
		{"--cpu-period", "5"}, {"--cpu-quota", "5"}, {"--cpu-shares", "-1"}, {"--pids-limit", "x"}, {"--blkio-weight", "5"}, {"--blkio-weight-device", "x:5"}, {"--device-read-bps", "/dev/null:5"},
		{"--device-read-iops", "/dev/nowhere:5"}, {"--oom-kill-disable"}, {"--memory-swappiness", "5"}, {"--cpu-rt-period", "5"}, {"--cgroups", "x"}, {"--cgroups", "disabled", "-m", "5m"},
		{"--cgroups=split", "--cgroup-parent", "x"}, {"--cgroup-conf", "x"}, {"--cgroup-conf", "../x.y=1"}, {"--cgroup-conf", "cgroup.procs=1"}} {
		if got, err := parseLimits(t, bad...); err == nil {
			t.Errorf("%q is taken: %+v", bad, got)
		}
	}
}

func TestNumberOfBytes(t *testing.T) {
	for text, want := range map[string]int64{"1": 1, "1b": 1, "1k": 1024, "1KB": 1024, "2m": 2 << 20, "1.5g": 3 << 29, "1Gi": 1 << 30, "1gib": 1 << 30, "1t": 1 << 40} {
		if got, err := numberOfBytes(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
}
