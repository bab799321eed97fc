package userns

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// orphanEnv makes the test binary a process that is killed while its child waits.
const orphanEnv = "RL_TEST_ORPHAN"

// A child that still waits for its script does not outlive us.
func TestWaitingChildDiesWithUs(t *testing.T) {
	if os.Getenv(orphanEnv) != "" {
		child := mustClone(t, Config{Cloneflags: newNamespaces})
		fmt.Printf("child %d\n", child.PID)
		time.Sleep(time.Minute)
	}
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestWaitingChildDiesWithUs$")
	cmd.Env = append(os.Environ(), orphanEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	pid, bad := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "child ")))
	if err != nil || bad != nil {
		t.Fatalf("%q, %v", line, err)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if !ended(fd, 5000) {
		_ = unix.Kill(pid, unix.SIGKILL)
		t.Errorf("process %d is left", pid)
	}
}
