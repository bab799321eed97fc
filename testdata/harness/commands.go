package harness

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

type command = func(ts *testscript.TestScript, neg bool, args []string)

// commands are the scripts' own, beside testscript's.
func (w World) commands() map[string]command {
	return map[string]command{
		"exit":   exit,
		"client": client,
		"rl":     rl,
		"await":  await,
		"count":  count,
		"echoer": echoer,
		"broken": w.broken,
		"sign":   w.sign,
		"left":   left,
		"signal": signal,
	}
}

// rl runs `rl args...`: short for `exec rl args...`, and with ! any failure will do.
func rl(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec("rl", args...)
	if (err != nil) != neg {
		ts.Fatalf("rl %s: %v", strings.Join(args, " "), err)
	}
}

// exit STATUS PROGRAM ARGS... runs a program and requires its status.
func exit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exit STATUS PROGRAM [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if exited := (*exec.ExitError)(nil); errors.As(err, &exited) {
		got = exited.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("status %d, want %d", got, want)
	}
}

// await FILE waits until a file is there and not empty; with ! until it is gone.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] await FILE")
	}
	file := ts.MkAbs(args[0])
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		info, err := os.Stat(file)
		if neg && err != nil || !neg && err == nil && info.Size() > 0 {
			return
		}
	}
	ts.Fatalf("%s: waited for 30 s", file)
}

// count N stdout|stderr|FILE requires the number of bytes.
func count(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: count BYTES FILE")
	}
	if got := fmt.Sprint(len(ts.ReadFile(args[1]))); got != args[0] {
		ts.Fatalf("%s has %s bytes, want %s", args[1], got, args[0])
	}
}

// signal NAME sends a signal to the background command that was started last: testscript's own kill knows two of them.
func signal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "USR1": syscall.SIGUSR1, "KILL": syscall.SIGKILL}
	cmds := ts.BackgroundCmds()
	if neg || len(args) != 1 || signals[args[0]] == 0 || len(cmds) == 0 {
		ts.Fatalf("usage: signal TERM|HUP|USR1|KILL, after a command in the background")
	}
	ts.Check(cmds[len(cmds)-1].Process.Signal(signals[args[0]]))
}

// left fails when a container's process, mount or directory is left; the end of each script does the same.
func left(ts *testscript.TestScript, neg bool, args []string) {
	found := Left(ts.Getenv("HOME"), ts.Getenv("XDG_RUNTIME_DIR"))
	if (len(found) > 0) != neg {
		ts.Fatalf("left behind: %q", found)
	}
}

// echoer starts a TCP server that answers each line in upper case on all of the host's addresses, and sets HOST to the one which is not loopback and PORT.
// With the argument loopback it listens on 127.0.0.1 only.
func echoer(ts *testscript.TestScript, neg bool, args []string) {
	host, listen := outerAddress(), ":0"
	if len(args) > 0 && args[0] == "loopback" {
		listen = "127.0.0.1:0"
	} else if host == "" {
		ts.Fatalf("echoer: the machine has no address but loopback: test with [!outer] before")
	}
	l, err := net.Listen("tcp", listen)
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	go serveEcho(l)
	_, port, err := net.SplitHostPort(l.Addr().String())
	ts.Check(err)
	ts.Setenv("HOST", host)
	ts.Setenv("PORT", port)
}

func serveEcho(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			buf := make([]byte, 4096)
			for n, err := conn.Read(buf); err == nil; n, err = conn.Read(buf) {
				conn.Write([]byte(strings.ToUpper(string(buf[:n]))))
			}
		}()
	}
}

// outerAddress is the machine's first IPv4 address which is not loopback or link-local, or "".
func outerAddress() string {
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && n.IP.IsGlobalUnicast() {
			return n.IP.String()
		}
	}
	return ""
}

// condition: root, subids (the user has subordinate ids and newuidmap), outer (an address but loopback), and what the kernel has.
func condition(name string) (bool, error) {
	switch name {
	case "root":
		return os.Getuid() == 0, nil
	case "subids":
		return os.Getuid() == 0 || hasSubids(), nil
	case "outer":
		return outerAddress() != "", nil
	case "lowports":
		return lowPorts(), nil
	case "ipv6":
		_, err := os.Stat("/proc/net/if_inet6")
		return err == nil, nil
	case "seccomp":
		_, err := os.Stat("/proc/sys/kernel/seccomp/actions_avail")
		return err == nil, nil
	case "cgroup2":
		var s syscall.Statfs_t
		err := syscall.Statfs("/sys/fs/cgroup", &s)
		return err == nil && s.Type == 0x63677270, nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

func hasSubids() bool {
	if _, err := exec.LookPath("newuidmap"); err != nil {
		return false
	}
	data, err := os.ReadFile("/etc/subuid")
	return err == nil && strings.Contains("\n"+string(data), "\n"+os.Getenv("USER")+":")
}

// registriesFile is where a script's registry configuration is.
func registriesFile(ts *testscript.TestScript) string {
	return filepath.Join(ts.Getenv("HOME"), ".config/containers/registries.conf")
}
