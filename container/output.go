package container

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

func writeAll(fd int, text []byte) error {
	for len(text) > 0 {
		n, err := unix.Write(fd, text)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN): // a descriptor that another made non-blocking
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, -1)
		case err != nil:
			return err
		default:
			text = text[n:]
		}
	}
	return nil
}

// output carries what a container writes to its log, and in the foreground to
// our own streams too.
type output struct {
	log   *logger
	pipes []*outPipe
	done  chan struct{}
	mu    sync.Mutex // held from reading to having written
}

type outPipe struct {
	stream string
	ours   int // the end we read
	theirs int // the container's
	to     int // where it goes beside the log; -1: nowhere
	busy   bool
}

// newOutput makes the pipes. to are descriptors of ours, or -1.
func newOutput(log *logger, stdout, stderr int) (*output, error) {
	o := &output{log: log, done: make(chan struct{})}
	for _, p := range []*outPipe{{stream: "stdout", to: stdout}, {stream: "stderr", to: stderr}} {
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
			o.abandon()
			return nil, fmt.Errorf("making a pipe: %w", err)
		}
		p.ours, p.theirs = fds[0], fds[1]
		o.pipes = append(o.pipes, p)
	}
	return o, nil
}

// begin closes the container's ends, which it has by now, and carries.
func (o *output) begin() {
	for _, p := range o.pipes {
		unix.Close(p.theirs)
		p.theirs = -1
	}
	go o.carry()
}

// abandon is for a container that did not come to run.
func (o *output) abandon() {
	for _, p := range o.pipes {
		for _, fd := range []*int{&p.ours, &p.theirs} {
			if *fd >= 0 {
				unix.Close(*fd)
				*fd = -1
			}
		}
	}
	o.log.close()
}

// carrySize is that of a pipe. One that is full is made larger, so that reader
// and writer wait for each other less often; not by much, as all pipes of a user
// share a limit (pipe(7), pipe-user-pages-soft).
const (
	carrySize = 64 << 10
	busySize  = 256 << 10
)

func (o *output) carry() {
	defer close(o.done)
	buffer := make([]byte, carrySize)
	poll := make([]unix.PollFd, len(o.pipes))
	left := 0
	for _, p := range o.pipes {
		if p.ours >= 0 {
			left++
		}
	}
	for left > 0 {
		for i, p := range o.pipes {
			poll[i] = unix.PollFd{Fd: int32(p.ours), Events: unix.POLLIN} // -1 is passed over
		}
		if _, err := unix.Poll(poll, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		o.mu.Lock()
		for i, p := range o.pipes {
			if poll[i].Revents == 0 {
				continue
			}
			n, open := o.take(p, buffer)
			if n == carrySize && len(buffer) == carrySize {
				buffer = make([]byte, busySize)
			}
			if n == carrySize && !p.busy {
				_, _ = unix.FcntlInt(uintptr(p.ours), unix.F_SETPIPE_SZ, busySize)
				p.busy = true
			}
			if !open {
				unix.Close(p.ours)
				p.ours = -1
				left--
			}
		}
		o.mu.Unlock()
	}
}

// hold leaves what the container writes in the pipes until goOn.
func (o *output) hold() { o.mu.Lock() }

func (o *output) goOn() { o.mu.Unlock() }

// take carries what is there. False ends the stream: also when our own is
// gone, so that the container learns of it as if it had written itself.
func (o *output) take(p *outPipe, buffer []byte) (n int, open bool) {
	n, err := unix.Read(p.ours, buffer)
	if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
		return 0, true
	}
	if n <= 0 || err != nil {
		return 0, false
	}
	o.log.write(p.stream, buffer[:n])
	return n, p.to < 0 || writeAll(p.to, buffer[:n]) == nil
}

// lingering is how long what the container wrote is awaited after its end:
// with --pid host another process may hold the pipe.
const lingering = 2 * time.Second

// finish waits for the last of it.
func (o *output) finish() {
	select {
	case <-o.done:
	case <-time.After(lingering):
	}
	o.log.close()
}
