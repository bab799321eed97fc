package userns

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Explain gives, after a refusal, what refused and the command that mends it.
// Switches are read only here: a start that succeeds pays nothing for them.
func Explain(err error) []string {
	var step *StepError
	var maps *MapError
	switch {
	case errors.As(err, &maps):
		return explainMaps(maps)
	case errors.As(err, &step):
		return explainStep(step, func(path string) string {
			text, _ := readBounded(path)
			return strings.TrimSpace(text)
		})
	}
	return nil
}

// explainStep: read gives the content of a file of /proc, "" when it has none.
func explainStep(e *StepError, read func(string) string) []string {
	cloning := e.Op == "cloning"
	if e.Err == unix.ENOSPC && cloning {
		return exhausted(read)
	}
	if e.Op == "opening" && e.Object == "/dev/net/tun" {
		return []string{"sudo modprobe tun && sudo chmod 666 /dev/net/tun, or run with --network host or none"}
	}
	if e.Err == unix.EINVAL && e.Op == "binding" {
		return []string{"what is mounted below a source cannot be left out in a user namespace: bind it with the option rbind, which is the default"}
	}
	if e.Err == unix.EINVAL && e.Op == "attaching" {
		return []string{"of what is bound and its place, one is a directory and the other a file"}
	}
	if e.Err == unix.EINVAL && cloning {
		return []string{"the kernel has no user namespaces (CONFIG_USER_NS)"}
	}
	if !errors.Is(e.Err, unix.EPERM) && !errors.Is(e.Err, unix.EACCES) || e.Op == execOp {
		return nil
	}
	var hints []string
	if read("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
		hints = append(hints, "unprivileged user namespaces are off: sudo sysctl -w kernel.unprivileged_userns_clone=1")
	}
	if read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
		hints = append(hints, "AppArmor restricts unprivileged user namespaces: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0")
	}
	if cloning && strings.Contains(read("/proc/self/status"), "Seccomp:\t2") {
		hints = append(hints, "a seccomp filter of an outer container is active: start that container with --security-opt seccomp=unconfined")
	}
	if mounts := read("/proc/self/mountinfo"); cloning && mounts != "" && !atRoot(mounts) {
		hints = append(hints, "the kernel makes no user namespaces for a process in a chroot: enter that directory with pivot_root(8), or bind it as a container's root")
	}
	if len(hints) == 0 && cloning && strings.HasPrefix(read("/sys/module/apparmor/parameters/enabled"), "Y") {
		hints = append(hints, "AppArmor may deny user namespaces to this program (sudo journalctl -k | grep apparmor): sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or load a profile for rl that has the rule userns")
	}
	return hints
}

// atRoot: a mount is on / unless we are in a chroot, where mountinfo shows only
// what lies below (proc_pid_mountinfo(5), field 5).
func atRoot(mounts string) bool {
	for _, line := range nonEmptyLines(mounts) {
		if fields := strings.Fields(line); len(fields) > 4 && fields[4] == "/" {
			return true
		}
	}
	return false
}

func exhausted(read func(string) string) []string {
	for _, kind := range []string{"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"} {
		path := "/proc/sys/user/max_" + kind + "_namespaces"
		if read(path) == "0" {
			return []string{fmt.Sprintf("%s is 0: sudo sysctl -w user.max_%s_namespaces=15000", path, kind)}
		}
	}
	return []string{"too many namespaces, or nested deeper than 32: raise user.max_user_namespaces with sudo sysctl -w user.max_user_namespaces=60000"}
}

func explainMaps(e *MapError) []string {
	name := first(os.Getenv("USER"), "USER")
	switch {
	case strings.Contains(e.Text, "not allowed"):
		return []string{fmt.Sprintf("the range of /etc/subuid or /etc/subgid is not ours to map: sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %s", name)}
	case strings.Contains(e.Text, "Operation not permitted"), strings.Contains(e.Text, "not permitted"):
		return []string{"newuidmap and newgidmap must be set-uid root or hold CAP_SETUID and CAP_SETGID: sudo chmod u+s /usr/bin/newuidmap /usr/bin/newgidmap"}
	case errors.Is(e.Err, syscall.EPERM):
		return []string{"an outer container or LSM refuses the map: start the outer container with --security-opt seccomp=unconfined, or with the capabilities SETUID, SETGID and SETFCAP"}
	}
	return nil
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
