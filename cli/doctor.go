package cli

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"containers/rl/cgroups"
	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/security"
	"containers/rl/userns"
)

// finding is one line of doctor. State is ok, degraded or missing.
type finding struct{ subject, state, text, mend string }

func doctorFlags(*flags.Set) func(Streams, []string) error {
	return func(s Streams, args []string) error {
		if len(args) > 0 {
			return usageError{Text: "doctor takes no argument", Command: "doctor"}
		}
		missing := 0
		for _, look := range []func() finding{kernel, namespaces, ids, directories, driver, tunDevice, seccompFilter, appArmor, cgroup, cdiFound} {
			f := look()
			line := fmt.Sprintf("%-10s %-9s %s", f.subject, f.state, f.text)
			if f.mend != "" {
				line += ": " + f.mend
			}
			fmt.Fprintln(s.Out, line)
			if f.state == "missing" {
				missing++
			}
		}
		if missing > 0 {
			return fmt.Errorf("%d things that rl cannot run without are missing", missing)
		}
		return nil
	}
}

func kernel() finding {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return finding{"kernel", "missing", err.Error(), ""}
	}
	release := unix.ByteSliceToString(u.Release[:])
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err == nil && (major < 5 || major == 5 && minor < 11) {
		return finding{"kernel", "degraded", release + " is older than 5.11, which mounts overlay without root: see driver", "update the kernel"}
	}
	return finding{"kernel", "ok", release, ""}
}

// namespaces are tried, not read about.
func namespaces() finding {
	child, err := userns.Clone(userns.Config{Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET})
	if err == nil {
		child.Kill()
		return finding{"namespaces", "ok", "user namespaces can be made, with mount, pid and network namespaces in them", ""}
	}
	return finding{"namespaces", "missing", err.Error(), strings.Join(userns.Explain(err), "; ")}
}

func ids() finding {
	u := userns.Self()
	m, notice, err := userns.FindMap(u)
	switch {
	case err != nil:
		return finding{"ids", "missing", err.Error(), ""}
	case notice == "":
		total := uint32(0)
		for _, e := range m.UIDs {
			total += e.Size
		}
		return finding{"ids", "ok", fmt.Sprintf("%d ids are mapped", total), ""}
	}
	mend := fmt.Sprintf("sudo apt install uidmap && sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 %s", firstOf(u.Name, "USER"))
	return finding{"ids", "degraded", notice, mend}
}

func directories() finding {
	d, err := start.Directories()
	if err != nil {
		return finding{"store", "missing", err.Error(), ""}
	}
	return finding{"store", "ok", d.Data + ", " + d.Run, ""}
}

func tunDevice() finding {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return finding{"network", "degraded", "/dev/net/tun: " + err.Error(), "sudo modprobe tun && sudo chmod 666 /dev/net/tun, or run with --network host or none"}
	}
	unix.Close(fd)
	return finding{"network", "ok", "/dev/net/tun can be opened", ""}
}

func seccompFilter() finding {
	if _, err := os.Stat("/proc/sys/kernel/seccomp/actions_avail"); err != nil {
		return finding{"seccomp", "missing", "the kernel has no seccomp filters", "--security-opt seccomp=unconfined"}
	}
	return finding{"seccomp", "ok", "filters are available", ""}
}

func appArmor() finding {
	if !security.AppArmorEnabled() {
		return finding{"apparmor", "ok", "not enabled; nothing is lost to a container", ""}
	}
	if text, err := os.ReadFile("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"); err == nil && strings.TrimSpace(string(text)) == "1" {
		return finding{"apparmor", "degraded", "unprivileged user namespaces are restricted", "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"}
	}
	return finding{"apparmor", "ok", "enabled", ""}
}

func cgroup() finding {
	if !cgroups.Unified() {
		return finding{"cgroup", "degraded", "no cgroup v2 at " + cgroups.Root + ", so no limits", "boot with systemd.unified_cgroup_hierarchy=1"}
	}
	path, err := cgroups.Own()
	if err != nil {
		return finding{"cgroup", "degraded", err.Error(), ""}
	}
	if !cgroups.Writable(path) {
		return finding{"cgroup", "degraded", path + " is not delegated to us, so no limits", "systemd-run --user --scope -p Delegate=yes rl ..."}
	}
	return finding{"cgroup", "ok", path + " is delegated to us", ""}
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
