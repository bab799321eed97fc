package toolbox

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// run gives the output and the exit code of an applet.
func run(t *testing.T, input, name string, args ...string) (string, int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(path, []byte(input), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var out bytes.Buffer
	std := stdio{in, &out, &out}
	if name == "sh" {
		return out.String(), shellMain(std, args)
	}
	code := exitCode(std, name, lookup(name)(std, args))
	return out.String(), code
}

func TestApplets(t *testing.T) {
	for _, c := range []struct {
		input, command, want string
		code                 int
	}{
		{"", "echo a b", "a b\n", 0},
		{"", "echo -n a", "a", 0},
		{"", "basename /a/b.c .c", "b\n", 0},
		{"", "dirname /a/b", "/a\n", 0},
		{"", "dirname /a/b/", "/a\n", 0},
		{"", "dirname /", "/\n", 0},
		{"", "dirname a", ".\n", 0},
		{"", "seq 3", "1\n2\n3\n", 0},
		{"", "seq 5 -2 1", "5\n3\n1\n", 0},
		{"1\n2\n3\n", "head -n 2", "1\n2\n", 0},
		{"1\n2\n3\n", "tail -n 2", "2\n3\n", 0},
		{"1\n2\n3", "tail -1", "3", 0},
		{"abc", "head -c 2", "ab", 0},
		{"a b\nc\n", "wc -l", "2\n", 0},
		{"a b\nc\n", "wc", "2 3 6\n", 0},
		{"hello\n", "tr a-z A-Z", "HELLO\n", 0},
		{"hello\n", "tr -d l", "heo\n", 0},
		{"x", "tee", "x", 0},
		{"", "false", "", 1},
		{"", "true", "", 0},
		{"", "seq x", "seq: usage: seq [FIRST [STEP]] LAST, whole numbers\n", 2},
		{"abc", "sha256sum", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad -\n", 0},
	} {
		words := strings.Fields(c.command)
		got, code := run(t, c.input, words[0], words[1:]...)
		if got != c.want || code != c.code {
			t.Errorf("%s: %q, status %d; want %q, %d", c.command, got, code, c.want, c.code)
		}
	}
}

func TestShellStatus(t *testing.T) {
	for script, want := range map[string]int{"exit 3": 3, "true": 0, "false": 1, "no-such-command": 127, "if true; then exit 4; fi": 4, "((": 2} {
		if _, code := run(t, "", "sh", "-c", script); code != want {
			t.Errorf("%s: %d, want %d", script, code, want)
		}
	}
}

// Every tool of the image is a link to the one binary.
func TestWriteRootfs(t *testing.T) {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteRootfs(dir, self); err != nil {
		t.Fatal(err)
	}
	for _, name := range Applets() {
		if target, err := os.Readlink(filepath.Join(dir, "bin", name)); err != nil || target != binaryName {
			t.Errorf("bin/%s leads to %q, %v", name, target, err)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "tmp")); err != nil || info.Mode()&os.ModeSticky == 0 {
		t.Errorf("tmp: %v, %v", info, err)
	}
	if _, err := ConfigJSON(); err != nil {
		t.Error(err)
	}
}
