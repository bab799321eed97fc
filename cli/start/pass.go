package start

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// descriptors counts those that a program gets beside its streams: what systemd
// or another hands down (sd_listen_fds(3)), and --preserve-fds after them.
func descriptors(preserve string) (all, listen int, names []string, err error) {
	if preserve != "0" {
		if all, err = strconv.Atoi(preserve); err != nil || all < 0 || all > 1<<16 {
			return 0, 0, nil, fmt.Errorf("--preserve-fds %s: a number of descriptors", preserve)
		}
	}
	if count, ok := os.LookupEnv("LISTEN_FDS"); ok {
		if listen, err = strconv.Atoi(count); err != nil || listen < 0 || listen > 1<<16 || !listensFor(os.Getenv("LISTEN_PID")) {
			listen = 0 // meant for another process
		}
	}
	if value, ok := os.LookupEnv("LISTEN_FDNAMES"); ok && listen > 0 {
		names = []string{"LISTEN_FDNAMES=" + value}
	}
	all += listen
	for fd := 3; fd < 3+all; fd++ {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC != 0 {
			return 0, 0, nil, fmt.Errorf("file descriptor %d is not available - the preserve-fds option requires that file descriptors must be passed", fd)
		}
	}
	return all, listen, names, nil
}

// listensFor: a monitor acts for whoever started it.
func listensFor(pid string) bool {
	return pid == strconv.Itoa(os.Getpid()) || os.Args[0] == RoleMonitor && pid == strconv.Itoa(os.Getppid())
}
