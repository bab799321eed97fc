package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"containers/rl/storage/fuseoverlay"
)

// RoleOverlay is the name under which our binary starts again to serve an
// overlay through FUSE, until it is unmounted. Its standard input is a socket
// (ServeAsked). /dev/fuse belongs to the user namespace that it is opened in, so
// the process is in that of the mount, but has mounts of its own, or it would keep
// the one that it serves; and it is a process of its own, as who uses a mount must
// not be who serves it.
const RoleOverlay = "rl-overlay"

// OverlayServer is the other end of its socket.
type OverlayServer struct{ sock *os.File }

// NewOverlayServer gives the end that is ours, and the one for the process.
func NewOverlayServer() (s *OverlayServer, theirs *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("making a socket: %w", err)
	}
	return &OverlayServer{os.NewFile(uintptr(pair[0]), "socket")}, os.NewFile(uintptr(pair[1]), "socket"), nil
}

// Device receives /dev/fuse as the process has opened it.
func (s *OverlayServer) Device() (fd int, err error) {
	text, space := make([]byte, 1024), make([]byte, unix.CmsgSpace(4))
	n, m, _, _, err := unix.Recvmsg(int(s.sock.Fd()), text, space, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("starting the server of an overlay: %w", err)
	}
	messages, err := unix.ParseSocketControlMessage(space[:m])
	if err == nil && len(messages) == 1 {
		fds, err := unix.ParseUnixRights(&messages[0])
		if err == nil && len(fds) == 1 {
			return fds[0], nil
		}
	}
	return -1, said(text[:n])
}

// failure is an error of the process, which comes as its number and what it says.
type failure struct {
	errno unix.Errno
	text  string
}

func (f failure) Error() string { return f.text }

func (f failure) Unwrap() error { return f.errno }

func encodeFailure(err error) string {
	var errno unix.Errno
	_ = errors.As(err, &errno)
	return fmt.Sprintf("%d %s", int(errno), err)
}

func said(text []byte) error {
	number, rest, _ := strings.Cut(string(text), " ")
	if errno, err := strconv.Atoi(number); err == nil {
		return failure{unix.Errno(errno), rest}
	}
	return errors.New("the server of the overlay ended")
}

// Serve tells the process what to serve, and returns when it does.
func (s *OverlayServer) Serve(l fuseoverlay.Layers) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if _, err := s.sock.Write(text); err != nil {
		return fmt.Errorf("starting the server of an overlay: %w", err)
	}
	if err := unix.Shutdown(int(s.sock.Fd()), unix.SHUT_WR); err != nil {
		return fmt.Errorf("starting the server of an overlay: %w", err)
	}
	answer := make([]byte, 4096)
	n, err := s.sock.Read(answer)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err == nil && string(answer[:n]) != ready {
		err = said(answer[:n])
	}
	return err
}

// Close comes when the mount has been made: a process that has nothing to serve
// then ends.
func (s *OverlayServer) Close() { s.sock.Close() }

const ready = "ready"

// ServeAsked is the process: it opens /dev/fuse and sends it, and serves what it
// is told. Who started it may leave; it goes with the mount.
func ServeAsked(sock *os.File) error {
	if err := leave(); err != nil {
		return err
	}
	l, dev, err := asked(sock)
	if err != nil || len(l.Lower) == 0 { // who asked has gone
		if err != nil {
			_, _ = sock.WriteString(encodeFailure(err))
		}
		return err
	}
	return fuseoverlay.Serve(dev, l, func(err error) {
		answer := ready
		if err != nil {
			answer = encodeFailure(err)
		}
		_, _ = sock.WriteString(answer)
	}, func() bool { return waits(sock) })
}

// leave keeps nothing of who started us: neither the signals of the terminal, nor
// the directory, nor the descriptors that the container is to have, which alone
// are open here without being marked to be closed.
func leave() error {
	if _, err := unix.Setsid(); err != nil && !errors.Is(err, unix.EPERM) { // it has a session
		return fmt.Errorf("starting session: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("leaving the directory: %w", err)
	}
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, name := range names {
		fd, err := strconv.Atoi(name.Name())
		if err != nil || fd < 3 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd)
		}
	}
	return nil
}

// waits lets a moment go by, and says whether who asked is still there. Nobody
// could tell us of the mount: who makes it may be a process that runs a script.
func waits(sock *os.File) bool {
	time.Sleep(100 * time.Microsecond)
	poll := []unix.PollFd{{Fd: int32(sock.Fd())}}
	n, err := unix.Poll(poll, 0)
	return n == 0 || errors.Is(err, unix.EINTR) // no POLLHUP
}

func asked(sock *os.File) (l fuseoverlay.Layers, dev *os.File, err error) {
	if dev, err = os.OpenFile("/dev/fuse", os.O_RDWR, 0); err != nil {
		return l, nil, err
	}
	if err := unix.Sendmsg(int(sock.Fd()), []byte("f"), unix.UnixRights(int(dev.Fd())), nil, 0); err != nil {
		return l, nil, fmt.Errorf("passing /dev/fuse on: %w", err)
	}
	text, err := io.ReadAll(sock)
	if err == nil && len(text) > 0 {
		err = json.Unmarshal(text, &l)
	}
	return l, dev, err
}

// MountServed mounts an overlay through FUSE. It is called as root of a user
// namespace, with mounts of its own.
func MountServed(target string, l fuseoverlay.Layers) error {
	s, err := startServer()
	if err != nil {
		return fmt.Errorf("starting the server of an overlay: %w", err)
	}
	defer s.Close()
	dev, err := s.Device()
	if err != nil {
		return err
	}
	defer unix.Close(dev)
	if err := fuseoverlay.Mount(dev, target); err != nil {
		return err
	}
	if err := s.Serve(l); err != nil {
		return errors.Join(fmt.Errorf("serving an overlay on %s: %w", target, err), unix.Unmount(target, unix.MNT_DETACH))
	}
	return nil
}

func startServer() (*OverlayServer, error) {
	s, theirs, err := NewOverlayServer()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		s.Close()
		return nil, err
	}
	defer null.Close()
	process, err := os.StartProcess("/proc/self/exe", []string{RoleOverlay},
		&os.ProcAttr{Files: []*os.File{theirs, null, null}, Sys: &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}})
	if err != nil {
		s.Close()
		return nil, err
	}
	go func() { _, _ = process.Wait() }()
	return s, nil
}

// byFuse is the mounter of driver Fuse.
func byFuse(lower, upper, work, merged string) (refused, err error) {
	// Where layers cannot have the kernel's whiteouts they have others (package flat).
	probe := upper + ".whiteout"
	if err := unix.Mknod(probe, unix.S_IFCHR, 0); err != nil {
		return fmt.Errorf("making a whiteout: %w", err), nil
	}
	if err := unix.Unlink(probe); err != nil {
		return nil, err
	}
	return MountServed(merged, fuseoverlay.Layers{Lower: []string{lower}, Upper: upper, Work: work}), nil
}
