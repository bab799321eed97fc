package userns

import (
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Script is a list of system calls for a child to run in order. Its buffers
// live until Run returns; the kernel may write into them.
type Script struct {
	ops     []operation
	names   []name
	keep    [][]byte
	arena   []byte
	vectors [][]uintptr
	slots   int
	results []uintptr
	labels  []int   // index of the operation that a label marks
	inside  *Script // of Fork
	meets   []func(*Child) error
}

// name is what an error says of a step; whole sentences cost too much here.
type name struct{ op, object string }

// Arg is an argument of a system call.
type Arg struct {
	value uintptr
	slot  bool
}

// Slot is the result of an earlier step.
type Slot int

// Label is a place in the script, to be jumped to from before it.
type Label int

// Step is a system call being described. It is used up by the next Do.
type Step struct {
	s  *Script
	at int
}

// arenaSize is the unit in which the strings of a script are allocated.
const arenaSize = 8192

// smallScript is for a program without a container around it.
const smallScript = 16

// NewScript makes an empty script with room for so many steps: more are taken,
// but what was there is copied.
func NewScript(steps int) *Script {
	return &Script{ops: make([]operation, 0, steps), names: make([]name, 0, steps)}
}

// Int is a number.
func Int[T ~int | ~int32 | ~int64 | ~uint | ~uint16 | ~uint32 | ~uint64 | ~uintptr](v T) Arg {
	return Arg{value: uintptr(v)}
}

// Arg makes a result an argument.
func (x Slot) Arg() Arg { return Arg{uintptr(x), true} }

// Str is a NUL-terminated string. A NUL inside would end it early for the
// kernel, so callers refuse such input before.
func (s *Script) Str(text string) Arg {
	if n := len(text) + 1; n > cap(s.arena)-len(s.arena) {
		s.keep = append(s.keep, s.arena)
		s.arena = make([]byte, 0, max(arenaSize, n))
	}
	start := len(s.arena)
	s.arena = append(append(s.arena, text...), 0)
	return Arg{value: uintptr(unsafe.Pointer(&s.arena[start]))}
}

// Bytes is the address of a buffer.
func (s *Script) Bytes(b []byte) Arg {
	if len(b) == 0 {
		return Arg{}
	}
	s.keep = append(s.keep, b)
	return Arg{value: uintptr(unsafe.Pointer(&b[0]))}
}

// Strings is a NULL-terminated vector as execve(2) wants it.
func (s *Script) Strings(list []string) Arg {
	vector := make([]uintptr, len(list)+1)
	for i, text := range list {
		vector[i] = s.Str(text).value
	}
	s.vectors = append(s.vectors, vector)
	return Arg{value: uintptr(unsafe.Pointer(&vector[0]))}
}

// Do appends a system call. Without further words any error ends the script.
func (s *Script) Do(op, object string, nr uintptr, args ...Arg) *Step {
	o := operation{nr: uint32(nr), count: uint8(len(args))}
	for i, a := range args {
		o.args[i] = a.value
		if a.slot {
			o.slots |= 1 << i
		}
	}
	return s.add(o, op, object)
}

func (s *Script) add(o operation, op, object string) *Step {
	s.ops = append(s.ops, o)
	s.names = append(s.names, name{op, object})
	return &Step{s, len(s.ops) - 1}
}

// address is that of the first of its operations, for a block.
func (s *Script) address() uintptr { return uintptr(unsafe.Pointer(&s.ops[0])) }

func (st *Step) operation() *operation { return &st.s.ops[st.at] }

// Save keeps the result for later steps.
func (st *Step) Save() Slot {
	slot := st.s.slots
	st.s.slots++
	st.operation().save = uint16(slot) + 1
	return Slot(slot)
}

// Ignore goes on after these errors; after any, when none is given.
func (st *Step) Ignore(errnos ...syscall.Errno) *Step {
	o := st.operation()
	if len(errnos) == 0 {
		o.ignoreAll = true
	}
	for i, e := range errnos {
		o.ignore[i] = uint8(e)
	}
	return st
}

// Want makes any other result a failure.
func (st *Step) Want(v int) *Step {
	st.operation().want = uint32(v) + 1
	return st
}

// OrElse jumps to the label on an error that is not ignored.
func (st *Step) OrElse(l Label) *Step {
	st.operation().orElse = uint32(l) + 1
	return st
}

// Then jumps to the label on success.
func (st *Step) Then(l Label) *Step {
	st.operation().then = uint32(l) + 1
	return st
}

// NewLabel makes a label that Mark places.
func (s *Script) NewLabel() Label {
	s.labels = append(s.labels, -1)
	return Label(len(s.labels) - 1)
}

// Mark places a label before the next step.
func (s *Script) Mark(l Label) { s.labels[l] = len(s.ops) }

// Jump goes to the label.
func (s *Script) Jump(l Label) {
	s.add(operation{kind: opJump, then: uint32(l) + 1}, "jumping", "")
}

// Copy32 copies four bytes between buffers: the answer of one ioctl into the
// request of the next.
func (s *Script) Copy32(dst []byte, dstOff int, src []byte, srcOff int) {
	_, _ = dst[dstOff:dstOff+4], src[srcOff:srcOff+4]
	s.keep = append(s.keep, dst, src)
	o := operation{kind: opCopy}
	o.args[0], o.args[1] = uintptr(unsafe.Pointer(&dst[dstOff])), uintptr(unsafe.Pointer(&src[srcOff]))
	s.add(o, "copying", "")
}

// ExecAny ends the script with the first of the paths that can be executed. A
// path that is closed to us is the answer only when no other is found.
func (s *Script) ExecAny(paths, argv, env []string) {
	object := strings.Join(paths, " or ")
	if len(argv) > 0 && len(paths) != 1 {
		object = argv[0]
	}
	args, vars := s.Strings(argv), s.Strings(env)
	for _, path := range paths {
		st := s.Do(execOp, object, unix.SYS_EXECVE, s.Str(path), args, vars)
		st.operation().kind = opTryExec
	}
	s.add(operation{kind: opNoExec}, execOp, object)
}

// ExecFD ends the script with the program of a descriptor (execveat(2)).
func (s *Script) ExecFD(fd Arg, object string, argv, env []string) {
	s.Do(execOp, object, unix.SYS_EXECVEAT, fd, s.Str(""), s.Strings(argv), s.Strings(env), Int(unix.AT_EMPTY_PATH))
}

// Confirm waits until the parent has seen that the child has come to here. After
// a step that asks for the parent-death signal it makes sure that there is a
// parent whose death will be told: one that is dying may have given its children
// away already, and can be seen alive by its pidfd for a while.
func (s *Script) Confirm() { s.add(operation{kind: opConfirm}, "waiting for", "the parent") }

// Meet is Confirm, and do runs in the parent meanwhile. The child is killed when
// do fails, and its error is that of the script.
func (s *Script) Meet(do func(*Child) error) {
	s.meets = append(s.meets, do)
	s.add(operation{kind: opMeet}, "waiting for", "the parent")
}

// Fork ends the script: a child of the child runs the next one. That is how a
// pid namespace is joined: setns(2) moves only the children into it. The child
// is then the caller's own, and what Wait waits for.
func (s *Script) Fork(inside *Script) {
	s.inside = inside
	s.add(operation{kind: opFork}, "forking", "in the namespaces")
}

// End ends the script, and the child with it: what it opened is in the
// descriptor table that it shares with us.
func (s *Script) End() { s.add(operation{kind: opEnd}, endOp, "") }

// Result is what a step saved, once the script has run.
func (s *Script) Result(x Slot) int { return int(s.results[x]) }

// link turns labels into indices. Steps only jump forward, so a script ends.
func (s *Script) link() {
	for i := range s.ops {
		for _, target := range []*uint32{&s.ops[i].then, &s.ops[i].orElse} {
			if *target != 0 {
				*target = uint32(s.labels[*target-1])
			}
		}
	}
}
