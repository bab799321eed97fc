package harness

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
)

// patience is for one answer of a program on a terminal.
const patience = 30 * time.Second

// session is rl on a terminal of its own.
type session struct {
	t   *testing.T
	tty *os.File
	cmd *exec.Cmd
	mu  sync.Mutex
	out bytes.Buffer
	eof bool // the other side has closed it

	begun string // when, as rl reads it
}

// Terminal runs the terminal tests.
func (w World) Terminal(t *testing.T) {
	home, run, err := w.NewHome(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeTree(home) })
	env := []string{"HOME=" + home, "XDG_RUNTIME_DIR=" + run, "TERM=xterm", "USER=" + os.Getenv("USER"), "PATH=" + os.Getenv("PATH")}
	cases := []struct {
		name string
		test func(*session)
		args []string
	}{
		{"size", size, []string{"run", "--rm", "-it", "alpine", "sh"}},
		{"interrupt", interrupt, []string{"run", "--rm", "-it", "alpine", "sh"}},
		{"jobs", jobs, []string{"run", "--rm", "-it", "alpine", "sh"}},
		{"end-of-file", endOfFile, []string{"run", "--rm", "-it", "alpine", "cat"}},
		{"raw", raw, []string{"run", "--rm", "-it", "alpine", "sh"}},
		{"hangup", hangup, []string{"run", "--rm", "-it", "alpine", "sh", "-c", "echo up; exec sleep 1000"}},
		{"exec-size", size, []string{"exec", "-it", "lives", "sh"}},
		{"exec-interrupt", interrupt, []string{"exec", "-it", "lives", "sh"}},
		{"exec-jobs", jobs, []string{"exec", "-it", "lives", "sh"}},
		{"exec-raw", raw, []string{"exec", "-it", "lives", "sh"}},
		{"attach", attach, []string{"attach", "lives"}},
		{"detach", detach, []string{"run", "--name", "lives", "-it", "alpine", "sh"}},
		{"detach-rm", detach, []string{"run", "--rm", "--name", "lives", "-it", "alpine", "sh"}},
		{"detach-exec", detachExec, []string{"exec", "--detach-keys", "ctrl-x,x", "-it", "lives", "sh"}},
		{"detach-none", detachNone, []string{"run", "--rm", "--detach-keys", "", "-it", "alpine", "sh"}},
		{"detach-killed", detachKilled, []string{"run", "--rm", "-it", "alpine", "sh", "-c", "echo up; exec sleep 7771"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			rl := func(args ...string) {
				cmd := exec.Command(w.RL, args...)
				cmd.Env = env
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("rl %q: %v: %s", args, err, out)
				}
			}
			if c.args[0] != "run" {
				rl("run", "-d", "-it", "--replace", "--name", "lives", "alpine", "sh")
			}
			s := start(t, w.RL, env, c.args)
			c.test(s)
			rl("rm", "-f", "lives")
			if left := waitLeft(home, run); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func waitLeft(home, run string) (left []string) {
	for range 250 {
		if left = Left(home, run); len(left) == 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return left
}

func start(t *testing.T, rl string, env, args []string) *session {
	cmd := exec.Command(rl, args...)
	cmd.Env = env
	begun := time.Now().Format(time.RFC3339Nano)
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 33, Cols: 77})
	if err != nil {
		t.Fatal(err)
	}
	s := &session{t: t, tty: tty, cmd: cmd, begun: begun}
	t.Cleanup(func() { tty.Close(); cmd.Process.Kill() })
	go s.read()
	return s
}

func (s *session) read() {
	buf := make([]byte, 4096)
	for n, err := s.tty.Read(buf); err == nil; n, err = s.tty.Read(buf) {
		s.mu.Lock()
		s.out.Write(buf[:n])
		s.mu.Unlock()
	}
	s.mu.Lock()
	s.eof = true
	s.mu.Unlock()
}

func (s *session) closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.eof
}

