package cgroups

import (
	"errors"
	"os"
	"path"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

func TestFiles(t *testing.T) {
	l := Limits{Memory: 1 << 20, Swap: 3 << 20, Reservation: 1 << 19, Quota: 150000, Shares: 1024, CPUs: "0-1", PIDs: -1, Weight: 10,
		DeviceRates: []DeviceRate{{"/dev/x", "8:0", "rbps", 5}}, Conf: []string{"memory.high=7"}}
	var got []string
	for _, f := range l.files() {
		got = append(got, f.name+" "+f.value)
	}
	want := []string{"memory.max 1048576", "memory.swap.max 2097152", "memory.low 524288", "cpu.max 150000 100000", "cpu.weight 39", "cpuset.cpus 0-1", "pids.max max",
		"io.weight 1", "io.max 8:0 rbps=5", "memory.high 7"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	if names, _ := l.Controllers(); strings.Join(names, " ") != "cpu cpuset io memory pids" {
		t.Errorf("controllers %q", names)
	}
	if list := (&Limits{Memory: 5}).files(); len(list) != 2 || !list[1].optional {
		t.Errorf("memory alone: %+v", list)
	}
	if names, _ := (&Limits{Parent: "x"}).Controllers(); len(names) != 0 {
		t.Errorf("nothing needs %q", names)
	}
}

func TestWeights(t *testing.T) {
	for shares, want := range map[uint64]uint64{0: 1, 2: 1, 1024: 39, 262144: 10000, 1 << 40: 10000} {
		if got := weightOfShares(shares); got != want {
			t.Errorf("shares %d: %d, want %d", shares, got, want)
		}
	}
	if low, high := weightOfBlkio(10), weightOfBlkio(1000); low != 1 || high != 10000 {
		t.Errorf("%d, %d", low, high)
	}
}

func TestMerge(t *testing.T) {
	l := &Limits{Memory: 1, PIDs: 5, Conf: []string{"a=1"}}
	got := l.Merge(&Limits{Memory: 2, Shares: 7, Conf: []string{"b=2"}})
	if want := (&Limits{Memory: 2, PIDs: 5, Shares: 7, Conf: []string{"a=1", "b=2"}, DeviceWeights: got.DeviceWeights, DeviceRates: got.DeviceRates}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if l.Memory != 1 || len(l.Conf) != 1 {
		t.Error("the old limits are changed")
	}
	if got := (*Limits)(nil).Merge(&Limits{PIDs: 3}); got.PIDs != 3 {
		t.Errorf("%+v", got)
	}
}

// tree is a cgroup file system of plain files: what the kernel refuses is not
// refused here, but what is looked at and written is the same.
func tree(t *testing.T, files map[string]string) hierarchy {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		if err := os.MkdirAll(path.Dir(path.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return hierarchy{root, func() bool { return true }, func() (string, error) { return path.Join(root, "a/b"), nil }}
}

// The nearest cgroup that can hand the controllers on is taken.
func TestParent(t *testing.T) {
	files := map[string]string{"a/b/cgroup.procs": strconv.Itoa(os.Getpid()), "a/b/cgroup.controllers": "memory pids", "a/b/cgroup.subtree_control": "memory",
		"a/cgroup.procs": "", "a/cgroup.controllers": "cpu memory pids", "a/cgroup.subtree_control": "cpu memory pids", "cgroup.procs": "", "cgroup.controllers": "cpu memory pids"}
	h := tree(t, files)
	for _, c := range []struct {
		limits Limits
		want   string
	}{{Limits{Memory: 1}, "/a/b"}, {Limits{Shares: 5}, "/a"}, {Limits{PIDs: 5}, "/a"}} {
		if got, err := h.parent(&c.limits); err != nil || got != h.root+c.want {
			t.Errorf("%+v: %s, %v", c.limits, got, err)
		}
	}
	if err := os.WriteFile(h.root+"/a/cgroup.subtree_control", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := h.parent(&Limits{PIDs: 5}); err != nil || got != h.root+"/a/b" {
		t.Errorf("%s, %v", got, err)
	}
	text, err := os.ReadFile(h.root + "/a/b/cgroup.subtree_control")
	if err != nil || !strings.HasPrefix(string(text), "+pids") {
		t.Errorf("%q, %v", text, err)
	}
	_, err = h.parent(&Limits{CPUs: "0"})
	var missing *MissingError
	if !errors.As(err, &missing) || !reflect.DeepEqual(missing.Controllers, []string{"cpuset"}) {
		t.Fatalf("%v", err)
	}
	for _, word := range []string{"--cpuset-cpus", "cpuset", "Delegate=", "daemon-reload"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%s: no %s", err, word)
		}
	}
	h.unified = func() bool { return false }
	if _, err := h.make("x", &Limits{Memory: 1}); err == nil || !strings.Contains(err.Error(), "systemd.unified_cgroup_hierarchy=1") {
		t.Errorf("cgroup v1: %v", err)
	}
}

// A limit that cannot be set leaves no cgroup.
func TestMake(t *testing.T) {
	h := tree(t, map[string]string{"a/b/cgroup.procs": "", "a/b/cgroup.controllers": "memory", "a/b/cgroup.subtree_control": "memory"})
	if _, err := h.make("x", &Limits{Memory: 1}); err == nil || !strings.Contains(err.Error(), "--memory") {
		t.Errorf("%v", err) // there is no memory.max
	}
	if _, err := os.Stat(h.root + "/a/b/rl-x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left: %v", err)
	}
	if g, err := h.make("y", &Limits{Parent: "c"}); err != nil || g.Dir != h.root+"/a/b/c/rl-y" {
		t.Errorf("%+v, %v", g, err)
	}
}

func TestValue(t *testing.T) {
	g := &Group{t.TempDir()}
	for name, text := range map[string]string{"one": "42\n", "keys": "a 1\nb 2\n", "max": "max\n"} {
		if err := os.WriteFile(path.Join(g.Dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		file, key string
		want      uint64
		ok        bool
	}{{"one", "", 42, true}, {"keys", "b", 2, true}, {"keys", "c", 0, false}, {"max", "", 0, false}, {"none", "", 0, false}} {
		if got, ok := g.Value(c.file, c.key); got != c.want || ok != c.ok {
			t.Errorf("%s %s: %d, %v", c.file, c.key, got, ok)
		}
	}
}
