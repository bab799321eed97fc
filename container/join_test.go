package container

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

// TestFamily: who belongs, and what descends from those, in a pid namespace
// that others use too.
func TestFamily(t *testing.T) {
	process := func(pid, parent int) Proc { return Proc{Process: Process{PID: pid}, Parent: parent} }
	all := []Proc{process(1, 0), process(2, 1), process(3, 2), process(4, 0), process(5, 4), process(6, 7), process(7, 6)}
	for _, test := range []struct {
		belongs map[int]bool
		want    []int
	}{
		{map[int]bool{1: true}, []int{1, 2, 3}},
		{map[int]bool{4: true, 3: true}, []int{3, 4, 5}},
		{map[int]bool{}, nil},
	} {
		var got []int
		for _, p := range family(all, test.belongs) {
			got = append(got, p.PID)
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("family(%v) = %v, want %v", test.belongs, got, test.want)
		}
	}
}

// TestJoinsMounts: what shows a namespace can be mounted by its owner alone.
func TestJoinsMounts(t *testing.T) {
	kinds := func(o *Options) map[string]string {
		m := map[string]string{}
		for _, mount := range defaultMounts(o) {
			m[mount.Destination] = mount.Type
		}
		return m
	}
	for _, test := range []struct {
		o    Options
		want map[string]string
	}{
		{Options{}, map[string]string{"/proc": "proc", "/dev/shm": "tmpfs", "/dev/mqueue": "mqueue", "/sys": "sysfs"}},
		{Options{Network: NetworkJoined, Joins: &Joins{Network: "container:x", IPC: "container:x"}}, map[string]string{"/proc": "proc", "/dev/shm": typeShm, "/dev/mqueue": "mqueue", "/sys": "sysfs"}},
		{Options{Network: NetworkJoined, Joins: &Joins{Network: "ns:x", IPC: "ns:x", PID: "ns:x", foreign: ^uintptr(0)}}, map[string]string{"/proc": "bind", "/dev/shm": "tmpfs", "/sys": "bind"}},
		{Options{HostIPC: true, Joins: &Joins{IPC: "container:x"}}, map[string]string{"/proc": "proc", "/dev/shm": "bind", "/sys": "sysfs"}},
		{Options{NoShm: true}, map[string]string{"/proc": "proc", "/dev/mqueue": "mqueue", "/sys": "sysfs"}},
	} {
		got := kinds(&test.o)
		delete(got, "/dev")
		delete(got, "/dev/pts")
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("mounts = %v, want %v", got, test.want)
		}
	}
}

// The number of a mount namespace may be another container's by now: only who sees what is mounted of this one is killed.
func TestKillSpace(t *testing.T) {
	const id = "0123456789abcdef"
	dir := filepath.Join(t.TempDir(), id, "upper")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "-Urm", "sh", "-c", `mount --bind "$0" "$0" && echo && exec sleep 1000`, dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	go func() { ended <- cmd.Wait() }()
	name := space(cmd.Process.Pid)
	killSpace(name, "fedcba9876543210")
	select {
	case <-ended:
		t.Fatal("it was killed for another container")
	case <-time.After(50 * time.Millisecond):
	}
	killSpace(name, id)
	<-ended
}
