package container

import (
	"os/exec"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A process that was stopped may have made another one that the look missed.
func TestHaltFindsWhatIsMadeMeanwhile(t *testing.T) {
	a, b := Process{PID: 1, Start: 1}, Process{PID: 2, Start: 2}
	looks := [][]member{
		{{Process: a, state: 'R'}},
		{{Process: a, state: 'T'}}, // b is there, at a number that was passed
		{{Process: a, state: 'T'}, {Process: b, state: 'S'}},
		{{Process: a, state: 'T'}, {Process: b, state: 'T'}},
		{{Process: a, state: 'T'}, {Process: b, state: 'T'}},
	}
	var sent []int
	n := 0
	err := halt(func() ([]member, error) { n++; return looks[n-1], nil }, func(p Process, s unix.Signal) error { sent = append(sent, p.PID); return nil })
	if err != nil || !slices.Equal(sent, []int{1, 2}) || n != len(looks) {
		t.Errorf("halt = %v after %d looks, sent to %v; want nil, %d, [1 2]", err, n, sent, len(looks))
	}
}

// A parent in vfork(2) stays in state D for as long as its child is stopped.
func TestHaltDoesNotWaitForVfork(t *testing.T) {
	looks := 0
	err := halt(func() ([]member, error) {
		looks++
		return []member{{Process: Process{PID: 1}, state: 'D'}, {Process: Process{PID: 2}, state: 'T'}}, nil
	},
		func(Process, unix.Signal) error { return nil })
	if err != nil || looks != 3 {
		t.Errorf("halt = %v after %d looks, want nil after 3", err, looks)
	}
}

func TestDescendants(t *testing.T) {
	all := []member{{Process: Process{PID: 9}, parent: 7}, {Process: Process{PID: 5}, parent: 1}, {Process: Process{PID: 7}, parent: 5}, {Process: Process{PID: 8}, parent: 1}}
	var got []int
	for _, m := range descendants(all, map[int]bool{5: true, 8: false}) {
		got = append(got, m.PID)
	}
	if !slices.Equal(got, []int{9, 5, 7}) {
		t.Errorf("descendants = %v, want [9 5 7]", got)
	}
}

// A process as a container has them: one in a namespace of its own, with another pid namespace within.
func TestMembersInNamespacesWithin(t *testing.T) {
	cmd := exec.Command("unshare", "-Urpf", "sh", "-c", "unshare -pf sleep 7654 & sleep 7654")
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Skip(err)
	}
	defer func() { _ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL); _ = cmd.Wait() }()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		for _, m := range childrenOf(t, cmd.Process.Pid) {
			i := &Info{State: State{Init: Process{PID: m}}}
			list, err := i.members()
			if err == nil && len(list) == 4 { // sh, unshare, and two that sleep
				return
			}
		}
	}
	t.Error("the processes in the namespace within were not found")
}

func childrenOf(t *testing.T, parent int) (list []int) {
	i := &Info{State: State{Init: process(unix.Getpid())}}
	all, err := i.members()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if m.parent == parent {
			list = append(list, m.PID)
		}
	}
	return list
}
