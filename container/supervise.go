package container

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"containers/rl/cgroups"
	"containers/rl/container/guard"
	netconfig "containers/rl/netslirp/config"
	"containers/rl/storage"
	"containers/rl/userns"
)

var namespaceFlags = map[specs.LinuxNamespaceType]uintptr{
	specs.UserNamespace: unix.CLONE_NEWUSER, specs.MountNamespace: unix.CLONE_NEWNS, specs.PIDNamespace: unix.CLONE_NEWPID,
	specs.IPCNamespace: unix.CLONE_NEWIPC, specs.UTSNamespace: unix.CLONE_NEWUTS, specs.CgroupNamespace: unix.CLONE_NEWCGROUP,
	specs.NetworkNamespace: unix.CLONE_NEWNET,
}

// Running is a container whose program is executed, and not yet waited for.
type Running struct {
	// Notice says what the container goes without, or is empty.
	Notice string

	child   *userns.Child
	keeper  *userns.Child // who stays with the child when we go; nil: we do
	plan    *plan
	host    Host
	storage *storage.Container
	hungUp  chan struct{}
	buffer  []byte // for packets
	first   []byte // the frame that ended Idle, in buffer
	idled   bool
	ended   bool // seen by Idle

	group      *cgroups.Group // nil: none of its own
	again      bool           // the directory is that of an earlier run
	prepared   bool           // Initialize has told of it
	waited     bool           // the waiter had it
	image      int            // the lock of its image, from the waiter; -1: none
	quiets     int            // how often silence was awaited
	silence    int            // an eventfd that tells of it; -1: nobody waits
	server     Server
	introduced bool  // others can see it
	stays      bool  // it is there without a start that succeeds, as one that was only made
	joins      bool  // a container that another rl serves
	visited    *Info // that container
	state      State
	restarted  int
	sick       int32 // its health check wants a restart
	input      *inputServer
	ports      []netconfig.Listener
	segment    *segment
	timedOut   int32

	// Of a terminal that can be left: see detach.go.
	keys         *os.File
	screen       *screen
	console      *os.File
	modes        *term.State // of our terminal, before
	closeConsole func()
}

// PID is the number of the container's first process on the host.
func (r *Running) PID() int { return r.child.PID }

// Serve takes over the descriptor of the container's network device. first is
// a frame that was read from it. The published ports are its too.
type Serve func(tun int, n netconfig.Network, first []byte, published []netconfig.Listener) (Server, error)

// guard starts the guard where the program can change its ids, and so lose the
// parent-death signal; init never does.
func (r *Running) guard() error {
	supervisor := userns.Supervisor()
	if r.keeper != nil {
		supervisor = r.keeper.PIDFD
	}
	if r.host.IDs.Single() || r.plan.o.ownInit() || r.plan.o.pauses() || r.child.PIDFD < 0 || supervisor < 0 {
		return nil
	}
	// Not waited for: it outlives us, or ends with the container, as we do.
	_, err := userns.Detached(guard.Program(), "rl-guard", supervisor, r.child.PIDFD)
	return err
}

// Idle waits for the program's end, without a network stack, and returns true;
// or until the container sends a packet that asks for one, and returns false.
// Many containers never send one.
func (r *Running) Idle() (ended bool, err error) {
	r.idled = true
	r.ended, err = r.idle()
	return r.ended, err
}

func (r *Running) idle() (ended bool, err error) {
	if r.child.PIDFD < 0 || r.plan.o.TTY || r.first != nil {
		return false, nil // before Linux 5.3 the end cannot be polled for; a terminal has to be served
	}
	poll := []unix.PollFd{{Fd: int32(r.child.PIDFD), Events: unix.POLLIN}}
	if r.plan.o.Network == NetworkSlirp && !r.joins {
		poll = append(poll, unix.PollFd{Fd: int32(r.plan.shared.tun), Events: unix.POLLIN})
		for _, l := range r.ports {
			poll = append(poll, unix.PollFd{Fd: int32(l.FD), Events: unix.POLLIN})
		}
		if s := r.plan.o.Slirp.Segment; s != nil {
			poll = append(poll, unix.PollFd{Fd: int32(s.Socket), Events: unix.POLLIN})
		}
	}
	for _, stage := range []struct {
		limit time.Duration
		after func() error
	}{{short, r.lives}, {settled, settle}, {forever, nil}} {
		if ended, wanted, err := r.await(poll, stage.limit); ended || wanted || err != nil {
			return ended, err
		}
		if err := stage.after(); err != nil {
			return false, err
		}
	}
	return false, nil
}

// lives is what a short command does without.
func (r *Running) lives() error {
	r.otherSignals()
	if r.introduced || r.joins {
		return nil
	}
	return r.introduce()
}

