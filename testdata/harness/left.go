package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// reportLeft fails the test when rl left something: a process, a mount in our namespace, a container's directory. What ends by itself
// after rl's exit, as the kernel tears namespaces down, gets a moment to do so.
func reportLeft(t testscript.T, home, run string, mountsBefore []string) {
	var left []string
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		left = Left(home, run)
		left = append(left, newMounts(mountsBefore, home, run)...)
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			break
		}
	}
	t.Fatal("left behind:\n\t" + strings.Join(left, "\n\t"))
}

// Left lists what rl, used with this home and run directory, has left of containers. Images stay, as they should.
func Left(home, run string) []string {
	left := processes("HOME=" + home)
	for _, dir := range []string{filepath.Join(home, ".local/share/rl/containers"), filepath.Join(run, "rl/containers")} {
		left = append(left, containersIn(dir)...)
	}
	return left
}

// containersIn lists a directory of containers; what is kept for locking or as an empty index of names is no container.
func containersIn(dir string) []string {
	var found []string
	entries, _ := os.ReadDir(dir) // not there: nothing is left
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() {
			if inner, err := os.ReadDir(path); err == nil && len(inner) == 0 && len(e.Name()) < 12 {
				continue
			}
		} else if strings.HasSuffix(e.Name(), "lock") {
			continue
		}
		found = append(found, path)
	}
	return found
}

// processes lists those whose environment has the variable, but for zombies: rl and what it started on this side. A container's own
// processes have another environment; they are found by their parent's death in the scripts that look for them.
func processes(variable string) []string {
	var found []string
	for _, pid := range having(func(v string) bool { return v == variable }) {
		if command := procText(pid, "cmdline"); command != "" {
			found = append(found, fmt.Sprintf("process %d: %q", pid, command))
		}
	}
	return found
}

// having gives the processes with a variable as wanted, of those whose environment may be read: one of rl that joins a container is not.
func having(wanted func(variable string) bool) (pids []int) {
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range environs {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		env, failed := os.ReadFile(file)
		if err == nil && failed == nil && slices.ContainsFunc(strings.Split(string(env), "\x00"), wanted) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// procText reads a file of a process in /proc; of one that has ended it is empty.
func procText(pid int, name string) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	return strings.TrimRight(strings.ReplaceAll(string(text), "\x00", " "), "\n")
}

func mounts() []string {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(table)), "\n")
}

// newMounts lists the mounts below the script's directories that were not there before.
func newMounts(before []string, dirs ...string) []string {
	old := make(map[string]bool)
	for _, m := range before {
		old[m] = true
	}
	var found []string
	for _, m := range mounts() {
		fields := strings.Fields(m)
		if old[m] || len(fields) < 5 {
			continue
		}
		for _, dir := range dirs {
			if strings.HasPrefix(fields[4], dir) {
				found = append(found, "mount "+fields[4])
			}
		}
	}
	return found
}
