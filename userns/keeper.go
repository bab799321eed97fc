package userns

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrNoKeeper says that the kernel has no pidfds, without which a process that
// is not our child cannot be told from another one (Linux 5.3).
var ErrNoKeeper = errors.New("no process can be kept by another one here: the kernel has no pidfds")

// CloneKept makes a child that is not ours but a keeper's: a process in a
// session of its own that waits in our memory too, until Next says what it
// becomes. So the child can outlive us, under a parent that has not started
// before it and cost no time. Both die with us until then, and the child with
// its keeper after.
func CloneKept(c Config) (keeper, child *Child, err error) {
	if keeper, err = Clone(Config{}); err != nil {
		return nil, nil, err
	}
	if keeper.PIDFD < 0 {
		keeper.Kill()
		return nil, nil, ErrNoKeeper
	}
	if child, err = newChild(); err != nil {
		keeper.Kill()
		return nil, nil, err
	}
	s := NewScript(smallScript)
	s.Do("starting session", "", unix.SYS_SETSID)
	s.add(operation{kind: opClone}, "cloning", "a process in new namespaces")
	s.add(operation{kind: opPause}, "waiting for", "the next part")
	flags := c.Cloneflags | unix.CLONE_VM | unix.CLONE_CHILD_CLEARTID | unix.CLONE_FILES | unix.CLONE_PIDFD
	if keeper.reset == nil { // the kernel took clone3 for the keeper
		flags |= cloneClearSighand
	}
	keeper.fork = child.arguments(flags)
	b := keeper.block
	b.fork, b.other, b.entry = keeper.fork, child.block, entry()
	keeper.Begin(s)
	keeper.left()
	if atomic.LoadUint32(&b.word) != wordPaused {
		child.forget()
		return nil, nil, keeper.outcome()
	}
	child.PID, child.PIDFD, child.saved, child.kept = int(b.forked), int(*child.pidfdWord()), keeper.saved, true
	return keeper, child, nil
}

// Next lets a keeper run the script that makes a program of it, and returns when
// that is executed.
func (c *Child) Next(s *Script) error {
	b := c.block
	if atomic.LoadUint32(&b.word) == wordPaused {
		s.link()
		s.results = make([]uintptr, s.slots+1)
		c.earlier, c.script = c.script, s
		b.next, b.nextCount, b.results = s.address(), uintptr(len(s.ops)), uintptr(unsafe.Pointer(&s.results[0]))
		atomic.StoreUint32(&b.word, wordRuns)
		c.wake()
	}
	return c.Finish()
}

// waitKept waits for the end of a child that is its keeper's to reap.
func (c *Child) waitKept() (unix.WaitStatus, error) {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(c.PIDFD), Events: unix.POLLIN}}, -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n != 1 {
			return c.status, fmt.Errorf("waiting for process %d: %w", c.PID, err)
		}
		c.reaped, c.status = true, unix.WaitStatus(unix.SIGKILL)
		return c.status, nil
	}
}

// Release gives back what we hold of a child that goes on without us.
func (c *Child) Release() {
	c.forget()
	c.closePIDFD()
}

// Inherited is a child of ours that was made before we executed ourselves anew.
func Inherited(pid, pidfd int) *Child { return &Child{PID: pid, PIDFD: pidfd} }
