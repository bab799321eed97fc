// Package cgroups finds the cgroup v2 subtree that is delegated to the user
// (cgroups(7), Linux 4.5; delegation as in systemd's CGROUP_DELEGATION).
//
// Setting limits and making a subtree a container are still to come; until then
// a limit cannot be asked for. Without cgroup v2 or without a delegation the
// functions say so, and nothing else changes.
package cgroups

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
		if path, ok := strings.CutPrefix(line, "0::"); ok {
			return filepath.Join(Root, filepath.Clean("/"+path)), nil
		}
	}
	return "", errors.New("finding our cgroup: /proc/self/cgroup has no line of cgroup v2")
}

// Writable says whether we may make cgroups below a directory: the kernel asks
// for write access to it and to its cgroup.procs.
func Writable(path string) bool {
	return unix.Access(path, unix.W_OK) == nil && unix.Access(filepath.Join(path, "cgroup.procs"), unix.W_OK) == nil
}
