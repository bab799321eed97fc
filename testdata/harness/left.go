package harness

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
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
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environs {
		env, err := os.ReadFile(path)
		if err != nil || !hasVariable(env, variable) {
			continue
		}
		dir := filepath.Dir(path)
		cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err == nil && len(cmdline) > 0 {
			found = append(found, fmt.Sprintf("process %s: %q", filepath.Base(dir), bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '})))
		}
	}
	return found
}

func hasVariable(env []byte, variable string) bool {
	for _, v := range bytes.Split(env, []byte{0}) {
		if string(v) == variable {
			return true
		}
	}
	return false
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