// A short command ends before it is worth while to have all signals handled,
// and to be made known to others; a settled container lives on.
const (
	short   = 50 * time.Millisecond
	settled = time.Second
	forever = -time.Millisecond // poll(2)
)

// await waits for the program's end, or for a packet for the stack.
func (r *Running) await(poll []unix.PollFd, limit time.Duration) (ended, wanted bool, err error) {
	for {
		n, err := unix.Poll(poll, int(limit/time.Millisecond))
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return false, false, fmt.Errorf("waiting for the container: %w", err)
		case n == 0:
			return false, false, nil
		case poll[0].Revents != 0:
			return true, false, nil
		case slices.ContainsFunc(poll[min(2, len(poll)):], func(p unix.PollFd) bool { return p.Revents != 0 }):
			return false, true, nil // a published port, or another container
		case r.packet():
			return false, true, nil
		}
	}
}

// packet reads one, and says whether the stack has to answer it.
func (r *Running) packet() bool {
	if r.buffer == nil {
		r.buffer = make([]byte, netconfig.HeaderSize+netconfig.EtherSize+1<<16)
	}
	n, err := unix.Read(r.plan.shared.tun, r.buffer)
	if err != nil {
		return false
	}
	r.first = r.buffer[:n]
	return netconfig.Wanted(r.plan.o.Slirp.Packet(r.first))
}

// Finish serves the container until its first process ends, and removes what
// Start made when it was asked to. The program's status comes back as Exit, or
// as *Restart when the container is to be started again.
func (r *Running) Finish(serve Serve) (err error) {
	defer r.end(&err)
	if !r.idled {
		_, err = r.Idle()
	}
	if err == nil && !r.ended && !r.introduced && !r.joins {
		err = r.introduce()
	}
	if r.plan.o.TTY || r.child.PIDFD < 0 {
		r.proxySignals()
	}
	if err == nil && !r.ended && r.plan.o.Network == NetworkSlirp && serve != nil {
		if err = r.serve(serve); err == nil {
			defer r.server.Close()
		}
	}
	if err != nil {
		r.child.Kill()
		return err
	}
	drained := func() {}
	if r.plan.o.TTY {
		log, err := r.log()
		if err != nil {
			r.child.Kill()
			return err
		}
		restore, done := r.attach(log)
		defer restore()
		drained = done
	}
	return r.status(drained)
}

// end says how it ended before what it held is let go.
func (r *Running) end(err *error) {
	hooks := r.afterEnd()
	again := r.restarts(*err)
	r.conclude(*err, hooks, again)
	var restart *Restart
	if again {
		restart = r.restart()
	}
	r.release(err)
	if hooks != nil && !r.plan.o.Detached {
		*err = errors.Join(*err, hooks) // the status is that of the Exit
	}
	if again {
		*err = restart
	} else if r.plan.o.Pod != nil {
		endPod(r.host.Dirs, r.plan.o)
	}
}

func (r *Running) log() (*logger, error) {
	if r.joins {
		return noLog(), nil
	}
	return r.plan.o.openLog(r.storage.Dir)
}

func (r *Running) serve(serve Serve) (err error) {
	tun := r.plan.shared.tun
	r.plan.shared.tun = -1 // the server's now
	ports, n := r.ports, r.plan.o.Slirp
	r.ports, r.plan.o.Slirp.Segment = nil, nil
	if r.server, err = serve(tun, n, r.first, ports); err == nil {
		r.attendSilence()
	}
	return err
}

func (r *Running) status(drained func()) error {
	switch {
	case r.keys != nil:
		r.awaitKeys()
	case r.server != nil && r.silence >= 0:
		r.awaitSilence()
	}
	status, err := r.child.Wait()
	if err != nil {
		return err
	}
	if r.visited != nil {
		r.visited.account(r.child.Used())
	}
	if r.state.Space != "" {
		killSpace(r.state.Space, r.plan.o.ID)
	}
	select {
	case <-r.hungUp: // no one reads the output any more
		return Exit{128 + int(unix.SIGHUP)}
	default:
		drained()
	}
	if r.plan.out != nil {
		r.plan.out.finish()
	}
	if atomic.LoadInt32(&r.timedOut) != 0 {
		return Exit{TimedOut}
	}
	if status.Signaled() {
		return Exit{128 + int(status.Signal())}
	}
	return Exit{status.ExitStatus()}
}

// grace is how long a container lives without its terminal.
const grace = 2 * time.Second

// commonSignals are what users and supervisors send: they are passed on from
// the program's first moment.
var commonSignals = []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2}

// otherSignals are the rest of what docker passes on: all but those that belong
// to our own process.
func (r *Running) otherSignals() {
	var list []unix.Signal
	for s := unix.Signal(1); s <= lastSignal; s++ {
		if !slices.Contains(commonSignals, s) && !slices.Contains(ownSignals, s) {
			list = append(list, s)
		}
	}
	_ = r.child.Forward(list...) // those of the C library's threads may be refused
}

