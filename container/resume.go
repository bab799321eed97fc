package container

import (
	"fmt"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"containers/rl/container/waiter"
	netconfig "containers/rl/netslirp/config"
	"containers/rl/userns"
)

// inheritance says which of the waiter's descriptors are there: the sum of
// 1 << number.
type inheritance uint64

// fd gives a descriptor, or -1.
func (in inheritance) fd(number int) int {
	if in>>number&1 == 0 {
		return -1
	}
	return number
}

// Resume goes on with the container of a waiter that has become us. there is
// what it was told of its descriptors, and quiets how often silence was awaited.
func Resume(h Host, id, there, quiets string) (*Running, error) {
	// They were let through one execve; a program of ours needs none of them.
	_ = unix.CloseRange(3, ^uint(0)>>33, unix.CLOSE_RANGE_CLOEXEC)
	sum, err := strconv.ParseUint(there, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("resuming container %s: %w", id, err)
	}
	in := inheritance(sum)
	times, _ := strconv.Atoi(quiets) // none at first
	info, err := Find(h.Dirs, id)
	if err != nil {
		return nil, err
	}
	o := &info.Options
	if h.IDs, err = o.mapped(h); err != nil {
		return nil, err
	}
	r := &Running{host: h, child: userns.Inherited(info.State.Init.PID, in.fd(waiter.Init)), state: info.State, introduced: true, again: true, waited: true, image: in.fd(waiter.Image), quiets: times,
		storage: h.Dirs.InheritContainer(info.Entry, o.Name, waiter.Lock)}
	r.group = groupOf(info.State)
	r.plan = &plan{o: o, ids: h.IDs, shared: noneShared, stdin: in.fd(waiter.Stdin)}
	r.plan.shared.tun = in.fd(waiter.TUN)
	for i, port := range o.Ports {
		r.ports = append(r.ports, netconfig.Listener{FD: in.fd(waiter.More + i), Port: port})
	}
	if err := r.resumeSegment(in); err != nil {
		return nil, err
	}
	if listener := in.fd(waiter.Input); listener >= 0 {
		r.input = r.inherited(listener)
	}
	if o.TTY {
		r.plan.shared.console = in.fd(waiter.Out)
	} else {
		r.plan.out, err = in.output(o, r.storage.Dir)
	}
	if err == nil {
		r.first, err = in.packet()
	}
	if err != nil {
		return nil, err
	}
	if o.Health.Checked() {
		go r.watchHealth(o.Health)
	}
	r.limitLife(time.Until(info.State.Started.Add(time.Duration(o.rare().Timeout) * time.Second)))
	err = r.attend()
	r.takeSignals()
	return r, err
}

func (in inheritance) output(o *Options, dir string) (out *output, err error) {
	log := &logger{fd: in.fd(waiter.Log)}
	if !o.Log.plain() {
		log.close()
		log, err = o.openLog(dir)
	}
	return &output{log: log, done: make(chan struct{}), pipes: []*outPipe{
		{stream: "stdout", ours: in.fd(waiter.Out), theirs: -1, to: -1},
		{stream: "stderr", ours: in.fd(waiter.Err), theirs: -1, to: -1}}}, err
}

// packet gives the frame that the waiter has become us for, or nil.
func (in inheritance) packet() ([]byte, error) {
	if in.fd(waiter.Packet) < 0 {
		return nil, nil
	}
	defer unix.Close(waiter.Packet)
	frame := make([]byte, netconfig.HeaderSize+netconfig.EtherSize+1<<16)
	n, err := unix.Pread(waiter.Packet, frame, 0)
	if err != nil {
		return nil, fmt.Errorf("reading the first packet: %w", err)
	}
	return frame[:n], nil
}

// takeSignals: those that were sent since the waiter went come now.
func (r *Running) takeSignals() {
	_ = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(unsafe.StringData(RoleMonitor+"\x00"))), 0, 0, 0) // for top(1) and pgrep(1)
	_ = r.child.Forward(commonSignals...)
	r.otherSignals()
	block(unix.SIG_UNBLOCK, passedOn())
}

// passedOn is the set of the signals that are for the container: all but those
// that belong to our own process.
func passedOn() uint64 {
	set := ^uint64(0)
	for _, s := range ownSignals {
		set &^= 1 << (s - 1)
	}
	return set
}

// block changes the signal mask of the calling thread, which must be the one
// that stays.
func block(how int, set uint64) {
	_, _, _ = unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, uintptr(how), uintptr(unsafe.Pointer(&set)), 0, unsafe.Sizeof(set), 0, 0)
}
