package toolbox

import (
	"bytes"
	"errors"
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

// What failed is said, and seen by the status; what comes after it is done.
func TestFailures(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := errors.Join(os.Mkdir("d", 0o755), os.WriteFile("d/g", nil, 0o600), os.WriteFile("f", []byte("text\n"), 0o600), os.WriteFile("bad.gz", []byte("nonsense"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		command, want string
		code          int
	}{
		{"ls none", "ls: none: No such file or directory\n", 1},
		{"ls f none", "ls: none: No such file or directory\nf\n", 1},
		{"ls -l none", "ls: none: No such file or directory\n", 1},
		{"ls -R none", "ls: none: No such file or directory\n", 1},
		{"ls -a d", ".\ng\n", 0},
		{"ls -d d", "d\n", 0},
		{"cat none", "cat: open none: no such file or directory\n", 1},
		{"cp none x", "cp: stat none: no such file or directory\n", 1},
		{"cp none f d", "cp: stat none: no such file or directory\n", 1},
		{"cat d/f", "text\n", 0},
		{"cp f d none", "cp: target \"none\" is not a directory\n", 1},
		{"cp d x", "cp: -r not specified, omitting directory d\n", 1},
		{"mv none x", "mv: rename none x: no such file or directory\n", 1},
		{"mkdir d", "mkdir: d: File exists\n", 1},
		{"mkdir none/x new", "mkdir: none/x: No such file or directory\n", 1},
		{"mkdir -p d new/a/b", "", 0},
		{"mkdir -p f/x", "mkdir: f/x: Not a directory\n", 1},
		{"mkdir -pm 750 new/c", "", 0},
		{"rm none d new/c", "rm: none: No such file or directory\nrm: d: Is a directory\nrm: new/c: Is a directory\n", 1},
		{"rm -f none d", "rm: d: Is a directory\n", 1},
		{"rm -f none", "", 0},
		{"rm", "rm: usage: rm [-rRfiv] FILE...\n", 2},
		{"rm -f", "", 0},
		{"rmdir new/a/b none", "rmdir: none: No such file or directory\n", 1},
		{"rm -rv new", "removed 'new'\n", 0},
		{"touch none/x", "touch: open none/x: no such file or directory\n", 1},
		{"chmod 600 none", "chmod none: no such file or directory\nchmod: chmod none: no such file or directory\n", 1},
		{"ln none x", "ln: link none x: no such file or directory\n", 1},
		{"readlink none", "", 1},
		{"find none", "none: lstat none: no such file or directory\n", 1},
		{"find d -name g", "d/g\n", 0},
		{"tar -tf none", "tar: open none: no such file or directory\n", 1},
		{"sha256sum none", "sha256sum: open none: no such file or directory\n", 1},
		{"head none", "head: open none: no such file or directory\n", 1},
		{"tail none", "tail: open none: no such file or directory\n", 1},
		{"wc none", "wc: open none: no such file or directory\n", 1},
		{"tee none/x", "tee: open none/x: no such file or directory\n", 1},
		{"kill none", "kill: none: strconv.Atoi: parsing \"none\": invalid syntax\n", 1},
		{"gzip none", "gzip: none: No such file or directory\n", 1},
		{"gunzip bad.gz", "gunzip: bad.gz: unexpected EOF\n", 1},
		{"zcat bad.gz", "zcat: bad.gz: unexpected EOF\n", 1},
		{"ls bad", "ls: bad: No such file or directory\n", 1},
		{"gunzip f", "gunzip: f: unknown suffix\n", 1},
		{"gzip -k f", "", 0},
		{"gzip f", "gzip: f: File exists\n", 1},
		{"gzip -t f.gz", "", 0},
		{"zcat f.gz", "text\n", 0},
		{"rm f", "", 0},
		{"gunzip -v f.gz", "f.gz to f\n", 0},
		{"ls", "bad.gz\nd\nf\n", 0},
	} {
		words := strings.Fields(c.command)
		if got, code := run(t, "", words[0], words[1:]...); got != c.want || code != c.code {
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
