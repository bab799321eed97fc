package userns

import (
	"fmt"
	"os"
	"strconv"
	"strings"
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
	outlives   bool    // it does not die with us
}

// Child is a process that waits in our memory, or the program it became.
type Child struct {
	PID       int
	PIDFD     int // -1: the kernel has none
	arena     []byte
	block     *block
	saved     sigset
	reset     []int // signals that Go handles; none when the kernel has reset them
	first     *Script
	script    *Script // running; what the child reads must stay where it is
	fork      *cloneArgs
	forwarded []forwarded
	reaped    bool
	status    unix.WaitStatus
	used      unix.Rusage
	kept      bool // a keeper's child
	met       int  // how many meetings of the script are over
	refused   error
	earlier   *Script
}

// stackSize: the interpreter is two small frames deep.
const stackSize = 64 << 10

type sigset uint64

// Clone makes a child that waits for Run. Its parent-death signal comes from
// the calling thread; Go ends no thread but that of a goroutine which ends
// while it is locked to it.
func Clone(c Config) (*Child, error) {
	child, err := newChild()
	if err != nil {
		return nil, err
	}
	flags := c.Cloneflags | unix.CLONE_VM | unix.CLONE_CHILD_CLEARTID
	if !c.OwnFiles {
		flags |= unix.CLONE_FILES
	}
	// clone3(2) with CLONE_CLEAR_SIGHAND needs Linux 5.5, and filters of outer
	// containers hide it; CLONE_PIDFD needs 5.2.
	errno := child.clone(flags | unix.CLONE_PIDFD | cloneClearSighand)
	if errno == unix.ENOSYS || errno == unix.EINVAL || errno == unix.EPERM {
		errno = child.clone(flags | unix.CLONE_PIDFD)
	}
	if errno == unix.EINVAL {
		errno = child.clone(flags)
	}
	if errno != 0 {
		child.forget()
		return nil, &StepError{Op: "cloning", Object: "a process in new namespaces", Err: errno}
	}
	return child, nil
}

// newChild has a stack, and no process yet.
func newChild() (*Child, error) {
	arena, err := unix.Mmap(-1, 0, stackSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("mapping a stack of %d bytes: %w", stackSize, err)
	}
	// The block lies at the low end, the stack grows down from the high end.
	return &Child{PIDFD: -1, arena: arena, block: (*block)(unsafe.Pointer(&arena[0]))}, nil
}

// cloneClearSighand resets the handlers of the child: sixty system calls less.
const cloneClearSighand = 1 << 32

// cloneArgs is struct clone_args of clone3(2), CLONE_ARGS_SIZE_VER0.
type cloneArgs struct {
	flags, pidfd, childTID, _, exitSignal, stack, stackSize, _ uint64
}

func (c *Child) clone(flags uintptr) syscall.Errno {
	args, pidfd := c.arguments(flags), c.pidfdWord()
	all := ^sigset(0)
	pid := masked(&all, &c.saved, args, c.block, entry())
	if int(pid) < 0 {
		return syscall.Errno(-pid)
	}
	c.PID, c.PIDFD, c.reset = int(pid), int(*pidfd), nil
	if flags&cloneClearSighand == 0 {
		c.reset = handled()
	}
	return 0
}

// arguments are those of the clone, with all that the child finds when it begins.
func (c *Child) arguments(flags uintptr) *cloneArgs {
	c.block.word, c.block.release = wordRuns, 0
	c.block.parent, c.block.tick = pollFD{fd: int32(Supervisor()), events: unix.POLLIN}, [2]int64{0, waitTick}
	const room = stackSize - 128
	pidfd := c.pidfdWord()
	*pidfd = -1
	args := &cloneArgs{flags: uint64(flags), childTID: uint64(uintptr(unsafe.Pointer(&c.block.word))), exitSignal: uint64(unix.SIGCHLD),
		stack: uint64(uintptr(unsafe.Pointer(&c.arena[0]))), stackSize: room}
	if flags&unix.CLONE_PIDFD != 0 {
		args.pidfd = uint64(uintptr(unsafe.Pointer(pidfd)))
	}
	return args
}

// masked blocks all signals around the call: one that came to the child would
// run Go's handler on Go's data. Nothing in here lets another goroutine have
// the thread, so it need not be locked, which would start a thread the first
// time.
//
//go:nosplit
//go:norace
func masked(all, saved *sigset, args *cloneArgs, b *block, entry uintptr) (pid uintptr) {
	sigprocmask(all, saved)
	if args.flags&cloneClearSighand != 0 {
		pid = rawClone3(args, b, entry)
	} else {
		pid = rawClone(args, b, entry)
	}
	sigprocmask(saved, nil)
	return pid
}

//go:nosplit
//go:norace
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
	c.Begin(s)
	return c.Finish()
}

// Begin lets the child run the script. What the script names must stay as it
// is until Finish.
func (c *Child) Begin(s *Script) {
	c.first, c.script = c.prologue(), s
	s.link()
	s.results = make([]uintptr, s.slots+1)
	b := c.block
	b.ops, b.count = c.first.address(), uintptr(len(c.first.ops))
	b.next, b.results = 0, uintptr(unsafe.Pointer(&s.results[0]))
	if len(s.ops) > 0 {
		b.next, b.nextCount = s.address(), uintptr(len(s.ops))
	}
	if s.inside != nil {
		c.prepareFork(s.inside)
	}
	c.wake()
}

