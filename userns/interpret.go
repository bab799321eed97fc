package userns

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Kinds of an operation.
const (
	opSyscall uint8 = iota
	opJump          // to then
	opCopy          // 4 bytes
	opTryExec       // a path that may be missing or closed to us
	opNoExec        // the end of the paths
	opFork          // the next part is for a child of our own
	opConfirm       // wait until the parent has seen that we come so far
	opEnd           // all is done, and there is no program
	opClone         // make the other child, and go on
	opPause         // wait until the parent has the next part
	opMeet          // wait until the parent has done something
)

// operation is one row of the table. It holds no Go pointer, so that the child
// needs no write barrier, and it is small: a start touches every byte of some
// four hundred of them.
type operation struct {
	args         [6]uintptr // of opCopy: to, from
	nr           uint32
	want         uint32 // 1 + the only good result; 0: any
	then, orElse uint32 // 1 + label, after link: index, to go to on success, on error; 0: none
	save         uint16 // 1 + index of the result; 0: not kept
	slots        uint8  // bit i: args[i] is the index of a result
	kind, count  uint8
	ignoreAll    bool
	ignore       [4]uint8 // errnos
}

// block is what parent and child share; it lies outside of Go's heap.
type block struct {
	word      uint32 // not 0 until the child has left our memory: see below
	release   uint32 // 1 when the child may run
	confirmed uint32
	_         uint32
	parent    pollFD // our pidfd
	instant   [2]int64
	tick      [2]int64
	// Addresses of first elements, for which a child changes them: a Go pointer
	// would be written through the collector's barrier, which needs a goroutine.
	// The Child holds what they lead to.
	ops       uintptr // of count operations
	count     uintptr
	next      uintptr // of the operations after them; 0 when they have begun
	nextCount uintptr
	results   uintptr
	at        uintptr // index of the running operation
	errno     uintptr // of the operation that failed
	failed    uintptr
	telling   uintptr // EACCES of an earlier path

	part       uintptr // which script runs: the prologue, that of Begin, what it forks for
	forked     uintptr // the process made for the last part, as its parent's namespace numbers it
	fork       *cloneArgs
	entry      uintptr
	inside     uintptr // the last part
	insideSize uintptr
	insideRes  uintptr
	other      *block // of opClone
}

// What the word says while the child is in our memory.
const (
	wordRuns    = 1
	wordConfirm = 2 // it waits for confirmed
	wordPaused  = 3 // it waits for release, and for what to run then
	wordMeet    = 4 // it waits for confirmed, which comes when something was done
)

const (
	futexWait = 0
	futexWake = 1
)

// pollFD is struct pollfd of poll(2).
type pollFD struct {
	fd              int32
	events, revents int16
}

const (
	prSetPdeathsig = unix.PR_SET_PDEATHSIG
	sysPpoll       = unix.SYS_PPOLL
)

// waitTick is how often a waiting child looks for its parent, in nanoseconds.
const waitTick = 50e6

// interpret runs in the child, on a stack that Go does not know: no stack
// growth, no allocation, no Go pointer written.
//
//go:nosplit
//go:norace
//go:nocheckptr
func interpret(b *block) {
	// From the first moment: a child that waits must not outlive its parent.
	syscall.RawSyscall(syscall.SYS_PRCTL, prSetPdeathsig, uintptr(syscall.SIGKILL), 0)
	await(b, &b.release)
	for at := uintptr(0); ; {
		if at >= b.count && b.next != 0 {
			b.ops, b.count, b.next, at = b.next, b.nextCount, 0, 0
			b.part = 1
		}
		if at >= b.count {
			break
		}
		b.at = at
		op := *(**operation)(unsafe.Pointer(&b.ops))
		op = (*operation)(unsafe.Add(unsafe.Pointer(op), at*unsafe.Sizeof(operation{})))
		next := at + 1
		if op.kind == opSyscall || op.kind == opTryExec {
			var a [6]uintptr
			argument(b, op, &a)
			r, _, e := syscall.RawSyscall6(uintptr(op.nr), a[0], a[1], a[2], a[3], a[4], a[5])
			next = decide(b, op, r, uintptr(e), next)
		} else {
			next = pseudo(b, op, next)
		}
		if b.failed != 0 {
			break
		}
		at = next
	}
	for {
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 255, 0, 0)
	}
}

// await waits for a word to be set. Our parent may have died before we asked to
// die with it, so we look for it now and then.
//
//go:nosplit
//go:norace
//go:nocheckptr
func await(b *block, word *uint32) {
	for *word == 0 {
		if b.parent.fd >= 0 {
			n, _, e := syscall.RawSyscall6(sysPpoll, uintptr(unsafe.Pointer(&b.parent)), 1, uintptr(unsafe.Pointer(&b.instant)), 0, 0, 0)
			for e == 0 && n == 1 {
				syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 255, 0, 0)
			}
		}
		syscall.RawSyscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWait, 0, uintptr(unsafe.Pointer(&b.tick)), 0, 0)
	}
}

