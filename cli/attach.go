package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
)

// attachment is how our streams are joined with a container's.
type attachment struct {
	noStdin  bool
	sigProxy bool
	keys     string // that leave the container alone
}

func (a *attachment) flags(f *flags.Set) {
	f.BoolVar(&a.noStdin, "no-stdin", false, "do not type to the container")
	f.BoolVar(&a.sigProxy, "sig-proxy", true, "pass signals on to the container")
	f.StringVar(&a.keys, "detach-keys", "ctrl-p,ctrl-q", "keys that leave the container alone")
}

func attachFlags(f *flags.Set) func(Streams, []string) error {
	a := &attachment{}
	a.flags(f)
	latest := latestFlag(f)
	return func(s Streams, args []string) error {
		host, info, err := latestRef("attach", *latest, args)
		if err != nil {
			return err
		}
		if !info.Running() {
			return fmt.Errorf("you can only attach to running containers: container %s is not running", info.Name())
		}
		info.Emit(host.Dirs, "attach")
		return a.run(s, host, info, container.LogQuery{Tail: 0, Follow: true})
	}
}

// errDetached says that the user left.
var errDetached = errors.New("detached")

// following is a container whose end and log are open: both are known even when
// it is removed.
type following struct {
	info *container.Info
	end  <-chan error
	left chan error // by its end, or by keys
}

// run shows what the container writes, by its log, and types what we are given,
// until it ends; it returns the container's status.
func (a *attachment) run(s Streams, host container.Host, info *container.Info, q container.LogQuery) error {
	f, err := follow(s, info, q)
	if err != nil {
		return err
	}
	return a.stay(s, host, f, func() {})
}

// follow returns when somebody reads what the container writes: the answer to
// what is typed must not come before.
func follow(s Streams, info *container.Info, q container.LogQuery) (*following, error) {
	end, err := awaitEnd(info)
	if err != nil {
		return nil, err
	}
	f := &following{info, end, make(chan error, 2)}
	ready := make(chan error, 2)
	q.Ready = func() { ready <- nil }
	go func() {
		p := newLogPrinter(s, true)
		err := errors.Join(readLog(info, q, p.print), p.end())
		ready <- err
		f.left <- err
	}()
	return f, <-ready
}

// stay calls release when signals have found their place.
func (a *attachment) stay(s Streams, host container.Host, f *following, release func()) error {
	keys, err := container.DetachKeys(a.keys)
	if err != nil {
		return usageError{Text: err.Error(), Command: "attach"}
	}
	info := f.info
	if !a.noStdin && info.Options.Interactive {
		input, err := info.OpenInput()
		if again, gone := container.Find(host.Dirs, info.ID); err != nil && gone == nil && again.Running() {
			return err
		}
		if err == nil {
			defer input.Close()
			defer typeTo(input, s.In, keys, f.left, info.Options.TTY)()
		}
	}
	if a.sigProxy {
		defer proxy(info)()
	}
	release()
	switch err := <-f.left; {
	case errors.Is(err, errDetached):
		info.Emit(host.Dirs, "detach")
		return nil
	case err != nil:
		return err
	}
	return <-f.end
}

// awaitEnd waits beside what follows: with --rm the container is gone when its
// log ends.
func awaitEnd(info *container.Info) (<-chan error, error) {
	file, err := info.OpenEnd()
	if err != nil {
		return nil, err
	}
	end := make(chan error, 1)
	go func() {
		defer file.Close()
		ended, _, err := info.WaitWith(file, -1)
		if err == nil {
			err = container.Exit{Code: ended.Code}
		}
		end <- err
	}()
	return end, nil
}

// typeTo carries our input until its end, or until the keys are typed.
func typeTo(input *container.Input, in *os.File, keys []byte, left chan<- error, tty bool) (restore func()) {
	restore = func() {}
	if tty && term.IsTerminal(int(in.Fd())) {
		if old, err := term.MakeRaw(int(in.Fd())); err == nil {
			restore = func() { _ = term.Restore(int(in.Fd()), old) }
		}
		fit(input, in)
	}
	go func() {
		filter := &container.KeyFilter{Keys: keys}
		buffer := make([]byte, 4096)
		for {
			n, err := in.Read(buffer)
			text, leave := filter.Pass(buffer[:n])
			if _, failed := input.Write(text); failed != nil {
				return // it ended
			}
			if leave {
				left <- errDetached
				return
			}
			if err != nil {
				if errors.Is(err, io.EOF) && !term.IsTerminal(int(in.Fd())) {
					_ = input.End()
				}
				return
			}
		}
	}()
	return restore
}

// fit keeps the container's terminal as large as ours.
func fit(input *container.Input, ours *os.File) {
	resize := func() {
		if size, err := unix.IoctlGetWinsize(int(ours.Fd()), unix.TIOCGWINSZ); err == nil {
			_ = input.Resize(size.Row, size.Col)
		}
	}
	resize()
	changes := make(chan os.Signal, 1)
	signal.Notify(changes, unix.SIGWINCH)
	go func() {
		for range changes {
			resize()
		}
	}()
}

// proxy passes signals on, but for those that are our own business.
func proxy(info *container.Info) (stop func()) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2)
	go func() {
		for s := range signals {
			_ = info.Signal(s.(syscall.Signal))
		}
	}()
	return func() { signal.Stop(signals) }
}

// start starts one container and stays with it. It is followed before it is left
// to its monitor: one with --rm may be gone at once.
func (a *attachment) start(s Streams, host container.Host, info *container.Info) error {
	q := container.LogQuery{Since: time.Now(), Tail: -1, Follow: true}
	var f *following
	begin := func() error {
		now, err := container.Find(host.Dirs, info.ID)
		if err != nil {
			return err
		}
		now.Emit(host.Dirs, "attach")
		f, err = follow(s, now, q)
		return err
	}
	release := holdSignals()
	defer release()
	var failed error // told when the container runs on without us
	if !info.Running() {
		if err := startSeen(s, host, info, func() { failed = begin() }); err != nil {
			return err
		}
	}
	if f == nil && failed == nil {
		failed = begin()
	}
	if failed != nil {
		return failed
	}
	return a.stay(s, host, f, release)
}

// holdSignals keeps signals from ending us before our container is left to its
// monitor: its program would run already, and end with us. release, once or
// again, lets those that came meanwhile go where they go by then.
func holdSignals() (release func()) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT)
	return sync.OnceFunc(func() {
		signal.Stop(signals)
		for len(signals) > 0 {
			_ = unix.Kill(os.Getpid(), (<-signals).(unix.Signal))
		}
	})
}

// runUnproxied is run --sig-proxy=false.
func runUnproxied(s Streams, run *start.Run, args []string) error {
	id, err := run.Create(s, args, cold)
	if err != nil {
		return err
	}
	host, info, err := openContainer(id)
	if err != nil {
		return err
	}
	a := &attachment{noStdin: !run.Interactive, keys: run.DetachKeys()}
	return a.start(s, host, info)
}
