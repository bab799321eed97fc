package harness

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// watchHang makes a script that hangs a failure of that script alone, which tells where. testscript ends the command that it has started;
// one that this had started holds the output's pipe, and the whole test would wait for it. stop ends the watch.
func watchHang(t *testing.T, dir string, limit time.Duration) (stop func()) {
	var mutex sync.Mutex
	over := false
	report := func() {
		mutex.Lock()
		defer mutex.Unlock()
		if !over {
			t.Logf("still running after %v:\n\t%s", limit*8/10, strings.Join(states(dir), "\n\t"))
		}
	}
	end := func() {
		mutex.Lock()
		defer mutex.Unlock()
		for _, pid := range ours(dir) {
			if !over {
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
	}
	timers := []*time.Timer{time.AfterFunc(limit*8/10, report), time.AfterFunc(limit, end)}
	return func() {
		for _, timer := range timers {
			timer.Stop()
		}
		mutex.Lock()
		defer mutex.Unlock()
		over = true
	}
}

// ours are the processes of which the home lies below a directory.
func ours(dir string) (pids []int) {
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range environs {
		env, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(append([]byte{0}, env...), []byte("\x00HOME="+dir+"/")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// states says what each of them does: its parent, its state, what it waits for in the kernel (proc_pid_wchan(5)), and its command.
func states(dir string) (lines []string) {
	for _, pid := range ours(dir) {
		read := func(name string) string {
			text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
			return strings.TrimSpace(string(bytes.ReplaceAll(text, []byte{0}, []byte{' '})))
		}
		state, parent := "", ""
		for line := range strings.Lines(read("status")) {
			if value, ok := strings.CutPrefix(line, "State:"); ok {
				state = strings.TrimSpace(value)
			}
			if value, ok := strings.CutPrefix(line, "PPid:"); ok {
				parent = strings.TrimSpace(value)
			}
		}
		lines = append(lines, fmt.Sprintf("%d, child of %s, %s, in %s: %s", pid, parent, state, read("wchan"), read("cmdline")))
	}
	return lines
}
