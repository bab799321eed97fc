package container

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"containers/rl/container/guard"
	"containers/rl/netslirp"
	"containers/rl/userns"
)

var namespaceFlags = map[specs.LinuxNamespaceType]uintptr{
	specs.UserNamespace: unix.CLONE_NEWUSER, specs.MountNamespace: unix.CLONE_NEWNS, specs.PIDNamespace: unix.CLONE_NEWPID,
	specs.IPCNamespace: unix.CLONE_NEWIPC, specs.UTSNamespace: unix.CLONE_NEWUTS, specs.CgroupNamespace: unix.CLONE_NEWCGROUP,
	specs.NetworkNamespace: unix.CLONE_NEWNET,
}

// supervise serves the container until its first process ends.
func supervise(child *userns.Child, p *plan, h Host) error {
	if err := watch(child, p, h); err != nil {
		child.Kill()
		return err
	}
	if p.o.Network == NetworkSlirp {
		server, err := netslirp.Serve(p.shared.tun, p.o.Slirp)
		if err != nil {
			child.Kill()
			return err
		}
		p.shared.tun = -1 // the server's now
		defer server.Close()
	}
	hungUp := make(chan struct{})
	stop := proxySignals(child, p.o.TTY, hungUp)
	defer stop()
	drained := func() {}
	if p.o.TTY {
		restore, done := attach(p)
		defer restore()
		drained = done
	}
	status, err := child.Wait()
	if err != nil {
		return err
	}
	select {
	case <-hungUp: // no one reads the output any more
		return Exit{128 + int(unix.SIGHUP)}
	default:
		drained()
	}
	if status.Signaled() {
		return Exit{128 + int(status.Signal())}
	}
	return Exit{status.ExitStatus()}
}

// watch starts the guard where the program can change its ids, and so lose the
// parent-death signal; init never does.
func watch(child *userns.Child, p *plan, h Host) error {
	if h.IDs.Single() || p.o.Init || child.PIDFD < 0 || p.files.supervisor < 0 {
		return nil
	}
	process, err := userns.Detached(guard.Program(), "rl-guard", p.files.supervisor, child.PIDFD)
	if err == nil {
		go func() { _ = process.Wait() }()
	}
	return err
}

// grace is how long a container lives without its terminal.
const grace = 2 * time.Second

// commonSignals are what users and supervisors send.
var commonSignals = []os.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGWINCH}

const later = 50 * time.Millisecond

// proxySignals passes on what docker passes on: all but those that belong to
// our own process. When our terminal is gone, the container's is too.
func proxySignals(child *userns.Child, tty bool, hungUp chan<- struct{}) (stop func()) {
	incoming := make(chan os.Signal, 64)
	signal.Notify(incoming, commonSignals...)
	// Each of the others costs the runtime a turn of its threads, and a short
	// command is over before anyone sends one.
	rest := time.AfterFunc(later, func() { signal.Notify(incoming) })
	go func() {
		for s := range incoming {
			switch s {
			case unix.SIGCHLD, unix.SIGURG, unix.SIGPIPE, unix.SIGWINCH, unix.SIGTTIN, unix.SIGTTOU:
				continue
			}
			_ = unix.Kill(child.PID, s.(syscall.Signal))
			if s == unix.SIGHUP && tty && hungUp != nil {
				close(hungUp)
				hungUp = nil
				time.AfterFunc(grace, func() { _ = unix.Kill(child.PID, unix.SIGKILL) })
			}
		}
	}()
	return func() { rest.Stop() } // the process ends, and its handlers with it
}

// attach joins our terminal with the container's. done waits for the last of
// the output: the master answers EIO when no one holds the other side.
func attach(p *plan) (restore, done func()) {
	_ = unix.SetNonblock(p.shared.console, true)
	console := os.NewFile(uintptr(p.shared.console), "console")
	p.shared.console = -1
	unix.Close(p.shared.terminal) // our copy of the peer would keep the terminal open
	p.shared.terminal = -1
	restore = func() { console.Close() }
	if term.IsTerminal(int(p.o.Stdin.Fd())) {
		if old, err := term.MakeRaw(int(p.o.Stdin.Fd())); err == nil {
			restore = func() { _ = term.Restore(int(p.o.Stdin.Fd()), old); console.Close() }
		}
		resize(p.o.Stdin, console)
	}
	if p.o.Interactive {
		go func() {
			_, err := io.Copy(console, p.o.Stdin)
			if err == nil && !term.IsTerminal(int(p.o.Stdin.Fd())) {
				_, _ = console.Write([]byte{4}) // end of file, as a terminal says it
			}
		}()
	}
	output := make(chan struct{})
	go func() {
		defer close(output)
		if _, err := io.Copy(p.o.Stdout, console); errors.Is(err, unix.EIO) {
			return
		}
	}()
	return restore, func() { <-output }
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
