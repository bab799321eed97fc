package userns

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Hold keeps a signal for the program that the child is to become, from now
// until Forward: it comes neither to the script, which would not answer it, nor
// to us, who would end and take the child along. A second signal ends us.
func (c *Child) Hold(signals ...unix.Signal) error {
	if c.PIDFD < 0 {
		return nil // before Linux 5.3: left to signal.Notify
	}
	atomic.StoreUint64(&held, 0)
	atomic.StoreInt32(&forwardTo, -1)
	return c.handle(signals)
}

// Forward passes signals on to the child from now on, in the handler itself,
// those that Hold has kept first. Package os/signal takes several turns of the
// runtime's threads for each signal, longer than a short program runs, and would
// come too late for a supervisor that sends one as soon as the program says that
// it is up.
func (c *Child) Forward(signals ...unix.Signal) error {
	if c.PIDFD < 0 {
		return nil
	}
	atomic.StoreInt32(&forwardTo, int32(c.PIDFD))
	for s, bits := unix.Signal(0), atomic.SwapUint64(&held, 0); bits != 0; s, bits = s+1, bits>>1 {
		if bits&1 != 0 {
			_ = unix.PidfdSendSignal(c.PIDFD, s, nil, 0) // it may have ended
		}
	}
	return c.handle(signals)
}

// handle has the handler called for the signals that it is not yet called for.
func (c *Child) handle(signals []unix.Signal) error {
	handler, restorer := forwardPC()
	action := sigaction{handler: handler, flags: saOnStack | saRestart, restorer: restorer}
	if restorer != 0 {
		action.flags |= saRestorer
	}
	for _, s := range signals {
		var old sigaction
		if e := setAction(s, &action, &old); e != 0 {
			return fmt.Errorf("forwarding signal %d: %w", s, e)
		}
		if old.handler == ignored {
			// The runtime leaves these two as they were, and so would the kernel for
			// the child (CLONE_CLEAR_SIGHAND). A hangup is ignored by us as nohup(1)
			// asked for.
			c.reset = append(c.reset[:len(c.reset):len(c.reset)], int(s))
			if s == unix.SIGHUP {
				_ = setAction(s, &old, nil)
				continue
			}
		}
		c.forwarded = append(c.forwarded, forwarded{s, old})
	}
	return nil
}

// Unforward gives the signals back to Go's runtime. After signal.Notify of the
// same signals none is lost.
func (c *Child) Unforward() {
	for i := range c.forwarded {
		_ = setAction(c.forwarded[i].signal, &c.forwarded[i].old, nil)
	}
	c.forwarded = nil
}

// ignored is SIG_IGN.
const ignored = 1

// forwarded is a signal and what was done with it before.
type forwarded struct {
	signal unix.Signal
	old    sigaction
}

func setAction(s unix.Signal, action, old *sigaction) syscall.Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(s), uintptr(unsafe.Pointer(action)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
	return e
}

// forwardTo is the pidfd that the handler sends to. The number of a process
// could be another's by then; a pidfd never is.
// -1: the signal is kept.
var forwardTo int32

// held has the bit of the signal that is kept.
var held uint64

// Flags of sigaction(2): Go's threads have small stacks but for signals.
const (
	saOnStack  = 0x08000000
	saRestart  = 0x10000000
	saRestorer = 0x04000000
)

// forwardPC gives the address of the handler, and that of the return from it
// where the kernel wants one (amd64).
func forwardPC() (handler, restorer uintptr)
