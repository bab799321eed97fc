package container

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"containers/rl/container/waiter"
	"containers/rl/userns"
)

// RoleMonitor is the name of the process that stays with a detached container:
// the waiter's program at first, and rl when there is more to do than to wait.
const RoleMonitor = "rl-monitor"

// ResumeWord is what the waiter tells rl to do, with the number of silences that
// were awaited before; the container's id follows.
const ResumeWord = "resume"

// leavable says whether a container can be left to a process that did not start
// it: not before Linux 5.3, nor in namespaces of others, which its parent has to
// be in, nor with more sockets than the waiter takes.
func leavable(o *Options) bool {
	return userns.Supervisor() >= 0 && o.Joins == nil && !o.served() && len(o.Ports)+segmentSockets <= waiter.Most
}

// waits says whether the waiter can do what is to be done until something
// happens.
func (r *Running) waits() bool {
	o := r.plan.o
	return !o.Health.Checked() && o.rare().Timeout == 0 && o.Log.plain() && r.child.PIDFD >= 0 && len(r.ports) <= waiter.Most
}

// leave gives the container to the process that stays with it: our keeper, or
// we ourselves as another program, and then it does not return.
func (r *Running) leave() error {
	h := &handOver{argv: []string{RoleMonitor, r.resumeWord(), r.plan.o.ID}}
	defer h.close()
	if err := r.collect(h); err != nil {
		return fmt.Errorf("leaving container %s: %w", r.plan.o.ID, err)
	}
	last := h.there()
	if r.waits() && h.openWaiter() == nil {
		_, offset := time.Now().Zone()
		if last = strconv.Itoa(offset / 60); r.plan.o.Slirp.Ethernet() {
			last += "e"
		}
	}
	h.argv = append(h.argv, last)
	if r.keeper == nil {
		return h.become()
	}
	if err := r.keeper.Next(h.script()); err != nil {
		return fmt.Errorf("leaving container %s: %w", r.plan.o.ID, err)
	}
	r.letGo()
	return nil
}

// letGo closes what the keeper has by now.
func (r *Running) letGo() {
	p := r.plan
	p.letGo()
	if r.input != nil {
		r.input.letGo()
		r.input = nil
	}
	_ = p.o.Stdin.Close()
	r.closeSockets(p.o)
	r.forgetSegment()
	r.storage.Close()
	r.storage = nil
	p.o.Image.Close()
	p.o.closeVolumes() // that the container has them is on record by now
	r.child.Release()
	r.keeper.Release()
}

// letGo closes what only the child goes on with, or who stays with it.
func (p *plan) letGo() {
	p.shared.close()
	if p.out != nil {
		p.out.abandon()
	}
	for _, fd := range []int{p.stdin, p.files.init} {
		if fd > 0 {
			unix.Close(fd)
		}
	}
}

// handOver is what another process needs to go on.
type handOver struct {
	files   [][2]int // a descriptor of ours, and its number there (package waiter)
	own     []int    // of the descriptors, those that are for this alone
	program int      // what is executed
	argv    []string
}

func (h *handOver) give(fd, number int) {
	if fd >= 0 {
		h.files = append(h.files, [2]int{fd, number})
	}
}

// there says which numbers are given, as rl wants to know it.
func (h *handOver) there() string {
	sum := uint64(0)
	for _, f := range h.files {
		sum |= 1 << f[1]
	}
	return strconv.FormatUint(sum, 10)
}

// collect gathers the descriptors.
func (r *Running) collect(h *handOver) error {
	rl, err := unix.Open("/proc/self/exe", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening /proc/self/exe: %w", err)
	}
	h.own, h.program = append(h.own, rl), rl
	h.give(rl, waiter.RL)
	h.give(r.child.PIDFD, waiter.Init)
	lock, image := r.storage.Descriptors()
	h.give(lock, waiter.Lock)
	if r.waited {
		image = r.image
	}
	h.give(image, waiter.Image)
	if r.plan.o.Network == NetworkSlirp {
		h.give(r.plan.shared.tun, waiter.TUN)
	}
	if r.plan.stdin >= 0 || r.plan.o.TTY {
		if r.input == nil {
			if r.input, err = r.listen(); err != nil {
				return err
			}
		}
		h.give(r.input.listener, waiter.Input)
	}
	h.give(r.plan.stdin, waiter.Stdin)
	for i, port := range r.ports {
		h.give(port.FD, waiter.More+i)
	}
	if s := r.plan.o.Slirp.Segment; s != nil {
		h.give(s.Socket, waiter.More+len(r.ports)) // and not the directory, which poll(2) finds ready at any time
	}
	return r.collectOutput(h)
}

