package userns

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Process is a program that was started and not yet waited for.
type Process struct {
	name  string
	child *Child
}

// ExitError is a program that ended with another status than 0.
type ExitError struct {
	Program string
	Status  unix.WaitStatus
}

// Error names the program and how it ended.
func (e *ExitError) Error() string {
	if e.Status.Signaled() {
		return fmt.Sprintf("%s: killed by %s", e.Program, e.Status.Signal())
	}
	return fmt.Sprintf("%s: exit status %d", e.Program, e.Status.ExitStatus())
}

// begun waits until the program is executed, once.
func (p *Process) begun() error {
	if p.child.script == nil {
		return nil
	}
	return p.child.Finish()
}

// PID is the process's number in our own pid namespace.
func (p *Process) PID() int { return p.child.PID }

// Signal sends a signal; one that has ended is left alone.
func (p *Process) Signal(s unix.Signal) {
	if !p.child.reaped {
		_ = unix.Kill(p.child.PID, s)
	}
}

// Wait waits for the program's end.
func (p *Process) Wait() error {
	if err := p.begun(); err != nil {
		return err
	}
	status, err := p.child.Wait()
	p.child.closePIDFD()
	if err != nil {
		return err
	}
	if !status.Exited() || status.ExitStatus() != 0 {
		return &ExitError{p.name, status}
	}
	return nil
}

// Command starts our own binary again under the name role, as root of a new
// user namespace with the maps. It has our standard streams and environment,
// and dies with us.
func Command(m Map, role string, args []string) (*Process, error) {
	return CommandWith(m, role, args, [3]int{0, 1, 2})
}

// CommandWith is Command with other standard streams.
func CommandWith(m Map, role string, args []string, stdio [3]int) (*Process, error) {
	return commandWith(m, role, args, stdio, Config{})
}

// CommandIn is CommandWith in a user namespace that exists.
func CommandIn(usernsFD int, role string, args []string, stdio [3]int) (*Process, error) {
	return commandIn(usernsFD, role, args, stdio, Config{})
}

// ServerWith is CommandWith for a process that does not die with us.
func ServerWith(m Map, role string, stdio [3]int) (*Process, error) {
	return commandWith(m, role, nil, stdio, Config{outlives: true})
}

// ServerIn is CommandIn for a process that does not die with us.
func ServerIn(usernsFD int, role string, stdio [3]int) (*Process, error) {
	return commandIn(usernsFD, role, nil, stdio, Config{outlives: true})
}

func commandWith(m Map, role string, args []string, stdio [3]int, c Config) (*Process, error) {
	c.Cloneflags, c.OwnFiles = unix.CLONE_NEWUSER|unix.CLONE_NEWNS, true
	return launch(NewScript(smallScript), "/proc/self/exe", append([]string{role}, args...), os.Environ(), stdio, c, &m)
}

func commandIn(usernsFD int, role string, args []string, stdio [3]int, c Config) (*Process, error) {
	s := NewScript(smallScript)
	s.Do("joining", "the user namespace", unix.SYS_SETNS, Int(usernsFD), Int(unix.CLONE_NEWUSER))
	s.Do("unsharing", "mounts", unix.SYS_UNSHARE, Int(unix.CLONE_NEWNS))
	for _, nr := range []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
		s.Do("becoming root of", "the user namespace", nr, Int(0), Int(0), Int(0))
	}
	s.Do("setting", "the parent-death signal", unix.SYS_PRCTL, Int(unix.PR_SET_PDEATHSIG), Int(int(unix.SIGKILL)), Int(0), Int(0), Int(0))
	s.Confirm()
	c.OwnFiles = true
	return launch(s, "/proc/self/exe", append([]string{role}, args...), os.Environ(), stdio, c, nil)
}

// Outside is no process for Program.
const Outside = -1

// Program starts a program as root in namespaces (CLONE_NEW*) of a process whose
// user namespace is ours; its path is found there. With Outside it is started
// among our own.
func Program(pidfd int, namespaces uintptr, path string, argv, env []string, stdio [3]int) (*Process, error) {
	s := NewScript(smallScript)
	if pidfd != Outside {
		// The process shares our memory, and hid it when its ids changed.
		_ = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
		s.Do("joining", "the container's namespaces", unix.SYS_SETNS, Int(pidfd), Int(namespaces))
		for _, nr := range []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
			s.Do("becoming root of", "the user namespace", nr, Int(0), Int(0), Int(0))
		}
		s.Do("setting", "the parent-death signal", unix.SYS_PRCTL, Int(unix.PR_SET_PDEATHSIG), Int(int(unix.SIGKILL)), Int(0), Int(0), Int(0))
		s.Confirm()
	}
	return launch(s, path, argv, env, stdio, Config{OwnFiles: true}, nil)
}

