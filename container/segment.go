package container

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"containers/rl/container/waiter"
	netconfig "containers/rl/netslirp/config"
)

// Attachment is a container's place in a network that it shares with others:
// what there is to know of the network, as it was when the container was made,
// and what was asked for.
type Attachment struct {
	Network, ID string // by name, and by id
	Base        [4]byte
	Bits        int
	Gateway     [4]byte
	First, Last [4]byte  // of the addresses that are given out
	Names       bool     `json:",omitzero"` // the gateway answers for names of others
	Internal    bool     `json:",omitzero"` // no way out
	IP          [4]byte  `json:",omitzero"` // zeros: any that is free
	MTU         int      `json:",omitzero"`
	OwnMAC      bool     `json:",omitzero"` // the device's address was asked for
	Aliases     []string `json:",omitzero"`
}

// A network's directory in the run directory has for each address that is in
// use a datagram socket, to which the other containers' rl send their frames,
// and a file of the container's names.
const (
	segmentsDir = "networks"
	segmentLock = "lock"
	namesSuffix = ".names"
)

// SegmentDir is where containers of a network meet.
func SegmentDir(run, id string) string { return path.Join(run, segmentsDir, id) }

// segment is what has to be removed at the end.
type segment struct {
	dir     int
	address string
}

// joinSegment takes an address of the network, and the socket that goes with it.
func (r *Running) joinSegment(o *Options) (err error) {
	a := o.naming().Attached
	if a == nil {
		return nil
	}
	dir, err := openSegment(r.host.Dirs.Run, a.ID)
	if err != nil {
		return fmt.Errorf("joining network %s: %w", a.Network, err)
	}
	defer func() {
		if err != nil {
			unix.Close(dir)
		}
	}()
	lock, err := unix.Openat(dir, segmentLock, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("joining network %s: %w", a.Network, err)
	}
	defer unix.Close(lock)
	if err := unix.Flock(lock, unix.LOCK_EX); err != nil && !errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("locking network %s: %w", a.Network, err)
	}
	address, socket, err := a.take(dir)
	if err != nil {
		return err
	}
	text := netconfig.Text4(address)
	names := append([]string{o.ID[:12], o.ID, o.Name}, a.Aliases...)
	if err = writeAt(dir, text+namesSuffix, []byte(strings.Join(names, "\n")+"\n")); err != nil {
		unix.Close(socket)
		_ = unix.Unlinkat(dir, text, 0)
		return fmt.Errorf("joining network %s: %w", a.Network, err)
	}
	r.segment = &segment{dir: dir, address: text}
	mine, err := unix.FcntlInt(uintptr(dir), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	a.configure(&o.Slirp, address)
	o.Slirp.Segment = &netconfig.Segment{Dir: mine, Socket: socket, Names: a.Names}
	return nil
}

// configure places the container in the network.
func (a *Attachment) configure(n *netconfig.Network, address [4]byte) {
	n.Address4, n.Gateway4, n.DNS4, n.Bits4, n.IPv6, n.Internal = address, a.Gateway, a.Gateway, a.Bits, false, a.Internal
	if a.MTU > 0 {
		n.MTU = a.MTU
	}
	if !a.OwnMAC { // one that is no one else's in this network, as docker makes it
		n.MAC = [6]byte{0x02, 0x42, address[0], address[1], address[2], address[3]}
	}
}

func openSegment(run, id string) (dir int, err error) {
	for _, name := range []string{path.Join(run, segmentsDir), SegmentDir(run, id)} {
		if err := unix.Mkdir(name, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
			return -1, &os.PathError{Op: "mkdir", Path: name, Err: err}
		}
	}
	name := SegmentDir(run, id)
	if dir, err = unix.Open(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0); err != nil {
		return -1, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return dir, nil
}

// take finds a free address, or takes the one that was asked for.
func (a *Attachment) take(dir int) (address [4]byte, socket int, err error) {
	if a.IP != [4]byte{} {
		if socket, err = bindAddress(dir, a.IP); errors.Is(err, unix.EADDRINUSE) {
			err = fmt.Errorf("IPAM error: requested ip address %s is already allocated in network %s", netconfig.Text4(a.IP), a.Network)
		}
		return a.IP, socket, err
	}
	for n := number4(a.First); n <= number4(a.Last); n++ {
		if address = address4(n); address == a.Gateway {
			continue
		}
		socket, err = bindAddress(dir, address)
		if !errors.Is(err, unix.EADDRINUSE) {
			return address, socket, err
		}
	}
	return address, -1, fmt.Errorf("IPAM error: failed to find free IP in range: network %s", a.Network)
}

func number4(a [4]byte) uint64 {
	return uint64(a[0])<<24 | uint64(a[1])<<16 | uint64(a[2])<<8 | uint64(a[3])
}

func address4(n uint64) [4]byte { return [4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)} }

// bindAddress makes the socket of an address. One that was left by an rl that
// was killed is replaced: nobody answers there.
func bindAddress(dir int, address [4]byte) (socket int, err error) {
	name := netconfig.Text4(address)
	place := &unix.SockaddrUnix{Name: fdPath(dir) + "/" + name}
	if socket, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return -1, err
	}
	if err = unix.Bind(socket, place); errors.Is(err, unix.EADDRINUSE) && errors.Is(unix.Connect(socket, place), unix.ECONNREFUSED) {
		_ = unix.Unlinkat(dir, name, 0)
		_ = unix.Unlinkat(dir, name+namesSuffix, 0)
		err = unix.Bind(socket, place)
	}
	if err == nil {
		return socket, nil
	}
	unix.Close(socket)
	return -1, err
}

func writeAt(dir int, name string, text []byte) error {
	fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return writeAll(fd, text)
}

// leaveSegment gives the address back.
func (r *Running) leaveSegment() {
	if r.segment == nil {
		return
	}
	_ = unix.Unlinkat(r.segment.dir, r.segment.address, 0)
	_ = unix.Unlinkat(r.segment.dir, r.segment.address+namesSuffix, 0)
	r.forgetSegment()
}

// forgetSegment leaves the address to who goes on.
func (r *Running) forgetSegment() {
	if r.segment != nil {
		unix.Close(r.segment.dir)
		r.segment = nil
	}
}

// resumeSegment goes on with the place of the rl before us.
func (r *Running) resumeSegment(in inheritance) error {
	o := r.plan.o
	a := o.Attached()
	if a == nil {
		return nil
	}
	dir, err := openSegment(r.host.Dirs.Run, a.ID)
	if err != nil {
		return fmt.Errorf("resuming in network %s: %w", a.Network, err)
	}
	r.segment = &segment{dir: dir, address: netconfig.Text4(r.state.Address)}
	a.configure(&o.Slirp, r.state.Address)
	mine, err := unix.FcntlInt(uintptr(dir), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("resuming in network %s: %w", a.Network, err)
	}
	o.Slirp.Segment = &netconfig.Segment{Socket: in.fd(waiter.More + len(o.Ports)), Dir: mine, Names: a.Names}
	return nil
}
