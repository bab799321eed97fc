package userns

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// kept is a sleeping child with a keeper that waits.
func kept(t *testing.T) (keeper, child *Child) {
	t.Helper()
	keeper, child, err := CloneKept(Config{Cloneflags: newNamespaces})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { child.Kill(); keeper.Kill() })
	if err := child.WriteMaps(ownMap(t)); err != nil {
		t.Fatal(err)
	}
	s := NewScript(smallScript)
	s.Do("unsharing", "descriptors", unix.SYS_UNSHARE, Int(unix.CLONE_FILES))
	s.Do("setting", "the parent-death signal", unix.SYS_PRCTL, Int(unix.PR_SET_PDEATHSIG), Int(int(unix.SIGKILL)), Int(0), Int(0), Int(0))
	s.Confirm()
	s.ExecAny([]string{"/bin/sleep"}, []string{"sleep", "100"}, nil)
	if err := child.Run(s); err != nil {
		t.Fatal(err)
	}
	return keeper, child
}

func ended(fd, limit int) bool {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, limit)
		if err != unix.EINTR { // of SIGCHLD
			return n == 1
		}
	}
}

// The keeper is the child's parent, becomes a program, and takes the child along.
func TestKeeper(t *testing.T) {
	keeper, child := kept(t)
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child.PID))
	if err != nil {
		t.Fatal(err)
	}
	_, fields, _ := strings.Cut(string(stat), ") ")
	if parent := strings.Fields(fields)[1]; parent != fmt.Sprint(keeper.PID) {
		t.Errorf("the child's parent is %s, want the keeper, %d", parent, keeper.PID)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := NewScript(smallScript)
	s.Do("unsharing", "descriptors", unix.SYS_UNSHARE, Int(unix.CLONE_FILES))
	s.Do("setting descriptor", "1", unix.SYS_DUP3, Int(int(w.Fd())), Int(1), Int(0))
	s.ExecAny([]string{"/bin/sh"}, []string{"sh", "-c", "echo $$; read wait </dev/zero"}, nil)
	if err := keeper.Next(s); err != nil {
		t.Fatal(err)
	}
	w.Close()
	buffer := make([]byte, 16)
	n, _ := r.Read(buffer)
	if got := strings.TrimSpace(string(buffer[:n])); got != fmt.Sprint(keeper.PID) {
		t.Errorf("the program has number %s, want %d", got, keeper.PID)
	}
	if ended(child.PIDFD, 100) {
		t.Fatal("the child has ended with what its keeper was")
	}
	_ = unix.Kill(keeper.PID, unix.SIGKILL)
	if !ended(child.PIDFD, 5000) {
		t.Error("the child is left")
	}
	if _, err := io.ReadAll(r); err != nil {
		t.Error(err)
	}
}

// A keeper that is gone is an error, and so is one that becomes nothing.
func TestKeeperErrors(t *testing.T) {
	keeper, child := kept(t)
	_ = unix.Kill(keeper.PID, unix.SIGKILL)
	if !ended(child.PIDFD, 5000) {
		t.Error("the child of a waiting keeper is left")
	}
	err := keeper.Next(NewScript(0).exec())
	if step := new(StepError); !errors.As(err, &step) || step.Signal != unix.SIGKILL {
		t.Errorf("a killed keeper: %v", err)
	}
	keeper, _ = kept(t)
	s := NewScript(smallScript)
	s.Do("changing directory to", "/proc/nowhere", unix.SYS_CHDIR, s.Str("/proc/nowhere"))
	err = keeper.Next(s.exec())
	if step := new(StepError); !errors.As(err, &step) || step.Op != "changing directory to" || step.Err != unix.ENOENT {
		t.Errorf("a failing step: %v", err)
	}
	_, _, err = CloneKept(Config{Cloneflags: unix.CLONE_NEWNS})
	if os.Geteuid() != 0 && !errors.Is(err, unix.EPERM) {
		t.Errorf("a child that may not be made: %v", err)
	}
}
