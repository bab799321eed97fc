package netslirp

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"containers/rl/netslirp/config"
)

// The tests run this binary again in a network namespace of its own, where it
// makes the device, sends its descriptor back and then plays the container.

const roleVariable, configVariable = "NETSLIRP_TEST_ROLE", "NETSLIRP_TEST_CONFIG"

// roles are what a container can do, by name.
var roles = map[string]func(args []string) error{
	"send": sendRole, "fetch": fetchRole, "refused": refusedRole, "datagram": datagramRole,
	"dns": dnsRole, "dnstcp": dnsTCPRole, "half": halfRole, "reset": resetRole, "ping": pingRole, "own": ownRole,
	"answer": answerRole, "answerudp": answerUDPRole, "quiet": quietRole, "slow": slowRole, "late": lateRole, "many": manyRole, "load": loadRole,
}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := playRole(role); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func playRole(role string) error {
	var cfg config.Network
	if err := json.Unmarshal([]byte(os.Getenv(configVariable)), &cfg); err != nil {
		return err
	}
	if err := makeDevice(&cfg); err != nil {
		return err
	}
	return roles[role](os.Args[1:])
}

// makeDevice does what the script of a container does, and sends the
// descriptor through the socket at descriptor 3.
func makeDevice(cfg *config.Network) error {
	tun, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("opening /dev/net/tun: %w", err)
	}
	req := cfg.DeviceRequest()
	if err := request(tun, unix.TUNSETIFF, req[:]); err != nil {
		return fmt.Errorf("making %s: %w", config.DeviceName, err)
	}
	if err := configure(cfg); err != nil {
		return err
	}
	if err := unix.Sendmsg(3, []byte{0}, unix.UnixRights(tun), nil, 0); err != nil {
		return err
	}
	return errors.Join(unix.Close(tun), unix.Close(3))
}

func request(fd int, number uint, b []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(number), uintptr(unsafe.Pointer(&b[0])))
	if errno != 0 {
		return errno
	}
	return nil
}

func configure(cfg *config.Network) error {
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(sock)
	order := binary.NativeEndian
	if cfg.Ethernet() {
		var req [40]byte
		copy(req[:], config.DeviceName)
		copy(req[16:], cfg.AddressRequest())
		if err := request(sock, unix.SIOCSIFHWADDR, req[:]); err != nil {
			return fmt.Errorf("setting the Ethernet address: %w", err)
		}
	}
	inet := func(a [4]byte) []byte {
		return append(order.AppendUint16(nil, unix.AF_INET), 0, 0, a[0], a[1], a[2], a[3])
	}
	mask := [4]byte(net.CIDRMask(cfg.Bits4, 32))
	for _, step := range []struct {
		number uint
		device string
		value  []byte
	}{
		{unix.SIOCSIFFLAGS, "lo", order.AppendUint16(nil, unix.IFF_UP)},
		{unix.SIOCSIFADDR, config.DeviceName, inet(cfg.Address4)},
		{unix.SIOCSIFNETMASK, config.DeviceName, inet(mask)},
		{unix.SIOCSIFMTU, config.DeviceName, order.AppendUint32(nil, uint32(cfg.MTU))},
		{unix.SIOCSIFFLAGS, config.DeviceName, order.AppendUint16(nil, cfg.Flags())},
	} {
		var req [40]byte
		copy(req[:], step.device)
		copy(req[16:], step.value)
		if err := request(sock, step.number, req[:]); err != nil {
			return fmt.Errorf("ioctl %#x of %s: %w", step.number, step.device, err)
		}
	}
	route := make([]byte, 120)
	copy(route[8:], inet([4]byte{}))
	copy(route[24:], inet(cfg.Gateway4))
	copy(route[40:], inet([4]byte{}))
	order.PutUint16(route[56:], unix.RTF_UP|unix.RTF_GATEWAY)
	if err := request(sock, unix.SIOCADDRT, route); err != nil {
		return fmt.Errorf("adding the route: %w", err)
	}
	return configure6(cfg)
}

func configure6(cfg *config.Network) error {
	sock, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil || !cfg.IPv6 {
		return nil
	}
	defer unix.Close(sock)
	device, err := net.InterfaceByName(config.DeviceName)
	if err != nil {
		return err
	}
	order := binary.NativeEndian
	netlink, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer unix.Close(netlink)
	if _, err := unix.Write(netlink, config.Address6Request(uint32(device.Index))); err != nil {
		return fmt.Errorf("setting the IPv6 address: %w", err)
	}
	route, gateway := make([]byte, 80), config.Gateway6
	copy(route[32:], gateway[:])
	order.PutUint32(route[56:], 1)
	order.PutUint32(route[72:], unix.RTF_UP|unix.RTF_GATEWAY)
	order.PutUint32(route[76:], uint32(device.Index))
	if err := request(sock, unix.SIOCADDRT, route); err != nil {
		return fmt.Errorf("adding the IPv6 route: %w", err)
	}
	return nil
}

// container plays a role in a namespace served by cfg.
type container struct {
	*Server
	command *exec.Cmd
	output  strings.Builder
}

// start serves the device from the first packet on.
func start(t testing.TB, cfg config.Network, role string, args ...string) *container {
	t.Helper()
	c, tun := enter(t, cfg, role, args...)
	c.serve(t, tun, cfg, nil)
	return c
}

// serve serves a prepared device.
func (c *container) serve(t testing.TB, tun int, cfg config.Network, first []byte) {
	t.Helper()
	var err error
	if c.Server, err = Serve(tun, cfg, first); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
}

// enter starts a role in a namespace of its own and gives its device.
func enter(t testing.TB, cfg config.Network, role string, args ...string) (*container, int) {
	t.Helper()
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip("needs /dev/net/tun")
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(pair[1]), "pair")
	text, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c := &container{command: exec.Command("/proc/self/exe", args...)}
	c.command.Env = append(os.Environ(), roleVariable+"="+role, configVariable+"="+string(text), "GORACE=atexit_sleep_ms=0")
	c.command.Stdout, c.command.Stderr = &c.output, &c.output
	c.command.ExtraFiles = []*os.File{theirs}
	c.command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   unix.SIGKILL,
	}
	err = c.command.Start()
	theirs.Close()
	if err != nil {
		unix.Close(pair[0])
		t.Skipf("needs user namespaces: %v", err)
	}
	tun, err := receiveDescriptor(pair[0])
	unix.Close(pair[0])
	if err != nil {
		_ = c.command.Wait()
		t.Fatalf("%v: %s", err, c.output.String())
	}
	if err := config.Prepare(tun); err != nil {
		t.Fatal(err)
	}
	return c, tun
}

func receiveDescriptor(sock int) (int, error) {
	data, oob := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(sock, data, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil || n == 0 {
		return -1, errors.Join(errors.New("no device came"), err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil {
		return -1, err
	}
	rights, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return -1, err
	}
	return rights[0], nil
}

// wait demands that the role ends well.
func (c *container) wait(t testing.TB) string {
	t.Helper()
	timer := time.AfterFunc(60*time.Second, func() { _ = c.command.Process.Kill() })
	defer timer.Stop()
	if err := c.command.Wait(); err != nil {
		t.Fatalf("in the container: %v: %s", err, c.output.String())
	}
	return c.output.String()
}

// play is start and wait.
func play(t testing.TB, cfg config.Network, role string, args ...string) string {
	t.Helper()
	return start(t, cfg, role, args...).wait(t)
}

// toHost lets the container reach the test's servers.
func toHost() config.Network {
	cfg := config.Default()
	cfg.HostLoopback = true
	return cfg
}