//go:nosplit
//go:norace
//go:nocheckptr
func argument(b *block, op *operation, a *[6]uintptr) {
	for i := uint8(0); i < op.count && i < 6; i++ {
		a[i] = op.args[i]
		if op.slots&(1<<i) != 0 {
			a[i] = *result(b, op.args[i])
		}
	}
}

//go:nosplit
//go:norace
//go:nocheckptr
func result(b *block, i uintptr) *uintptr {
	first := *(**uintptr)(unsafe.Pointer(&b.results))
	return (*uintptr)(unsafe.Add(unsafe.Pointer(first), i*unsafe.Sizeof(uintptr(0))))
}

// decide gives the index of the next operation.
//
//go:nosplit
//go:norace
//go:nocheckptr
func decide(b *block, op *operation, r, errno, next uintptr) uintptr {
	if errno == 0 {
		if op.save != 0 {
			*result(b, uintptr(op.save)-1) = r
		}
		if op.want != 0 && r != uintptr(op.want)-1 {
			b.failed = 1
		}
		if op.then != 0 {
			return uintptr(op.then)
		}
		return next
	}
	switch {
	case op.kind == opTryExec && (errno == uintptr(syscall.ENOENT) || errno == uintptr(syscall.ENOTDIR)):
		return next
	case op.kind == opTryExec && errno == uintptr(syscall.EACCES):
		b.telling = errno
		return next
	case op.ignoreAll || errno == uintptr(op.ignore[0]) || errno == uintptr(op.ignore[1]) || errno == uintptr(op.ignore[2]) || errno == uintptr(op.ignore[3]):
		return next
	case op.orElse != 0:
		return uintptr(op.orElse)
	}
	b.errno, b.failed = errno, 1
	return next
}

//go:nosplit
//go:norace
//go:nocheckptr
func pseudo(b *block, op *operation, next uintptr) uintptr {
	switch op.kind {
	case opJump:
		return uintptr(op.then)
	case opCopy:
		to, from := (**uint32)(unsafe.Pointer(&op.args[0])), (**uint32)(unsafe.Pointer(&op.args[1]))
		**to = **from
	case opFork:
		fork(b)
	case opClone:
		clone(b)
	case opConfirm:
		b.confirmed = 0
		tell(b, wordConfirm)
		await(b, &b.confirmed)
	case opMeet:
		b.confirmed = 0
		tell(b, wordMeet)
		await(b, &b.confirmed)
	case opEnd:
		for {
			syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
		}
	case opPause:
		b.release = 0
		tell(b, wordPaused)
		await(b, &b.release)
	case opNoExec:
		b.errno, b.failed = uintptr(syscall.ENOENT), 1
		if b.telling != 0 {
			b.errno = b.telling
		}
	}
	return next
}

// tell says something to the parent. The system calls are the barriers; package
// atomic is the race detector's, which knows no such thread.
//
//go:nosplit
//go:norace
//go:nocheckptr
func tell(b *block, word uint32) {
	b.word = word
	syscall.RawSyscall6(syscall.SYS_FUTEX, uintptr(unsafe.Pointer(&b.word)), futexWake, 1, 0, 0, 0)
}

// clone makes a child of ours that waits for a script of its own.
//
//go:nosplit
//go:norace
//go:nocheckptr
func clone(b *block) {
	pid := uintptr(0)
	if b.fork.flags&cloneClearSighand != 0 {
		pid = rawClone3(b.fork, b.other, b.entry)
	} else {
		pid = rawClone(b.fork, b.other, b.entry)
	}
	if int(pid) < 0 {
		b.errno, b.failed = -pid, 1
		return
	}
	b.forked = pid
}

// fork makes the process of the last part, with a stack of its own in our
// memory, and ends when that has left it (CLONE_VFORK). The new one is our
// parent's child, as we are (CLONE_PARENT).
//
//go:nosplit
//go:norace
//go:nocheckptr
func fork(b *block) {
	ops, count, results := b.ops, b.count, b.results
	b.ops, b.count, b.results, b.part = b.inside, b.insideSize, b.insideRes, 2
	pid := rawClone(b.fork, b, b.entry)
	if int(pid) < 0 {
		b.ops, b.count, b.results, b.part = ops, count, results, 1
		b.errno, b.failed = -pid, 1
		return
	}
	b.forked = pid
	for {
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
	}
}

// rawClone is clone(2) and rawClone3 clone3(2); only the parent returns. pid
// is -errno on failure.
//
//go:noescape
func rawClone(args *cloneArgs, b *block, entry uintptr) (pid uintptr)

//go:noescape
func rawClone3(args *cloneArgs, b *block, entry uintptr) (pid uintptr)

// entry is the address of interpret's code: what a func value points to.
func entry() uintptr {
	f := interpret
	return **(**uintptr)(unsafe.Pointer(&f))
}
