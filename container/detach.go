package container

import (
	"errors"
	"io"
	"os"
	"path"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// The user of a terminal may leave a container, or a program of exec, by the
// keys of --detach-keys: it goes on as if it had been started with --detach.
// Our process stays with it; whoever waits for the command is another one (see
// package start), which ends then.

// screen is where the output of a terminal goes.
type screen struct {
	mu  sync.Mutex
	log *logger
	out io.Writer // nil: the log alone
}

// Write writes to both.
func (s *screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.write("stdout", text)
	if s.out == nil {
		return len(text), nil
	}
	return s.out.Write(text)
}

func (s *screen) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.close()
}

// watchKeys makes what tells that the keys were typed.
func (r *Running) watchKeys() error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err == nil {
		r.keys = os.NewFile(uintptr(fd), "keys")
	}
	return err
}

// pressed is called by who reads what is typed.
func (r *Running) pressed() { _, _ = r.keys.Write([]byte{1, 0, 0, 0, 0, 0, 0, 0}) }

// awaitKeys returns when the program has ended, or when the user has left. It
// runs on the thread that Leave needs, which is the one that Finish is called on.
func (r *Running) awaitKeys() {
	defer r.keys.Close()
	poll := []unix.PollFd{{Fd: int32(r.child.PIDFD), Events: unix.POLLIN}, {Fd: int32(r.keys.Fd()), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(poll, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && poll[0].Revents == 0 && poll[1].Revents != 0 {
			r.stayBehind()
		}
		return
	}
}

// stayBehind: the terminal is given back first. Then others can type, read and see
// the container, and the last is that the user is told.
func (r *Running) stayBehind() {
	o := r.plan.o
	if r.modes != nil {
		_ = term.Restore(int(o.Stdin.Fd()), r.modes)
		r.modes = nil
	}
	o.Detached = true
	if !r.joins {
		if o.Remove { // in the foreground it had none
			if log, err := o.openLog(r.storage.Dir); err == nil {
				r.screen.mu.Lock()
				r.screen.log = log
				r.screen.mu.Unlock()
			}
		}
		r.closeConsole = r.typed(r.console, r.closeConsole)
		r.known()
	}
	if r.visited != nil {
		r.visited.Emit(r.host.Dirs, "exec_detach")
	} else {
		emit(r.host.Dirs, o.event("detach"))
	}
	_, _ = unix.Setsid() // the terminal's end is none of our business
	if o.Leave(o.ID) != nil {
		r.child.Kill()
	}
}

// known writes anew what others know of a container that is removed at its end:
// in the foreground that was less. The empty exit file may be open.
func (r *Running) known() {
	if !r.plan.o.Remove {
		return
	}
	for _, f := range r.files() {
		if f.name != exitFile {
			_ = r.storage.WriteFile(f.name, f.text)
		}
	}
	_ = os.Remove(path.Join(r.storage.Dir, stoppedFile))
}
