package userns

import (
	"errors"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A child waits while the parent does something; a program can be run in its namespaces then.
func TestMeet(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	child := mustClone(t, Config{Cloneflags: newNamespaces})
	if err := child.WriteMaps(ownMap(t)); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	met := 0
	s := NewScript(smallScript)
	s.Meet(func(*Child) error { met++; return nil })
	s.Do("mounting on", dir, unix.SYS_MOUNT, s.Str("tmpfs"), s.Str(dir), s.Str("tmpfs"), Int(0), s.Str(""))
	s.Meet(func(c *Child) error {
		met++
		_, pidfd := c.Current()
		p, err := Program(pidfd, unix.CLONE_NEWUSER|unix.CLONE_NEWNS, "/bin/sh", []string{"sh", "-c", "id -u; echo in >" + dir + "/file"}, nil, [3]int{0, int(w.Fd()), 2})
		if err == nil {
			err = p.Wait()
		}
		return err
	})
	s.ExecAny([]string{"/bin/cat"}, []string{"cat", dir + "/file"}, nil)
	if err := child.Run(s); err != nil {
		t.Fatal(err)
	}
	if status, err := child.Wait(); err != nil || status.ExitStatus() != 0 || met != 2 {
		t.Errorf("status %v, %v, after %d meetings; the program was not in the namespaces", status, err, met)
	}
	w.Close()
	if out, _ := io.ReadAll(r); string(out) != "0\n" {
		t.Errorf("output %q, want uid 0", out)
	}
	if _, err := os.Stat(dir + "/file"); err == nil {
		t.Error("the file is outside too")
	}
}

// What the parent refuses ends the child, also the child of a child.
func TestMeetRefuses(t *testing.T) {
	refused := errors.New("refused")
	s := NewScript(smallScript)
	s.Meet(func(*Child) error { return refused })
	s.ExecAny([]string{"/bin/true"}, []string{"true"}, nil)
	child := mustClone(t, Config{Cloneflags: newNamespaces})
	if err := child.WriteMaps(ownMap(t)); err != nil {
		t.Fatal(err)
	}
	if err := child.Run(s); !errors.Is(err, refused) {
		t.Errorf("%v, want the refusal", err)
	}
	inside, pid := NewScript(smallScript), 0
	inside.Meet(func(c *Child) error {
		pid, _ = c.Current()
		return refused
	})
	inside.ExecAny([]string{"/bin/true"}, []string{"true"}, nil)
	if _, err := joined(t, inside); !errors.Is(err, refused) || pid == 0 || unix.Kill(pid, 0) == nil {
		t.Errorf("%v, want the refusal, and process %d gone", err, pid)
	}
}
