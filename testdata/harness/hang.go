package harness

import (
	"fmt"
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
	after := func(wait time.Duration, do func()) *time.Timer {
		return time.AfterFunc(wait, func() {
			mutex.Lock()
			defer mutex.Unlock()
			if !over {
				do()
			}
		})
	}
	ours := func() []int { return having(func(v string) bool { return strings.HasPrefix(v, "HOME="+dir+"/") }) }
	early := limit * 8 / 10 // testscript's own end is at 9
	report := after(early, func() { t.Logf("still running after %v:\n\t%s", early, strings.Join(states(ours()), "\n\t")) })
	end := after(limit, func() {
		for _, pid := range ours() {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	})
	return func() {
		report.Stop()
		end.Stop()
		mutex.Lock()
		defer mutex.Unlock()
		over = true
	}
}

// states says what each process does: its parent, its state, what it waits for in the kernel (proc_pid_wchan(5)), and its command.
func states(pids []int) (lines []string) {
	for _, pid := range pids {
		var facts []string
		for line := range strings.Lines(procText(pid, "status")) {
			if strings.HasPrefix(line, "State:") || strings.HasPrefix(line, "PPid:") {
				facts = append(facts, strings.Join(strings.Fields(line), " "))
			}
		}
		lines = append(lines, fmt.Sprintf("%d, %s, in %s: %s", pid, strings.Join(facts, ", "), procText(pid, "wchan"), procText(pid, "cmdline")))
	}
	return lines
}
