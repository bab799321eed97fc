package userns

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const newNamespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET

func ownMap(t testing.TB) Map {
	t.Helper()
	m, _, err := FindMap(Self())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mustClone(t testing.TB, c Config) *Child {
	t.Helper()
	child, err := Clone(c)
	if err != nil {
		t.Fatalf("%v %v", err, Explain(err))
	}
	return child
}

// A program in a new user namespace sees itself as root, and its status comes back.
func TestRunAsRootOfNamespace(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	child := mustClone(t, Config{Cloneflags: newNamespaces, OwnFiles: true})
	if err := child.WriteMaps(ownMap(t)); err != nil {
		t.Fatal(err)
	}
	s := NewScript(smallScript)
	s.Do("setting user id", "0", unix.SYS_SETRESUID, Int(0), Int(0), Int(0))
	s.Do("setting descriptor", "1", unix.SYS_DUP3, Int(int(w.Fd())), Int(1), Int(0))
	s.ExecAny([]string{"/proc/nowhere/sh", "/bin/sh"}, []string{"sh", "-c", "id -u; echo $$; exit 7"}, []string{"PATH=/bin:/usr/bin"})
	if err := child.Run(s); err != nil {
		t.Fatal(err)
	}
	w.Close()
	out, _ := io.ReadAll(r)
	if got := string(out); got != "0\n1\n" {
		t.Errorf("output %q, want uid 0 and pid 1", got)
	}
	if status, err := child.Wait(); err != nil || status.ExitStatus() != 7 {
		t.Errorf("status %v, %v, want 7", status, err)
	}
}

func TestStepErrors(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		name  string
		build func(*Script)
		want  StepError
		text  string
	}{
		{"system call", func(s *Script) {
			s.Do("getting", "the pid", unix.SYS_GETPID)
			s.Do("opening", "/proc/nowhere", unix.SYS_OPENAT, Int(unix.AT_FDCWD), s.Str("/proc/nowhere"), Int(0), Int(0))
		}, StepError{Op: "opening", Object: "/proc/nowhere", Err: unix.ENOENT, Step: 1}, "opening /proc/nowhere: no such file or directory"},
		{"missing program", func(s *Script) { s.ExecAny([]string{"/bin/nowhere", "/proc/nowhere"}, []string{"nowhere"}, nil) },
			StepError{Op: "exec", Object: "nowhere", Err: unix.ENOENT, Step: 2}, `exec: "nowhere": executable file not found in $PATH`},
		{"closed program tells more than a missing one", func(s *Script) { s.ExecAny([]string{"/etc/passwd", "/proc/nowhere"}, []string{"p"}, nil) },
			StepError{Op: "exec", Object: "p", Err: unix.EACCES, Step: 2}, "exec p: permission denied"},
		{"name too long", func(s *Script) { s.ExecAny([]string{"/" + long}, []string{"l"}, nil) },
			StepError{Op: "exec", Object: "/" + long, Err: unix.ENAMETOOLONG, Step: 0}, "exec /" + long + ": file name too long"},
		{"unwanted result", func(s *Script) { s.Do("asking", "the pid", unix.SYS_GETPID).Want(0) },
			StepError{Op: "asking", Object: "the pid", Step: 0}, "asking the pid: failed"},
		{"killed", func(s *Script) {
			pid := s.Do("getting", "the pid", unix.SYS_GETPID).Save()
			s.Do("killing", "itself", unix.SYS_KILL, pid.Arg(), Int(int(unix.SIGKILL)))
			s.Do("waiting", "for the signal", unix.SYS_PPOLL, Int(0), Int(0), Int(0), Int(0))
		}, StepError{Op: "killing", Object: "itself", Step: 1, Signal: unix.SIGKILL}, "killing itself: killed by killed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			child := mustClone(t, Config{})
			s := NewScript(smallScript)
			c.build(s)
			err := child.Run(s)
			var step *StepError
			if !errors.As(err, &step) {
				t.Fatalf("got %v, want a StepError", err)
			}
			if *step != c.want || step.Error() != c.text {
				t.Errorf("got %+v %q, want %+v %q", *step, step, c.want, c.text)
			}
			if unix.Kill(child.PID, 0) != unix.ESRCH {
				t.Errorf("process %d is left", child.PID)
			}
		})
	}
}

// Jumps, ignored errors, results as arguments, and copies between buffers.
func TestScriptFlow(t *testing.T) {
	child := mustClone(t, Config{})
	s := NewScript(smallScript)
	out := make([]byte, 16)
	hit, missed, end := s.NewLabel(), s.NewLabel(), s.NewLabel()
	s.Do("opening", "/proc/nowhere", unix.SYS_OPENAT, Int(unix.AT_FDCWD), s.Str("/proc/nowhere"), Int(0), Int(0)).Ignore(unix.ENOENT)
	s.Do("opening", "/proc/nowhere", unix.SYS_OPENAT, Int(unix.AT_FDCWD), s.Str("/proc/nowhere"), Int(0), Int(0)).OrElse(hit)
	s.Jump(missed)
	s.Mark(hit)
	fd := s.Do("opening", "/proc/self/comm", unix.SYS_OPENAT, Int(unix.AT_FDCWD), s.Str("/proc/self/comm"), Int(unix.O_CLOEXEC), Int(0)).Save()
	s.Do("reading", "comm", unix.SYS_READ, fd.Arg(), s.Bytes(out), Int(8))
	s.Do("closing", "comm", unix.SYS_CLOSE, fd.Arg()).Then(end)
	s.Mark(missed)
	s.Do("must not", "come here", unix.SYS_CLOSE, Int(-1))
	s.Mark(end)
	s.Copy32(out, 8, out, 0)
	s.ExecAny([]string{"/bin/true"}, []string{"true"}, nil)
	if err := child.Run(s); err != nil {
		t.Fatal(err)
	}
	if _, err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	if out[0] == 0 || !bytes.Equal(out[:4], out[8:12]) {
		t.Errorf("buffer %q: not read, or not copied", out)
	}
}