func (s *session) seen() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()
}

func (s *session) typeKeys(keys string) {
	s.t.Helper()
	if _, err := s.tty.WriteString(keys); err != nil {
		s.t.Fatalf("typing %q: %v", keys, err)
	}
}

// expect waits for a text that the keys' own echo does not have.
func (s *session) expect(text string) {
	s.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		closed := s.closed() // before the look, so that the last words count
		if strings.Contains(s.seen(), text) {
			return
		}
		if closed {
			break
		}
	}
	s.t.Fatalf("no %q within %v; the terminal shows %q", text, patience, s.seen())
}

func (s *session) ends(want int) {
	s.t.Helper()
	done := make(chan error, 1)
	go func() { done <- s.cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(patience):
		s.cmd.Process.Kill()
		s.t.Fatalf("rl did not end; the terminal shows %q", s.seen())
	}
	time.Sleep(20 * time.Millisecond) // for its last words
	if got := s.cmd.ProcessState.ExitCode(); got != want {
		s.t.Errorf("status %d, want %d; the terminal shows %q", got, want, s.seen())
	}
}

// size: the container's terminal is as large as ours, and follows it.
func size(s *session) {
	s.typeKeys("stty size; test -t 0 && test -t 1 && test -t 2 && echo is''-tty; tty\n")
	s.expect("33 77")
	s.expect("is-tty")
	s.expect("/dev/pts/")
	if err := pty.Setsize(s.tty, &pty.Winsize{Rows: 44, Cols: 99}); err != nil {
		s.t.Fatal(err)
	}
	// The signal takes its way: the shell asks until it knows.
	s.typeKeys("until stty size | grep '44 99'; do sleep 0.1; done; exit 7\n")
	s.expect("44 99")
	s.ends(7)
}

// interrupt: ^C is the container's matter.
func interrupt(s *session) {
	s.typeKeys("trap 'echo caught''-it' INT; echo rea''dy\n")
	s.expect("ready")
	s.typeKeys("\x03")
	s.typeKeys("\n")
	s.expect("caught-it")
	s.typeKeys("exit 0\n")
	s.ends(0)
}

// jobs: the shell has a controlling terminal, so ^C ends its foreground job alone.
func jobs(s *session) {
	s.typeKeys("echo rea''dy; sleep 1000\n")
	s.expect("ready")
	time.Sleep(200 * time.Millisecond)
	s.typeKeys("\x03")
	s.typeKeys("echo st''atus $?; exit 5\n")
	s.expect("status 130")
	s.ends(5)
}

func endOfFile(s *session) {
	s.typeKeys("hello\n")
	s.expect("hello\r\nhello\r\n")
	s.typeKeys("\x04")
	s.ends(0)
}

// raw: while the container runs our terminal is raw; afterwards it is as before.
func raw(s *session) {
	before := s.modes()
	s.typeKeys("echo rea''dy\n")
	s.expect("ready")
	during := s.modes()
	if strings.Contains(during, " icanon") {
		s.t.Errorf("the outer terminal is not raw: %s", during)
	}
	s.typeKeys("exit 0\n")
	s.ends(0)
	if after := s.modes(); strings.Contains(after, "-icanon") || strings.Contains(after, "-echo ") {
		s.t.Errorf("the outer terminal is not as before:\n%s\n%s", before, after)
	}
}

func (s *session) modes() string {
	cmd := exec.Command("stty", "-a")
	cmd.Stdin = s.tty
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("stty: %v: %s", err, out)
	}
	return fmt.Sprintf(" %s ", strings.Join(strings.Fields(string(out)), " "))
}

