package initbin

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func start(t *testing.T, script string) *exec.Cmd {
	t.Helper()
	path := filepath.Join(t.TempDir(), "init")
	if err := os.WriteFile(path, Program(), 0o755); err != nil {
		t.Fatal(err)
	}
	return exec.Command(path, "/nowhere/sh", "/bin/sh", "", "sh", "-c", script)
}

func code(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

func TestStatus(t *testing.T) {
	for script, want := range map[string]int{"exit 0": 0, "exit 7": 7, "kill -9 $$": 137, "(sleep 0.1; exit 3) & wait $!": 3} {
		if got := code(start(t, script).Run()); got != want {
			t.Errorf("%s: %d, want %d", script, got, want)
		}
	}
	cmd := start(t, "")
	cmd.Args = []string{"init", "/nowhere/x", "", "x"}
	if got := code(cmd.Run()); got != 127 {
		t.Errorf("a missing program: %d, want 127", got)
	}
	cmd = start(t, "")
	cmd.Args = []string{"init", "/etc/passwd", "", "x"}
	if got := code(cmd.Run()); got != 126 {
		t.Errorf("no program: %d, want 126", got)
	}
}

func TestPassesSignalsOn(t *testing.T) {
	cmd := start(t, "trap 'echo got; exit 4' TERM; echo ready; while :; do sleep 0.05; done")
	var out strings.Builder
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	buf := make([]byte, 64)
	n, _ := r.Read(buf)
	out.Write(buf[:n])
	_ = cmd.Process.Signal(unix.SIGTERM)
	if got := code(cmd.Wait()); got != 4 {
		t.Errorf("status %d, want 4", got)
	}
	n, _ = r.Read(buf)
	out.Write(buf[:n])
	if out.String() != "ready\ngot\n" {
		t.Errorf("output %q", out.String())
	}
}

func TestSmall(t *testing.T) {
	if n := len(Program()); n == 0 || n > 4096 {
		t.Errorf("%d bytes", n)
	}
}
