package container

import (
	"errors"
	"fmt"
	"os"
	"path"
	"sync"

	"golang.org/x/sys/unix"
)

// A container that someone may type to has a socket of type SOCK_SEQPACKET in
// its own directory, which only its user may enter (unix(7)): there it is found
// whatever the variables of a session are, and goes with the container. Each
// message begins with its kind. Output does not come this way: who is attached follows
// the log, so a reader that sleeps holds up nobody.
const (
	inputText   = 'i' // what was typed
	inputEnd    = 'e' // nothing will follow
	inputWindow = 'w' // rows and columns, two bytes each, of the terminal
)

// maxInput is the size of a message.
const maxInput = 32 << 10

const inputSocket = "input"

// withSocket calls bind or connect with a path that is short enough for
// sun_path wherever the directory is.
func withSocket(dir string, call func(unix.Sockaddr) error) error {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return call(&unix.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d/%s", fd, inputSocket)})
}

// inputServer takes what is typed by whoever is attached.
type inputServer struct {
	listener int
	name     string
	to       int // where it goes
	resize   func(r, c uint16)
	once     bool // the first end is the end
	serving  bool
	clients  []int
	mu       sync.Mutex // held while what came is taken
}

// errTyping says that someone is connected, or that there is nothing to type to.
var errTyping = errors.New("standard input is in use")

// hold leaves what comes to the socket until goOn. nil: there is none.
func (s *inputServer) hold() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	if len(s.clients) > 0 || s.to < 0 {
		s.mu.Unlock()
		return errTyping
	}
	return nil
}

func (s *inputServer) goOn() {
	if s != nil {
		s.mu.Unlock()
	}
}

// listen makes the socket.
func (r *Running) listen() (s *inputServer, err error) {
	s = r.inherited(-1)
	if s.listener, err = unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0); err == nil {
		_ = os.Remove(s.name) // of an rl that was killed
		if err = withSocket(r.storage.Dir, func(at unix.Sockaddr) error { return unix.Bind(s.listener, at) }); err == nil {
			err = unix.Listen(s.listener, 8)
		}
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("making the socket %s: %w", s.name, err)
	}
	return s, nil
}

// inherited is a socket that is there.
func (r *Running) inherited(listener int) *inputServer {
	return &inputServer{listener: listener, name: path.Join(r.storage.Dir, inputSocket), to: -1, once: r.plan.o.StdinOnce}
}

// serve takes what is typed from now on.
func (s *inputServer) serve(to int, resize func(rows, cols uint16)) {
	s.to, s.resize, s.serving = to, resize, true
	go s.run()
}

func (s *inputServer) close() {
	_ = os.Remove(s.name)
	s.letGo()
}

// letGo leaves the socket to another.
func (s *inputServer) letGo() {
	switch {
	case s.listener < 0:
	case s.serving:
		_ = unix.Shutdown(s.listener, unix.SHUT_RDWR) // wakes run, which closes it
	default:
		unix.Close(s.listener)
	}
}

func (s *inputServer) run() {
	defer func() {
		for _, fd := range append(s.clients, s.listener) {
			unix.Close(fd)
		}
	}()
	buffer := make([]byte, maxInput)
	for {
		poll := []unix.PollFd{{Fd: int32(s.listener), Events: unix.POLLIN}}
		for _, fd := range s.clients {
			poll = append(poll, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		}
		if _, err := unix.Poll(poll, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		if !s.turn(poll, buffer) {
			return
		}
	}
}

// turn takes what has come; false ends the server.
func (s *inputServer) turn(poll []unix.PollFd, buffer []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []int
	for _, p := range poll[1:] {
		if p.Revents == 0 || s.take(int(p.Fd), buffer) {
			left = append(left, int(p.Fd))
		} else {
			unix.Close(int(p.Fd))
		}
	}
	s.clients = left
	return poll[0].Revents == 0 || s.accept()
}

// accept takes the same user only: the directory is his alone, but a
// descriptor of it may have been handed on.
func (s *inputServer) accept() bool {
	fd, _, err := unix.Accept4(s.listener, unix.SOCK_CLOEXEC)
	if err != nil {
		return errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNABORTED)
	}
	peer, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil || int(peer.Uid) != os.Getuid() {
		unix.Close(fd)
		return true
	}
	s.clients = append(s.clients, fd)
	return true
}

func (s *inputServer) take(client int, buffer []byte) bool {
	n, err := unix.Read(client, buffer)
	if err != nil || n <= 0 {
		return errors.Is(err, unix.EINTR)
	}
	switch text := buffer[1:n]; {
	case buffer[0] == inputText && s.to >= 0:
		_ = writeAll(s.to, text)
	case buffer[0] == inputEnd && s.once && s.to >= 0 && s.resize == nil:
		unix.Close(s.to)
		s.to = -1
	case buffer[0] == inputWindow && s.resize != nil && len(text) == 4:
		s.resize(order.Uint16(text), order.Uint16(text[2:]))
	}
	return true
}

// Input is one end of a container's standard input.
type Input struct{ fd int }

// ErrNoInput says that nobody can type to a container.
var ErrNoInput = errors.New("standard input is not open: it was made without -i")

// OpenInput connects to a container that runs.
func (i *Info) OpenInput() (*Input, error) {
	if !i.Options.Interactive && !i.Options.TTY {
		return nil, ErrNoInput
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		if err = withSocket(i.Dir, func(at unix.Sockaddr) error { return unix.Connect(fd, at) }); err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("connecting to container %s: %w", i.Name(), err)
	}
	return &Input{fd}, nil
}

func (in *Input) send(kind byte, text []byte) error {
	return unix.Send(in.fd, append([]byte{kind}, text...), unix.MSG_NOSIGNAL)
}

// Write types.
func (in *Input) Write(text []byte) (n int, err error) {
	for len(text) > 0 {
		part := text[:min(len(text), maxInput-1)]
		if err := in.send(inputText, part); err != nil {
			return n, err
		}
		n += len(part)
		text = text[len(part):]
	}
	return n, nil
}

// End says that nothing will follow.
func (in *Input) End() error { return in.send(inputEnd, nil) }

// Resize gives the terminal another size.
func (in *Input) Resize(rows, cols uint16) error {
	return in.send(inputWindow, order.AppendUint16(order.AppendUint16(nil, rows), cols))
}

// Close lets go of it; the container's input stays open.
func (in *Input) Close() error { return unix.Close(in.fd) }