// prepareFork: the stack of the second child is the lower half of the first
// one's, above the block.
func (c *Child) prepareFork(inside *Script) {
	inside.link()
	inside.results = make([]uintptr, inside.slots+1)
	pidfd := c.pidfdWord()
	*pidfd = -1
	c.fork = &cloneArgs{flags: unix.CLONE_VM | unix.CLONE_VFORK | unix.CLONE_FILES | unix.CLONE_PARENT | unix.CLONE_PIDFD,
		pidfd: uint64(uintptr(unsafe.Pointer(pidfd))), stack: uint64(uintptr(unsafe.Pointer(&c.arena[0]))), stackSize: stackSize / 2}
	b := c.block
	b.fork, b.entry = c.fork, entry()
	b.inside, b.insideSize, b.insideRes = inside.address(), uintptr(len(inside.ops)), uintptr(unsafe.Pointer(&inside.results[0]))
}

// pidfdWord is where the kernel writes the descriptor.
func (c *Child) pidfdWord() *int32 { return (*int32)(unsafe.Pointer(&c.arena[unsafe.Sizeof(block{})])) }

// Finish waits for what Begin began, as Run does.
func (c *Child) Finish() error {
	c.left()
	return c.outcome()
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
	word := &c.block.word
	for v := atomic.LoadUint32(word); v != 0 && v != wordPaused; v = atomic.LoadUint32(word) {
		if v == wordConfirm {
			c.confirm()
			continue
		}
		if v == wordMeet {
			c.meet()
			continue
		}
		_, _, _ = syscall.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWait, uintptr(v), 0, 0, 0)
	}
}

func (c *Child) confirm() {
	b := c.block
	atomic.StoreUint32(&b.word, wordRuns)
	atomic.StoreUint32(&b.confirmed, 1)
	_, _, _ = syscall.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&b.confirmed)), futexWake, 1, 0, 0, 0)
}

// meet does what the script wants done now.
func (c *Child) meet() {
	script := c.script
	if c.block.part == 2 {
		script = script.inside
	}
	do := script.meets[c.met]
	c.met++
	if c.refused = do(c); c.refused == nil {
		c.confirm()
		return
	}
	pid, pidfd := c.Current()
	atomic.StoreUint32(&c.block.word, wordRuns)                                             // until the kernel clears it
	if (pidfd < 0 || unix.PidfdSendSignal(pidfd, unix.SIGKILL, nil, 0) != nil) && pid > 0 { // 0 is our own group
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

// Current is the process that the script is run by: our child, or the child that
// this has made (Fork).
func (c *Child) Current() (pid, pidfd int) {
	if c.block == nil || c.block.part != 2 {
		return c.PID, c.PIDFD
	}
	// Its parent learns its number when it has executed its program (CLONE_VFORK).
	pidfd = int(*c.pidfdWord())
	return pidOf(pidfd), pidfd
}

// pidOf is the number of a pidfd's process, or 0 (proc_pid_fdinfo(5)).
func pidOf(pidfd int) (pid int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", pidfd))
	for line := range strings.Lines(string(text)) {
		if number, ok := strings.CutPrefix(line, "Pid:"); ok {
			pid, _ = strconv.Atoi(strings.TrimSpace(number))
		}
	}
	return pid
}

// Supervisor is our own pidfd, which children look at to see whether we live;
// -1 before Linux 5.3. It is never closed.
var Supervisor = sync.OnceValue(func() int {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return -1
	}
	return fd
})

// outcome reads the record before the memory is given back.
func (c *Child) outcome() error {
	b, part := *c.block, c.script
	switch {
	case b.part == 2:
		part = part.inside
		c.adopt(int(b.forked), int(*c.pidfdWord()))
	case b.part == 0 || len(part.ops) == 0:
		part = c.first
	}
	c.first, c.script, c.fork, c.earlier = nil, nil, nil, nil
	c.forget()
	step := part.names[min(int(b.at), len(part.names)-1)]
	e := &StepError{Op: step.op, Object: step.object, Step: int(b.at), Err: syscall.Errno(b.errno)}
	if c.refused != nil {
		_, _ = c.Wait()
		c.closePIDFD()
		return c.refused
	}
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
	if step.op == endOp && status == 0 {
		c.closePIDFD()
		return nil
	}
	e.Signal = status.Signal()
	c.closePIDFD()
	return e
}

// adopt takes the child of our child for the one that is meant.
func (c *Child) adopt(pid, pidfd int) {
	_, _ = c.Wait()
	c.closePIDFD()
	c.PID, c.PIDFD, c.reaped = pid, pidfd, false
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

// Close lets go of a child that was waited for.
func (c *Child) Close() { c.closePIDFD() }

// Kill ends the child at any moment and frees what it held.
func (c *Child) Kill() {
	if c.reaped {
		return
	}
	if c.kept { // its number may be another's by now
		_ = unix.PidfdSendSignal(c.PIDFD, unix.SIGKILL, nil, 0)
	} else {
		_ = unix.Kill(c.PID, unix.SIGKILL)
	}
	_, _ = c.Wait()
	c.forget()
	c.closePIDFD()
}

// Used is what the child and those that it waited for have used, after Wait.
func (c *Child) Used() *unix.Rusage { return &c.used }

// Wait waits for the end of the child; a second call gives the same answer. How
// a keeper's child ended is not told to us: it is taken for killed.
func (c *Child) Wait() (unix.WaitStatus, error) {
	if c.reaped {
		return c.status, nil
	}
	if c.kept {
		return c.waitKept()
	}
	for {
		_, err := unix.Wait4(c.PID, &c.status, 0, &c.used)
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