// attach: what is typed comes to the container and back, its terminal follows
// ours, the keys leave it alone, and its end is ours.
func attach(s *session) {
	s.typeKeys("echo attach''ed; until stty size | grep '33 77'; do sleep 0.1; done\n")
	s.expect("attached")
	s.expect("\n33 77")
	if err := pty.Setsize(s.tty, &pty.Winsize{Rows: 44, Cols: 99}); err != nil {
		s.t.Fatal(err)
	}
	s.typeKeys("until stty size | grep '44 99'; do sleep 0.1; done\n")
	s.expect("\n44 99")
	s.typeKeys("\x10\x11")
	s.ends(0)
	again := start(s.t, s.cmd.Path, s.cmd.Env, s.cmd.Args[1:])
	again.typeKeys("echo st''ill; exit 4\n")
	again.expect("still")
	again.ends(4)
}

// hangup: the terminal's end is rl's, and rl's the container's.
func hangup(s *session) {
	s.expect("up")
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		s.t.Fatal(err)
	}
	s.ends(129)
}

// detach: the keys leave a container that is in the foreground, which goes on as
// one that never was: it is typed to, followed, and its end is whoever is there's.
func detach(s *session) {
	before := s.modes()
	s.typeKeys("echo rea''dy\n")
	s.expect("ready")
	s.typeKeys("\x10\x11")
	s.ends(0)
	if after := s.modes(); strings.Contains(after, "-icanon") || strings.Contains(after, "-echo ") {
		s.t.Errorf("the terminal is not as before:\n%s\n%s", before, after)
	}
	s.tty.Close() // its hang-up is nobody's any more
	again := start(s.t, s.cmd.Path, s.cmd.Env, []string{"attach", "lives"})
	again.typeKeys("echo st''ill; until stty size | grep '33 77'; do sleep 0.1; done\n")
	again.expect("still")
	again.expect("\n33 77")
	again.typeKeys("\x10\x11")
	again.ends(0)
	log := exec.Command(s.cmd.Path, "logs", "lives")
	log.Env = s.cmd.Env
	if out, err := log.CombinedOutput(); err != nil || !strings.Contains(string(out), "still") {
		s.t.Errorf("its log: %v: %s", err, out)
	}
	s.told("detach", 2) // of run, and of attach
	last := start(s.t, s.cmd.Path, s.cmd.Env, []string{"attach", "lives"})
	last.typeKeys("echo la''st; exit 3\n")
	last.expect("last")
	last.ends(3)
}

// told looks for events of the container since this session began.
func (s *session) told(event string, times int) {
	events := exec.Command(s.cmd.Path, "events", "--stream=false", "--since", s.begun, "--filter", "container=lives", "--filter", "event="+event, "--format", "{{.Status}}")
	events.Env = s.cmd.Env
	if out, err := events.CombinedOutput(); err != nil || strings.Count(string(out), event+"\n") != times {
		s.t.Errorf("events: %v: %q, want %s %d times", err, out, event, times)
	}
}

// detachExec: the program goes on in the container.
func detachExec(s *session) {
	s.typeKeys("echo rea''dy; (sleep 1; echo done >/tmp/done)\n")
	s.expect("ready")
	s.typeKeys("\x18x")
	s.ends(0)
	wait := exec.Command(s.cmd.Path, "exec", "lives", "sh", "-c", "until grep done /tmp/done; do sleep 0.1; done")
	wait.Env = s.cmd.Env
	if out, err := wait.CombinedOutput(); err != nil {
		s.t.Errorf("what it did after: %v: %s", err, out)
	}
	s.told("exec_detach", 1)
}

// detachNone: without keys they are the container's.
func detachNone(s *session) {
	s.typeKeys("stty raw; echo rea''dy; dd bs=1 count=2 2>/dev/null | od -t x1; stty sane; exit 4\n")
	s.expect("ready")
	s.typeKeys("\x10\x11")
	s.expect("10 11")
	s.ends(4)
}

// detachKilled: nobody left, so the container dies with who waits for it.
func detachKilled(s *session) {
	s.expect("up")
	if err := s.cmd.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	s.ends(-1)
}