func TestKilledChildLeavesNothing(t *testing.T) {
	before := openDescriptors(t)
	for range 50 {
		child := mustClone(t, Config{Cloneflags: newNamespaces})
		child.Kill()
		if unix.Kill(child.PID, 0) != unix.ESRCH {
			t.Fatalf("process %d is left", child.PID)
		}
	}
	if after := openDescriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// The child shares our memory while the collector and other threads work.
func TestManyChildrenUnderLoad(t *testing.T) {
	stop := make(chan struct{})
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = make([]byte, 1<<16)
					runtime.Gosched()
				}
			}
		})
	}
	n := 1000
	if testing.Short() {
		n = 100
	}
	for i := range n {
		child := mustClone(t, Config{OwnFiles: i%2 == 0})
		s := NewScript(smallScript)
		if i%10 == 0 {
			runtime.GC()
		}
		s.ExecAny([]string{"/bin/true"}, []string{"true"}, nil)
		if err := child.Run(s); err != nil {
			t.Fatal(err)
		}
		if status, err := child.Wait(); err != nil || status != 0 {
			t.Fatalf("child %d: status %v, %v", i, status, err)
		}
		child.closePIDFD()
	}
	close(stop)
	wait.Wait()
}

func TestExplainStep(t *testing.T) {
	eperm := &StepError{Op: "cloning", Err: syscall.EPERM}
	for _, c := range []struct {
		err   *StepError
		files map[string]string
		want  string
	}{
		{&StepError{Op: "cloning", Err: syscall.ENOSPC}, map[string]string{"/proc/sys/user/max_user_namespaces": "0"}, "sysctl -w user.max_user_namespaces="},
		{eperm, map[string]string{"/proc/sys/kernel/unprivileged_userns_clone": "0"}, "sysctl -w kernel.unprivileged_userns_clone=1"},
		{&StepError{Op: "making mounts private", Err: syscall.EACCES}, map[string]string{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"}, "apparmor_restrict_unprivileged_userns=0"},
		{eperm, map[string]string{"/proc/self/status": "Seccomp:\t2"}, "seccomp=unconfined"},
		{eperm, map[string]string{"/sys/module/apparmor/parameters/enabled": "Y"}, "AppArmor may deny"},
		{eperm, nil, ""},
		{&StepError{Op: execOp, Err: syscall.EACCES}, map[string]string{"/proc/sys/kernel/unprivileged_userns_clone": "0"}, ""},
	} {
		got := strings.Join(explainStep(c.err, func(p string) string { return c.files[p] }), "\n")
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%v with %v: %q, want %q", c.err, c.files, got, c.want)
		}
	}
}

func BenchmarkCloneAndExec(b *testing.B) {
	for b.Loop() {
		child := mustClone(b, Config{})
		s := NewScript(smallScript)
		s.ExecAny([]string{"/bin/true"}, []string{"true"}, nil)
		if err := child.Run(s); err != nil {
			b.Fatal(err)
		}
		if _, err := child.Wait(); err != nil {
			b.Fatal(err)
		}
		child.closePIDFD()
	}
}

// A signal to us is the child's, without any goroutine of ours.
func TestForward(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	child := mustClone(t, Config{OwnFiles: true})
	s := NewScript(smallScript)
	s.Do("setting descriptor", "1", unix.SYS_DUP3, Int(int(w.Fd())), Int(1), Int(0))
	// The trap ignores what comes after the first signal, else another would run it again before its exit.
	s.ExecAny([]string{"/bin/sh"}, []string{"sh", "-c", `trap "trap '' USR2; echo got; exit 3" USR2; echo up; while :; do sleep 0.05; done`}, []string{"PATH=/bin:/usr/bin"})
	if err := child.Run(s); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if child.PIDFD < 0 {
		t.Skip("needs pidfds (Linux 5.3)")
	}
	if err := child.Forward(unix.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	defer child.Unforward()
	up := make([]byte, 3)
	if _, err := io.ReadFull(r, up); err != nil {
		t.Fatal(err)
	}
	for range 50 { // to whichever thread the kernel chooses
		_ = unix.Kill(os.Getpid(), unix.SIGUSR2)
	}
	out, _ := io.ReadAll(r)
	status, err := child.Wait()
	if string(out) != "got\n" || err != nil || status.ExitStatus() != 3 {
		t.Errorf("output %q, status %v, %v", out, status, err)
	}
}