// segmentSockets is the number of descriptors of a network that is shared, after
// the ports.
const segmentSockets = 1

func (r *Running) collectOutput(h *handOver) error {
	if out := r.plan.out; out != nil {
		h.give(out.log.fd, waiter.Log)
		h.give(out.pipes[0].ours, waiter.Out)
		h.give(out.pipes[1].ours, waiter.Err)
		return nil
	}
	log, err := r.log()
	if err != nil {
		return err
	}
	if log.fd >= 0 {
		h.own = append(h.own, log.fd)
	}
	h.give(log.fd, waiter.Log)
	h.give(r.plan.shared.console, waiter.Out)
	return nil
}

// openWaiter has the waiter executed. Where a program in memory is forbidden
// (vm.memfd_noexec) it is rl itself.
func (h *handOver) openWaiter() error {
	fd, err := userns.Memory(RoleMonitor, waiter.Program())
	if err == nil {
		h.own, h.program = append(h.own, fd), fd
	}
	return err
}

func (h *handOver) close() {
	for _, fd := range h.own {
		unix.Close(fd)
	}
}

// high is from where on the descriptors are moved to, out of the way of their
// numbers, and no higher: there may be few (RLIMIT_NOFILE).
func (h *handOver) high() int {
	high := waiter.More
	for _, f := range h.files {
		high = max(high, f[1]+1)
	}
	return high
}

// script is the keeper's. It leaves all of the user's shell: streams, directory,
// and our own life, last.
func (h *handOver) script() *userns.Script {
	s := userns.NewScript(2*len(h.files) + 16)
	s.Do("unsharing", "descriptors", unix.SYS_UNSHARE, userns.Int(unix.CLONE_FILES))
	blockSignals(s, passedOn())
	move := func(fd int) userns.Slot {
		return s.Do("moving", "a descriptor", unix.SYS_FCNTL, userns.Int(fd), userns.Int(unix.F_DUPFD_CLOEXEC), userns.Int(h.high())).Save()
	}
	moved := make([]userns.Slot, len(h.files))
	for i, f := range h.files {
		moved[i] = move(f[0])
	}
	program := move(h.program)
	s.Do("closing", "descriptors", unix.SYS_CLOSE_RANGE, userns.Int(3), userns.Int(int64(^uint32(0))), userns.Int(unix.CLOSE_RANGE_CLOEXEC)).Ignore()
	for i, f := range h.files {
		s.Do("setting", "a descriptor", unix.SYS_DUP3, moved[i].Arg(), userns.Int(f[1]), userns.Int(0))
	}
	null := s.Do("opening", os.DevNull, unix.SYS_OPENAT, userns.Int(unix.AT_FDCWD), s.Str(os.DevNull), userns.Int(unix.O_RDWR|unix.O_CLOEXEC), userns.Int(0)).Save()
	for fd := range 3 {
		s.Do("letting go of", "a stream", unix.SYS_DUP3, null.Arg(), userns.Int(fd), userns.Int(0))
	}
	s.Do("leaving", "the directory", unix.SYS_CHDIR, s.Str("/"))
	s.Do("clearing", "the parent-death signal", unix.SYS_PRCTL, userns.Int(unix.PR_SET_PDEATHSIG), userns.Int(0), userns.Int(0), userns.Int(0), userns.Int(0))
	s.ExecFD(program.Arg(), RoleMonitor, h.argv, os.Environ())
	return s
}

// become executes the program in our own process, which has left the shell
// before. It returns only when that fails, and then we have nothing left.
func (h *handOver) become() error {
	block(unix.SIG_BLOCK, passedOn())
	// A table of our own: that of the other threads has the descriptor of Go's
	// poller, which they use until the execve, and which may be one of those that
	// are replaced here.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_FILES); err != nil {
		return fmt.Errorf("unsharing descriptors: %w", err)
	}
	move := func(fd int) int {
		moved, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, h.high())
		if err != nil {
			return -1 // and dup3 fails
		}
		return moved
	}
	program, moved := move(h.program), make([]int, len(h.files))
	for i, f := range h.files {
		moved[i] = move(f[0])
	}
	_ = unix.CloseRange(3, ^uint(0)>>33, unix.CLOSE_RANGE_CLOEXEC)
	for i, f := range h.files {
		if err := unix.Dup3(moved[i], f[1], 0); err != nil {
			return fmt.Errorf("setting a descriptor: %w", err)
		}
	}
	return fmt.Errorf("executing the waiter: %w", h.insist(fmt.Sprintf("/proc/self/fd/%d", program), os.Environ()))
}
