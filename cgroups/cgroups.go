// Package cgroups limits what a container may use, by cgroup v2 (cgroups(7),
// cgroup-v2.rst of the kernel, Linux 4.15; cgroup.kill is 5.14).
//
// A cgroup is made below the nearest one that is the user's own: the cgroup rl
// is in, or one above it. That is so in a unit with Delegate=yes
// (systemd.resource-control(5)), in a scope of systemd-run(1), and for root.
// The user's manager is not asked for a scope: that is still to come, and until
// then a session without a delegation has to be entered by systemd-run.
//
// A limit that cannot be set is an error that names the controller and the
// command that mends it; without a limit nothing here is called.
package cgroups

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Root is where the hierarchy is mounted.
const Root = "/sys/fs/cgroup"

// Unified says whether the hierarchy at Root is cgroup v2.
func Unified() bool {
	var st unix.Statfs_t
	return unix.Statfs(Root, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
}

// Own is the directory of the cgroup that we are in.
func Own() (string, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", fmt.Errorf("finding our cgroup: %w", err)
	}
	return parseOwn(string(text))
}

// parseOwn: the line of cgroup v2 begins with 0 and two colons.
func parseOwn(text string) (string, error) {
	for _, line := range strings.Split(text, "\n") {
		if name, ok := strings.CutPrefix(line, "0::"); ok {
			return path.Join(Root, path.Clean("/"+name)), nil
		}
	}
	return "", errors.New("finding our cgroup: /proc/self/cgroup has no line of cgroup v2")
}

// Writable says whether we may make cgroups below a directory: the kernel asks
// for write access to it and to its cgroup.procs.
func Writable(dir string) bool {
	return unix.Access(dir, unix.W_OK) == nil && unix.Access(path.Join(dir, "cgroup.procs"), unix.W_OK) == nil
}

// Controllers are those that the cgroup we are in may hand on; none without
// cgroup v2.
func Controllers() []string {
	list := []string{}
	if !Unified() {
		return list
	}
	own, err := Own()
	if err != nil {
		return list
	}
	text, _ := os.ReadFile(path.Join(own, "cgroup.controllers"))
	return append(list, strings.Fields(string(text))...)
}
