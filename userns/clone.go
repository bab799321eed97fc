package userns

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Config says how a child is cloned.
type Config struct {
	Cloneflags uintptr // CLONE_NEW*
	OwnFiles   bool    // a copy of the descriptor table, not the table itself
}

// Child is a process that waits in our memory, or the program it became.
type Child struct {
	PID    int
	PIDFD  int // -1: the kernel has none
	arena  []byte
	block  *block
	saved  sigset
	reset  []int // signals that Go handles
	reaped bool
	status unix.WaitStatus
}

// stackSize: the interpreter is two small frames deep.
const stackSize = 64 << 10

type sigset uint64

// Clone makes a child that waits for Run. Its parent-death signal comes from
// the calling thread; Go ends no thread but that of a goroutine which ends
// while it is locked to it.
func Clone(c Config) (*Child, error) {
	arena, err := unix.Mmap(-1, 0, stackSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("mapping a stack of %d bytes: %w", stackSize, err)
	}
	// The block lies at the low end, the stack grows down from the high end.
	child := &Child{PIDFD: -1, arena: arena, block: (*block)(unsafe.Pointer(&arena[0]))}
	flags := c.Cloneflags | unix.CLONE_VM | unix.CLONE_CHILD_CLEARTID | uintptr(unix.SIGCHLD)
	if !c.OwnFiles {
		flags |= unix.CLONE_FILES
	}
	errno := child.clone(flags | unix.CLONE_PIDFD)
	if errno == unix.EINVAL {
		errno = child.clone(flags) // before Linux 5.2
	}
	if errno != 0 {
		_ = unix.Munmap(arena)
		return nil, &StepError{Op: "cloning", Object: "a process in new namespaces", Err: errno}
	}
	return child, nil
}

// clone blocks all signals around the call: one that came to the child would
// run Go's handler on Go's data.
func (c *Child) clone(flags uintptr) syscall.Errno {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c.block.word, c.block.release = 1, 0
	top := (uintptr(unsafe.Pointer(&c.arena[0])) + stackSize - 128) &^ 15
	pidfd := (*int32)(unsafe.Pointer(&c.arena[unsafe.Sizeof(block{})]))
	*pidfd = -1
	all := ^sigset(0)
	sigprocmask(&all, &c.saved)
	pid := rawClone(flags, top, pidfd, &c.block.word, c.block, entry())
	sigprocmask(&c.saved, nil)
	if int(pid) < 0 {
		return syscall.Errno(-pid)
	}
	c.PID, c.PIDFD = int(pid), int(*pidfd)
	if flags&unix.CLONE_PIDFD == 0 {
		c.PIDFD = -1
	}
	c.reset = handled()
	return 0
}

func sigprocmask(set, old *sigset) {
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), unsafe.Sizeof(*set), 0, 0)
}

// sigaction is the kernel's struct, not libc's.
type sigaction struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

// handled are the signals with a handler, which an unblocked child must not
// run. Go's runtime sets its handlers when it starts.
var handled = sync.OnceValue(func() []int {
	var list []int
	for s := 1; s <= 64; s++ {
		var old sigaction
		_, _, e := syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), 0, uintptr(unsafe.Pointer(&old)), 8, 0, 0)
		if e == 0 && old.handler > 1 { // neither SIG_DFL nor SIG_IGN
			list = append(list, s)
		}
	}
	return list
})

// Run lets the child run the script and returns when it has executed its
// program, or with the *StepError of the step that failed.
func (c *Child) Run(s *Script) error {
	full := c.prologue()
	shift := len(full.ops)
	s.link(shift)
	full.ops, full.names = append(full.ops, s.ops...), append(full.names, s.names...)
	results := make([]uintptr, s.slots+1)
	b := c.block
	b.ops, b.count, b.results = &full.ops[0], uintptr(len(full.ops)), &results[0]
	c.wake()
	c.left()
	runtime.KeepAlive(results)
	runtime.KeepAlive(s)
	runtime.KeepAlive(full)
	return c.outcome(full, shift)
}

// prologue: handlers first, then the mask, so that no handler of Go's runs in
// the child; the death signal before anything that can take long.
func (c *Child) prologue() *Script {
	s := &Script{}
	action := s.Bytes(make([]byte, unsafe.Sizeof(sigaction{})))
	for _, signal := range c.reset {
		s.Do("resetting the handler of signal", fmt.Sprint(signal), unix.SYS_RT_SIGACTION, Int(signal), action, Int(0), Int(8)).Ignore(unix.EINVAL)
	}
	s.Do("setting", "the parent-death signal", unix.SYS_PRCTL, Int(unix.PR_SET_PDEATHSIG), Int(int(unix.SIGKILL)), Int(0), Int(0), Int(0))
	mask := s.Bytes((*[8]byte)(unsafe.Pointer(&c.saved))[:])
	s.Do("restoring", "the signal mask", unix.SYS_RT_SIGPROCMASK, Int(unix.SIG_SETMASK), mask, Int(0), Int(8))
	return s
}

func (c *Child) wake() {
	atomic.StoreUint32(&c.block.release, 1)
	_, _, _ = syscall.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&c.block.release)), futexWake, 1, 0, 0, 0)
}

// left waits until the child uses our memory no more: the kernel then clears
// the word and wakes us (set_tid_address(2)). It is a blocking system call to
// the scheduler, so the collector does not wait for it.
func (c *Child) left() {
	for word := &c.block.word; atomic.LoadUint32(word) != 0; {
		_, _, _ = syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWait, 1, 0, 0, 0)
	}
}

// outcome reads the record before the memory is given back.
func (c *Child) outcome(full *Script, shift int) error {
	b := *c.block
	c.forget()
	step := full.names[min(int(b.at), len(full.names)-1)]
	e := &StepError{Op: step.op, Object: step.object, Step: int(b.at) - shift, Err: syscall.Errno(b.errno)}
	if b.failed != 0 {
		_, _ = c.Wait()
		c.closePIDFD()
		return e
	}
	if step.op == execOp {
		return nil // how the program ended is for Wait to say
	}
	status, err := c.Wait()
	if err != nil {
		return err
	}
	e.Signal = status.Signal()
	c.closePIDFD()
	return e
}

func (c *Child) forget() {
	if c.arena != nil {
		_ = unix.Munmap(c.arena)
		c.arena, c.block = nil, nil
	}
}

func (c *Child) closePIDFD() {
	if c.PIDFD >= 0 {
		_ = unix.Close(c.PIDFD)
		c.PIDFD = -1
	}
}

// Kill ends the child at any moment and frees what it held.
func (c *Child) Kill() {
	if c.reaped {
		return
	}
	_ = unix.Kill(c.PID, unix.SIGKILL)
	_, _ = c.Wait()
	c.forget()
	c.closePIDFD()
}

// Wait waits for the end of the child; a second call gives the same answer.
func (c *Child) Wait() (unix.WaitStatus, error) {
	if c.reaped {
		return c.status, nil
	}
	for {
		_, err := unix.Wait4(c.PID, &c.status, 0, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return c.status, fmt.Errorf("waiting for process %d: %w", c.PID, err)
		}
		c.reaped = true
		return c.status, nil
	}
}
