package userns

import (
	"errors"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// sleeper is a process in namespaces of its own.
func sleeper(t *testing.T) *Child {
	t.Helper()
	child := mustClone(t, Config{Cloneflags: newNamespaces, OwnFiles: true})
	if err := child.WriteMaps(ownMap(t)); err != nil {
		t.Fatal(err)
	}
	s := NewScript(smallScript)
	s.ExecAny([]string{"/bin/sleep"}, []string{"sleep", "100"}, nil)
	if err := child.Run(s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(child.Kill)
	return child
}

// joined runs a program in the sleeper's namespaces.
func joined(t *testing.T, inside *Script) (*Child, error) {
	t.Helper()
	first := sleeper(t)
	child := mustClone(t, Config{})
	s := NewScript(smallScript)
	s.Do("joining", "the namespaces", unix.SYS_SETNS, Int(first.PIDFD), Int(newNamespaces))
	s.Fork(inside)
	return child, child.Run(s)
}

// A child of the child is ours, and inside of the pid namespace.
func TestFork(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	inside := NewScript(smallScript)
	inside.Do("unsharing", "descriptors", unix.SYS_UNSHARE, Int(unix.CLONE_FILES))
	inside.Do("setting descriptor", "1", unix.SYS_DUP3, Int(int(w.Fd())), Int(1), Int(0))
	inside.ExecAny([]string{"/bin/sh"}, []string{"sh", "-c", "id -u; echo $$; exit 7"}, []string{"PATH=/bin:/usr/bin"})
	child, err := joined(t, inside)
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	out, _ := io.ReadAll(r)
	if got := string(out); got != "0\n2\n" {
		t.Errorf("output %q, want uid 0 and pid 2", got)
	}
	if child.PIDFD < 0 {
		t.Error("no pidfd")
	}
	if status, err := child.Wait(); err != nil || status.ExitStatus() != 7 {
		t.Errorf("status %v, %v, want 7", status, err)
	}
	if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid != 0 || err != nil {
		t.Errorf("a child is left: %d, %v, want only the sleeper", pid, err)
	}
}

// An error after the fork names its step, and one of the fork itself too.
func TestForkErrors(t *testing.T) {
	inside := NewScript(smallScript)
	inside.Do("changing directory to", "/proc/nowhere", unix.SYS_CHDIR, inside.Str("/proc/nowhere"))
	inside.ExecAny([]string{"/bin/true"}, []string{"true"}, nil)
	_, err := joined(t, inside)
	if step := new(StepError); !errors.As(err, &step) || step.Op != "changing directory to" || step.Err != unix.ENOENT {
		t.Errorf("after the fork: %v", err)
	}
	first := sleeper(t)
	first.Kill()
	child := mustClone(t, Config{})
	s := NewScript(smallScript)
	s.Do("joining", "the namespaces", unix.SYS_SETNS, Int(0), Int(newNamespaces))
	s.Fork(NewScript(0).exec())
	if err := child.Run(s); err == nil || err.Error() != "joining the namespaces: invalid argument" {
		t.Errorf("before the fork: %v", err)
	}
}

func (s *Script) exec() *Script {
	s.ExecAny([]string{"/bin/true"}, []string{"true"}, nil)
	return s
}

// What is sent while the child is no program yet comes to the program.
func TestHold(t *testing.T) {
	child := mustClone(t, Config{OwnFiles: true})
	defer child.Unforward()
	if err := child.Hold(unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(os.Getpid(), unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	s := NewScript(smallScript)
	s.ExecAny([]string{"/bin/sleep"}, []string{"sleep", "100"}, nil)
	if err := child.Run(s); err != nil {
		t.Fatal(err)
	}
	if err := child.Forward(); err != nil {
		t.Fatal(err)
	}
	if status, err := child.Wait(); err != nil || !status.Signaled() || status.Signal() != unix.SIGUSR1 {
		t.Errorf("status %v, %v, want an end by SIGUSR1", status, err)
	}
}
