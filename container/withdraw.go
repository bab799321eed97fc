package container

import (
	"errors"
	"io"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	netconfig "containers/rl/netslirp/config"
)

// Server is the network stack of a container.
type Server interface {
	io.Closer
	// WhenQuiet has f called when the container has been silent for a while, the
	// longer the more often that was awaited before.
	WhenQuiet(times int, f func())
	Quiets() (times int)
	// Withdraw stops the stack, when it would miss nothing, and gives copies of
	// what it was given. GoOn undoes it.
	Withdraw() (tun int, published []netconfig.Listener, shared *netconfig.Segment, err error)
	GoOn()
	// GiveBack is for one that stays, and is silent.
	GiveBack()
}

// Where the network of a container that was left to the waiter is in use no more,
// we leave it again. Whatever comes from then on waits in the kernel until the
// waiter sees it, or in the waiter; whatever was read was passed on.

// attendSilence has the server's silence told: to the thread that waits, where
// it can leave.
func (r *Running) attendSilence() {
	r.silence = -1
	tell := r.server.GiveBack
	if r.leaves() {
		if fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err == nil {
			r.silence = fd
			tell = func() { _, _ = unix.Write(fd, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }
		}
	}
	r.server.WhenQuiet(r.quiets, tell)
}

// leaves says whether the waiter can have the container back.
func (r *Running) leaves() bool {
	return r.waited && !r.plan.o.TTY && leavable(r.plan.o) && r.waits()
}

// awaitSilence returns when the program has ended. It runs on the thread that
// Finish is called on, as the parent-death signal of the container is bound to
// it: execve(2) ends the others.
func (r *Running) awaitSilence() {
	poll := []unix.PollFd{{Fd: int32(r.child.PIDFD), Events: unix.POLLIN}, {Fd: int32(r.silence), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(poll, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || poll[0].Revents != 0 {
			unix.Close(r.silence)
			return
		}
		_, _ = unix.Read(r.silence, make([]byte, 8))
		if r.withdraw() != nil {
			r.server.GiveBack()
		}
	}
}

// withdraw leaves the container to the waiter, and does not return then.
func (r *Running) withdraw() error {
	program := &handOver{}
	defer program.close()
	if err := program.openWaiter(); err != nil {
		return err
	}
	tun, ports, shared, err := r.server.Withdraw()
	if err != nil {
		return err
	}
	r.plan.shared.tun, r.ports, r.plan.o.Slirp.Segment = tun, ports, shared
	if err = r.input.hold(); err == nil {
		r.plan.out.hold()
		r.quiets = r.server.Quiets()
		err = r.leave()
		r.plan.out.goOn()
		r.input.goOn()
	}
	unix.Close(r.plan.shared.tun)
	r.plan.shared.tun = -1
	r.closeSockets(r.plan.o)
	r.server.GoOn()
	return err
}

// resumeWord says how often silence was awaited.
func (r *Running) resumeWord() string {
	if r.quiets == 0 {
		return ResumeWord
	}
	return ResumeWord + strconv.Itoa(r.quiets)
}

// insist is for an execve that fails when all is handed over: there is no way
// back. Memory may be scarce, as for the waiter.
func (h *handOver) insist(argv0 string, env []string) (err error) {
	for range insistTimes {
		if err = unix.Exec(argv0, h.argv, env); !errors.Is(err, unix.ENOMEM) && !errors.Is(err, unix.EAGAIN) {
			break
		}
		time.Sleep(insistStep)
	}
	return err
}

const (
	insistTimes = 600
	insistStep  = 100 * time.Millisecond
)
