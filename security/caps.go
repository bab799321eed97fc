package security

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// capabilityNames in the order of linux/capability.h.
var capabilityNames = [...]string{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
	"LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
	"SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
	"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
	"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
	"CHECKPOINT_RESTORE",
}

// DefaultCapabilities are docker's.
func DefaultCapabilities() []string {
	return []string{
		"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
		"CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
	}
}

// AllCapabilities are those of the running kernel.
func AllCapabilities() []string {
	last := 0
	for last+1 < len(capabilityNames) && known(last+1) {
		last++
	}
	all := make([]string, 0, last+1)
	for _, name := range capabilityNames[:last+1] {
		all = append(all, "CAP_"+name)
	}
	return all
}

// known: the kernel has all capabilities up to its last (capabilities(7)).
func known(capability int) bool {
	_, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(capability), 0, 0, 0)
	return err == nil
}

// AdjustCapabilities adds and drops as docker does: names in any case with or
// without CAP_, ALL for all of them. Dropping ALL leaves what is added by
// name; adding ALL leaves what is not dropped by name.
func AdjustCapabilities(base, add, drop []string) ([]string, error) {
	added, addAll, err := normalise(add)
	if err != nil {
		return nil, err
	}
	dropped, dropAll, err := normalise(drop)
	if err != nil {
		return nil, err
	}
	switch {
	case addAll:
		base = AllCapabilities()
	case dropAll:
		base = nil
	}
	if addAll && dropAll {
		base = nil
	}
	var result []string
	seen := map[string]bool{}
	for _, name := range append(append([]string{}, base...), added...) {
		if !seen[name] && !contains(dropped, name) {
			result = append(result, name)
		}
		seen[name] = true
	}
	return result, nil
}

func normalise(names []string) (list []string, all bool, err error) {
	for _, name := range names {
		upper := strings.ToUpper(strings.TrimSpace(name))
		if upper == "ALL" || upper == "CAP_ALL" {
			all = true
			continue
		}
		full := "CAP_" + strings.TrimPrefix(upper, "CAP_")
		if _, ok := bit(full); !ok {
			return nil, false, fmt.Errorf("unknown capability %q", name)
		}
		list = append(list, full)
	}
	return list, all, nil
}

func bit(name string) (uint, bool) {
	for i, known := range capabilityNames {
		if name == "CAP_"+known {
			return uint(i), true
		}
	}
	return 0, false
}

// CapabilityMask has bit n for capability n.
func CapabilityMask(names []string) (mask uint64, err error) {
	for _, name := range names {
		n, ok := bit(name)
		if !ok {
			return 0, fmt.Errorf("unknown capability %q", name)
		}
		mask |= 1 << n
	}
	return mask, nil
}

func contains(list []string, want string) bool {
	for _, v := range list {
		if v == want {
			return true
		}
	}
	return false
}
