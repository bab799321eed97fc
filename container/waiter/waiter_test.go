package waiter

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// waiting is a waiter beside a sleeping process, with the test binary as its rl.
type waiting struct {
	*exec.Cmd
	init          *exec.Cmd
	out, err, log *os.File
	said          bytes.Buffer // by what it has become
}

const toldEnv = "RL_TEST_WAITER"

// start runs the program. extra follow as sockets for which rl is wanted.
func start(t *testing.T, offset string, extra ...*os.File) *waiting {
	t.Helper()
	w := &waiting{init: exec.Command("/bin/sleep", "100")}
	pidfd := -1
	w.init.SysProcAttr = &syscall.SysProcAttr{PidFD: &pidfd}
	if err := w.init.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.init.Process.Kill(); _ = w.init.Wait() })
	program := filepath.Join(t.TempDir(), "waiter")
	if err := os.WriteFile(program, Program(), 0o700); err != nil {
		t.Fatal(err)
	}
	w.Cmd = exec.Command(program, "resume", "id", offset)
	w.Env = append(os.Environ(), toldEnv+"=1")
	w.Stdout, w.Stderr = &w.said, os.Stderr
	files := make([]*os.File, More-3+len(extra))
	files[RL-3] = open(t, "/proc/self/exe")
	files[Init-3] = os.NewFile(uintptr(pidfd), "init")
	w.log = open(t, filepath.Join(t.TempDir(), "log"))
	files[Log-3] = w.log
	files[Out-3], w.out = pipe(t)
	files[Err-3], w.err = pipe(t)
	copy(files[More-3:], extra)
	w.ExtraFiles = files
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Process.Kill() })
	return w
}

func open(t *testing.T, name string) *os.File {
	t.Helper()
	flags := os.O_RDONLY
	if filepath.Base(name) == "log" {
		flags = os.O_RDWR | os.O_CREATE | os.O_APPEND
	}
	f, err := os.OpenFile(name, flags, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

// TestMain is also what the waiter becomes: it tells what it was told.
func TestMain(m *testing.M) {
	if os.Getenv(toldEnv) != "" {
		fmt.Printf("%q", os.Args)
		return
	}
	os.Exit(m.Run())
}

func (w *waiting) lines(t *testing.T, n int) []string {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		text, err := os.ReadFile(w.log.Name())
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		if len(lines) > n {
			return lines[:len(lines)-1]
		}
		if time.Now().After(end) {
			t.Fatalf("%d lines in the log, want %d: %.200q", len(lines)-1, n, text)
		}
	}
}

// What is written becomes lines with the time and the stream.
func TestLog(t *testing.T) {
	const offset = -210
	before := time.Now().Truncate(0)
	w := start(t, fmt.Sprint(offset))
	fmt.Fprint(w.out, "one\n\ntwo")
	w.lines(t, 3)
	fmt.Fprint(w.err, "three\n")
	got := w.lines(t, 4)
	for i, want := range []string{"stdout F one", "stdout F ", "stdout P two", "stderr F three"} {
		stamp, rest, _ := strings.Cut(got[i], " ")
		at, err := time.Parse("2006-01-02T15:04:05.000000000-07:00", stamp)
		if err != nil || rest != want {
			t.Errorf("line %q: %v, want %q", got[i], err, want)
		}
		if _, seconds := at.Zone(); seconds != offset*60 || at.Before(before) || at.After(time.Now()) {
			t.Errorf("time %s, want one from %s on, with an offset of %d minutes", at, before, offset)
		}
	}
}

// Lines of every length come through whole.
func TestLongLines(t *testing.T) {
	w := start(t, "0")
	var want bytes.Buffer
	for n := 1; n < 300_000; n = n*3 + 1 {
		want.WriteString(strings.Repeat("x", n) + "\n")
	}
	go func() { _, _ = w.out.Write(want.Bytes()) }()
	var got bytes.Buffer
	for end := time.Now().Add(10 * time.Second); got.Len() < want.Len() && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		got.Reset()
		text, _ := os.ReadFile(w.log.Name())
		for line := range strings.Lines(string(text)) {
			words := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
			if len(words) == 4 {
				got.WriteString(words[3])
				if words[2] == "F" {
					got.WriteByte('\n')
				}
			}
		}
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("%d bytes came through, want %d, or others", got.Len(), want.Len())
	}
}

// A signal is for the container.
func TestSignal(t *testing.T) {
	w := start(t, "0")
	fmt.Fprintln(w.out, "up")
	w.lines(t, 1)
	if err := w.Process.Signal(unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	err := w.init.Wait()
	if state := w.init.ProcessState.Sys().(syscall.WaitStatus); state.Signal() != unix.SIGUSR1 {
		t.Errorf("the container's process ended by %v, want SIGUSR1", err)
	}
}

// The end of the container, and a socket that is wanted, wake rl, which is told
// what there is.
func TestBecome(t *testing.T) {
	fixed := 1<<RL | 1<<Init | 1<<Log
	w := start(t, "0")
	w.out.Close()
	fmt.Fprintln(w.err, "later")
	w.lines(t, 1)
	_ = w.init.Process.Kill()
	w.check(t, fixed|1<<Err)

	r, more := pipe(t)
	w = start(t, "0", r)
	fmt.Fprintln(more, "come")
	w.check(t, fixed|1<<Out|1<<Err|1<<More)
}

func (w *waiting) check(t *testing.T, sum int) {
	t.Helper()
	for _, f := range w.ExtraFiles { // ours would keep a pipe open
		if f != nil && f != w.log {
			f.Close()
		}
	}
	if err := w.Wait(); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%q", []string{w.Path, "resume", "id", fmt.Sprint(sum)}); w.said.String() != want {
		t.Errorf("rl was told %s, want %s", w.said.String(), want)
	}
}