const lastSignal = 64

// ownSignals are of no use to another process: of our children, of our writing
// and our terminal, of Go's scheduler, and of our mistakes.
var ownSignals = []unix.Signal{unix.SIGKILL, unix.SIGSTOP, unix.SIGCHLD, unix.SIGPIPE, unix.SIGWINCH, unix.SIGTTIN, unix.SIGTTOU, unix.SIGURG,
	unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP, unix.SIGSYS, unix.SIGPROF}

// proxySignals does the same by way of Go's runtime, where there is more to do:
// when our terminal is gone, the container's is too.
func (r *Running) proxySignals() {
	r.hungUp = make(chan struct{})
	incoming := make(chan os.Signal, 64)
	go func() {
		signal.Notify(incoming)
		r.child.Unforward()
		hungUp := r.hungUp
		for s := range incoming {
			if slices.Contains(ownSignals, s.(syscall.Signal)) {
				continue
			}
			_ = unix.Kill(r.child.PID, s.(syscall.Signal))
			if s == unix.SIGHUP && r.plan.o.TTY && hungUp != nil {
				close(hungUp)
				hungUp = nil
				time.AfterFunc(grace, func() { _ = unix.Kill(r.child.PID, unix.SIGKILL) })
			}
		}
	}()
}

// attach joins our terminal with the container's. done waits for the last of
// the output: the master answers EIO when no one holds the other side.
func (r *Running) attach(log *logger) (restore, done func()) {
	p := r.plan
	_ = unix.SetNonblock(p.shared.console, true)
	console := os.NewFile(uintptr(p.shared.console), "console")
	p.shared.console = -1
	unix.Close(p.shared.terminal) // our copy of the peer would keep the terminal open
	p.shared.terminal = -1
	r.console, r.screen = console, &screen{log: log}
	r.closeConsole = func() { console.Close(); r.screen.close() }
	if p.o.Detached {
		r.closeConsole = r.typed(console, r.closeConsole)
	} else {
		r.screen.out = p.o.Stdout
		r.join(p.o, console)
	}
	output := make(chan struct{})
	go func() {
		defer close(output)
		_, _ = io.Copy(r.screen, console)
	}()
	return r.restore, func() { <-output }
}

// restore is for the end, whether the user is there or not.
func (r *Running) restore() {
	if r.modes != nil {
		_ = term.Restore(int(r.plan.o.Stdin.Fd()), r.modes)
	}
	r.closeConsole()
}

// typed lets others type to a terminal that is not ours.
func (r *Running) typed(console *os.File, before func()) (restore func()) {
	raw, err := console.SyscallConn()
	if err != nil || r.joins {
		return before
	}
	_ = raw.Control(func(fd uintptr) {
		server := r.input // of an rl before us
		if server == nil {
			if server, err = r.listen(); err != nil {
				return
			}
		}
		r.input = nil
		server.serve(int(fd), func(rows, cols uint16) {
			_ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: cols})
		})
		restore = func() { server.close(); before() }
	})
	if restore == nil {
		return before
	}
	return restore
}

// join makes our terminal raw, and carries its size and what is typed.
func (r *Running) join(o *Options, console *os.File) {
	if term.IsTerminal(int(o.Stdin.Fd())) {
		r.modes, _ = term.MakeRaw(int(o.Stdin.Fd()))
		resize(o.Stdin, console)
	}
	if len(o.Keys) > 0 && r.modes != nil && r.child.PIDFD >= 0 && r.watchKeys() == nil {
		go r.typeUntil(o, console)
	} else if o.Interactive {
		go func() {
			_, err := io.Copy(console, o.Stdin)
			if err == nil && !term.IsTerminal(int(o.Stdin.Fd())) {
				_, _ = console.Write([]byte{4}) // end of file, as a terminal says it
			}
		}()
	}
}

// typeUntil carries what is typed until the keys that leave.
func (r *Running) typeUntil(o *Options, console *os.File) {
	filter := KeyFilter{Keys: o.Keys}
	buffer := make([]byte, 4096)
	for {
		n, err := o.Stdin.Read(buffer)
		text, leave := filter.Pass(buffer[:n])
		if len(text) > 0 {
			_, _ = console.Write(text)
		}
		if leave {
			r.pressed()
		}
		if leave || err != nil {
			return
		}
	}
}

// resize keeps the container's terminal as large as ours.
func resize(from, to *os.File) {
	fit := func() {
		size, err := unix.IoctlGetWinsize(int(from.Fd()), unix.TIOCGWINSZ)
		if err != nil {
			return
		}
		if raw, err := to.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { _ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, size) })
		}
	}
	fit()
	changes := make(chan os.Signal, 1)
	signal.Notify(changes, unix.SIGWINCH)
	go func() {
		for range changes {
			fit()
		}
	}()
}
