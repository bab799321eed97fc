package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// command runs the command line and gives its error output and exit code.
func command(t *testing.T, args ...string) (out, said string, code int) {
	t.Helper()
	files := make([]*os.File, 2)
	for i := range files {
		f, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	code = Main(args, Streams{In: os.Stdin, Out: files[0], Err: files[1]})
	text := make([]string, 2)
	for i, f := range files {
		b, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		text[i] = string(b)
	}
	return text[0], text[1], code
}

// What is wrong in the command line is said before anything is made.
func TestRefusedBeforeAnyWork(t *testing.T) {
	t.Setenv("HOME", "/proc/nowhere")
	t.Setenv("XDG_DATA_HOME", "")
	for args, want := range map[string]string{
		"run":                                   "needs an image",
		"run --nonsense x":                      "nonsense",
		"run --pid nonsense x":                  "--pid nonsense",
		"run --network nonsense x":              "--network nonsense",
		"run --network slirp:mtu=1 x":           "mtu",
		"run --uts host --hostname h x":         "conflicting",
		"run --network none --dns 1.1.1.1 x":    "conflicting",
		"run --cap-add NONSENSE x":              "NONSENSE",
		"run --ulimit nofile x":                 "nofile",
		"run --ulimit nonsense=1 x":             "nonsense",
		"run --ulimit nofile=2:1 x":             "nofile=2:1",
		"run --shm-size -1 x":                   "size",
		"run --tmpfs relative x":                "absolute",
		"run --tmpfs /t:nonsense x":             "nonsense",
		"run -v /nowhere/at/all:/x x":           "/nowhere/at/all",
		"run -v na/me:/x x":                     "names must match",
		"run --mount type=nonsense,target=/x x": "nonsense",
		"run --tmpfs /a --tmpfs /a x":           "duplicate",
		"run --workdir relative x":              "absolute",
		"run --name -x x":                       "--name",
		"run --security-opt nonsense x":         "nonsense",
		"run --env-file /nowhere x":             "/nowhere",
		"run --rootfs --platform linux/arm x":   "conflicting",
		"nonsense":                              "unrecognized command `rl nonsense`",
		"pull":                                  "needs an image",
		"rmi":                                   "image name or ID must be specified",
		"images x y":                            "one name",
		"help nonsense":                         "unrecognized command `rl nonsense`",
	} {
		_, said, code := command(t, strings.Fields(args)...)
		if code != 125 || !strings.Contains(said, want) {
			t.Errorf("rl %s: status %d, %q, want %q", args, code, said, want)
		}
	}
}

// Help, the man page and completion name every command and flag of the table.
func TestTableIsShown(t *testing.T) {
	help, _, _ := command(t, "help")
	man, _, _ := command(t, "man")
	names, _, _ := command(t, "__complete", "")
	for _, c := range Commands() {
		group, word, grouped := strings.Cut(c.Name, " ")
		if grouped {
			text, _, _ := command(t, "help", group)
			if !strings.Contains(text, "\n  "+word+" ") {
				t.Errorf("help %s does not name %s", group, word)
			}
		}
		for where, text := range map[string]string{"help": help, "man": man, "completion": "\n" + strings.ReplaceAll(names, "\t", " ")} {
			if !strings.Contains(text, group) {
				t.Errorf("%s does not name %s", where, group)
			}
		}
		one, _, code := command(t, "help", c.Name)
		completed, _, _ := command(t, append(append([]string{"__complete"}, strings.Fields(c.Name)...), "-")...)
		for _, flag := range flagNames(c) {
			if code != 0 || !strings.Contains(one, flag) || !strings.Contains(completed, flag+"\t") {
				t.Errorf("rl help %s does not show %s", c.Name, flag)
			}
		}
	}
	for name := range groupTexts {
		if groupOf(name) == nil {
			t.Errorf("there is no group %s", name)
		}
	}
}

func TestHumanSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0B", 999: "999B", 1000: "1kB", 2_140_000: "2.14MB", -1: "unknown size"} {
		if got := humanSize(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestSplitTag(t *testing.T) {
	for name, want := range map[string][2]string{"a:b": {"a", "b"}, "h:5/a": {"h:5/a", "<none>"}, "h:5/a:t": {"h:5/a", "t"}, "a@sha256:x": {"a", "<none>"}} {
		if repository, tag := splitTag(name); repository != want[0] || tag != want[1] {
			t.Errorf("%s: %s, %s", name, repository, tag)
		}
	}
}

func TestProgressLines(t *testing.T) {
	var b bytes.Buffer
	p := &progress{out: &b, byName: map[string]*layerProgress{}}
	p.Start("sha256:0123456789abcdef", 1000)
	p.Advance("sha256:0123456789abcdef", 500)
	p.Done("sha256:0123456789abcdef", false)
	p.Done("sha256:fedcba9876543210", true)
	const want = "0123456789ab: Pulling (1kB)\n0123456789ab: Pull complete\nfedcba987654: Already exists\n"
	if b.String() != want {
		t.Errorf("%q", b.String())
	}
}