// launch runs a program after the steps of s, and returns when it is executed.
func launch(s *Script, path string, argv, env []string, stdio [3]int, c Config, m *Map) (*Process, error) {
	p, err := begin(s, path, argv, env, stdio, c, m)
	if err == nil {
		err = p.begun()
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// begin is launch without waiting. A descriptor of -1 is left out.
func begin(s *Script, path string, argv, env []string, stdio [3]int, c Config, m *Map) (*Process, error) {
	child, err := Clone(c)
	if err != nil {
		return nil, err
	}
	if m != nil {
		if err := child.WriteMaps(*m); err != nil {
			child.Kill()
			return nil, err
		}
		for _, nr := range []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
			s.Do("becoming root of", "the user namespace", nr, Int(0), Int(0), Int(0))
		}
		// A change of ids clears the signal that the prologue has set.
		s.Do("setting", "the parent-death signal", unix.SYS_PRCTL, Int(unix.PR_SET_PDEATHSIG), Int(int(unix.SIGKILL)), Int(0), Int(0), Int(0))
		s.Confirm()
	}
	for i, fd := range stdio {
		if fd >= 0 && fd != i {
			s.Do("setting descriptor", fmt.Sprint(i), unix.SYS_DUP3, Int(fd), Int(i), Int(0))
		}
	}
	if c.outlives { // here, as it is the thread's that executes: the program could not be sure to be on that
		s.Do("clearing", "the parent-death signal", unix.SYS_PRCTL, Int(unix.PR_SET_PDEATHSIG), Int(0), Int(0), Int(0), Int(0))
	}
	s.ExecAny([]string{path}, argv, env)
	child.Begin(s)
	return &Process{argv[0], child}, nil
}

// Session starts our own binary again under the name role, in a session of its
// own, with no input, with our descriptors from 3 to keep+2, and with report as
// the next. It dies with us unless it clears its parent-death signal.
func Session(role string, args []string, report, keep int) (*Process, error) {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening /dev/null: %w", err)
	}
	defer unix.Close(null)
	s := NewScript(smallScript)
	s.Do("starting session", "", unix.SYS_SETSID)
	return reporting(s, role, args, report, keep, null)
}

// Beside is Session without a session of its own, and with our input.
func Beside(role string, args []string, report, keep int) (*Process, error) {
	return reporting(NewScript(smallScript), role, args, report, keep, 0)
}

func reporting(s *Script, role string, args []string, report, keep, stdin int) (*Process, error) {
	high := s.Do("moving", "a descriptor", unix.SYS_FCNTL, Int(report), Int(unix.F_DUPFD_CLOEXEC), Int(4+keep)).Save()
	s.Do("moving", "a descriptor", unix.SYS_DUP3, high.Arg(), Int(3+keep), Int(0))
	s.Do("closing", "descriptors", unix.SYS_CLOSE_RANGE, Int(4+keep), Int(int64(^uint32(0))), Int(unix.CLOSE_RANGE_CLOEXEC)).Ignore()
	return launch(s, "/proc/self/exe", append([]string{role}, args...), os.Environ(), [3]int{stdin, 1, 2}, Config{OwnFiles: true}, nil)
}

// Forward passes signals on to the program from now on.
func (p *Process) Forward(signals ...unix.Signal) error { return p.child.Forward(signals...) }

// Detached starts a static program of ours, given as an ELF file, with files as
// its descriptors 3 and up and nothing else open. It does not die with us.
func Detached(elf []byte, name string, files ...int) (*Process, error) {
	fd, err := Memory(name, elf)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	child, err := Clone(Config{OwnFiles: true})
	if err != nil {
		return nil, err
	}
	s := NewScript(smallScript)
	s.Do("clearing", "the parent-death signal", unix.SYS_PRCTL, Int(unix.PR_SET_PDEATHSIG), Int(0), Int(0), Int(0), Int(0))
	var high []Slot
	for _, f := range append(files, fd) { // out of the way of 3 and up
		high = append(high, s.Do("moving", "a descriptor", unix.SYS_FCNTL, Int(f), Int(unix.F_DUPFD_CLOEXEC), Int(3+len(files)+1)).Save())
	}
	for i := range files {
		s.Do("moving", "a descriptor", unix.SYS_DUP3, high[i].Arg(), Int(3+i), Int(0))
	}
	for i := range 3 {
		s.Do("closing", "a descriptor", unix.SYS_CLOSE, Int(i)).Ignore()
	}
	s.Do("closing", "descriptors", unix.SYS_CLOSE_RANGE, Int(3+len(files)), Int(int64(^uint32(0))), Int(unix.CLOSE_RANGE_CLOEXEC)).Ignore()
	s.ExecFD(high[len(files)].Arg(), name, []string{name}, nil)
	if err := child.Run(s); err != nil {
		return nil, err
	}
	return &Process{name, child}, nil
}

// Memory makes a file in memory that holds a program. Since Linux 6.3 it must be
// said that it is to be executed (vm.memfd_noexec), which older ones refuse.
func Memory(name string, elf []byte) (fd int, err error) {
	if fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_EXEC); err == unix.EINVAL {
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	}
	if err != nil {
		return -1, fmt.Errorf("making a memory file for %s: %w", name, err)
	}
	if _, err := unix.Write(fd, elf); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("writing %s: %w", name, err)
	}
	return fd, nil
}
