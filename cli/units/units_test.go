package units

import (
	"slices"
	"strings"
	"testing"
)

func TestWord(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"sleep", "sleep"}, {"", `""`}, {"a b", `"a b"`}, {";", `";"`}, {"a;b", "a;b"}, {`say "x"`, `"say \"x\""`}, {`a\b`, `"a\\b"`}, {"it's", `"it's"`},
		{"%d$x", "%%d$$x"}, {"two\nlines\t", `"two\nlines\t"`}, {"\x01\x7f", `"\x01\x7f"`}, {"caf\u00e9", "caf\u00e9"}, {"\xff\xfeA", `"\xff\xfeA"`},
	} {
		if got := Word(c.text); got != c.want {
			t.Errorf("Word(%q) = %s, want %s", c.text, got, c.want)
		}
	}
	if got := Setting("A=$b %c"); got != `"A=$b %%c"` {
		t.Errorf("Setting: %s", got)
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", nil}, {"  a \t b ", []string{"a", "b"}}, {`"a b" 'c "d"'`, []string{"a b", `c "d"`}}, {`A="x y" B='z'`, []string{"A=x y", "B=z"}}, {`""`, []string{""}},
		{`a\sb \x41\101\u00e9 \q \"`, []string{"a b", "AA\u00e9", `\q`, `"`}}, {`"\n"`, []string{"\n"}}, {"%i $A", []string{"%i", "$A"}},
	} {
		if got, err := Split(c.text); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("Split(%s) = %q, %v, want %q", c.text, got, err, c.want)
		}
	}
	for _, bad := range []string{`"a`, `'`, `a\`, `\x4`, `\xzz`, `\000`, `\400`, `\ud800`, `\U00110000`} {
		if got, err := Split(bad); err == nil {
			t.Errorf("Split(%s) = %q, no error", bad, got)
		}
	}
}

// FuzzWord: what is quoted is read back as it was.
func FuzzWord(f *testing.F) {
	for _, seed := range []string{"", "a b", `"\'`, "\x00\xff", "%$;", "\u2028"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsRune(text, 0) {
			return // no word of a program has one
		}
		words, err := Split(Word(text))
		want := strings.NewReplacer("%", "%%", "$", "$$").Replace(text)
		if err != nil || len(words) != 1 || words[0] != want {
			t.Errorf("%q was quoted as %s and read as %q, %v", text, Word(text), words, err)
		}
	})
}

func TestParse(t *testing.T) {
	text := "# comment\n[Unit]\nDescription = two words \n\n; another\n[Container]\nExec=one \\\n  # between\n  two \\\n\n" + `Label=a\\` + "\r\n[Unit]\nAfter=x\nAfter=\nAfter=y\nAfter=z"
	f, err := Parse("f", text)
	if err != nil {
		t.Fatal(err)
	}
	want := "[Unit]\nDescription=two words\nAfter=x\nAfter=\nAfter=y\nAfter=z\n\n[Container]\nExec=one  two\nLabel=a\\\\\n"
	if got := f.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if list := f.All("Unit", "After"); len(list) != 2 || list[1].Value != "z" || list[1].Line != 16 {
		t.Errorf("After: %v", list)
	}
	if _, ok := f.Last("Unit", "Before"); ok {
		t.Error("a key that is not there")
	}
	for _, bad := range []struct{ text, want string }{
		{"A=b", "f:1: A=b: outside of any section"}, {"[A", "f:1: [A: not the head of a section"}, {"\n[]", "f:2: []: not the head of a section"},
		{"[A]\nB", "f:2: B: not KEY=VALUE"}, {"[A]\n\n = c", "f:3: = c: not KEY=VALUE"}, {"[A]\nB=\x00", "f:2: a zero byte"},
	} {
		if _, err := Parse("f", bad.text); err == nil || err.Error() != bad.want {
			t.Errorf("%q: %v, want %s", bad.text, err, bad.want)
		}
	}
}

// FuzzParse: what was understood is written such that it is understood in the same way.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"[A]\nb=c\\\nd", "[A]\n#x\\\n[B]\ne=\\\\\\\n f", "\\\n[A]", "[A]\n[=]=]", "[A]\na\\\n=b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, err := Parse("f", text)
		if err != nil {
			return
		}
		second, err := Parse("f", first.String())
		if err != nil || second.String() != first.String() {
			t.Errorf("%q\n%q\n%q %v", text, first.String(), second.String(), err)
		}
	})
}

func TestService(t *testing.T) {
	u := &Service{Name: "container-a", Description: "rl container-a.service", Mounts: "%h/x", BindsTo: []string{"b.service", "c.service"}, After: []string{"d", "e"},
		Env: []string{"X=y z"}, Unit: "%n", Restart: "always", StartLimit: 3, RestartSec: "4", StartTimeout: "5", StopTimeout: 70,
		StartPre: [][]string{{"/bin/rm", "-f", "x"}}, Start: []string{"/bin/rl", "run", "-d", "image", "sh", "-c", `"a b"`}, Stop: []string{"/bin/rl", "stop", "-t 5", "a"}, PostRun: []string{"/bin/rl"}}
	want := `# container-a.service

[Unit]
Description=rl container-a.service
Documentation=man:rl(1)
Wants=network-online.target
After=network-online.target
RequiresMountsFor=%h/x
BindsTo=b.service c.service
After=b.service c.service

# User-defined dependencies
After=d e

[Service]
Environment=PODMAN_SYSTEMD_UNIT=%n
Environment="X=y z"
Restart=always
StartLimitBurst=3
RestartSec=4
TimeoutStartSec=5
TimeoutStopSec=70
ExecStartPre=/bin/rm \
	-f x
ExecStart=/bin/rl run \
	-d image sh \
	-c "a b"
ExecStop=/bin/rl stop \
	-t 5 a
ExecStopPost=/bin/rl
Type=notify
NotifyAccess=all

[Install]
WantedBy=default.target
`
	if got := u.String(); got != want {
		t.Errorf("got\n%s", got)
	}
	u.PIDFile, u.Made = "/run/a", "# made"
	if got := u.String(); !strings.Contains(got, "\nPIDFile=/run/a\nType=forking\n\n[Install]") || !strings.HasPrefix(got, "# container-a.service\n# made\n\n[Unit]") {
		t.Errorf("with a PIDFile:\n%s", got)
	}
	if _, err := Parse("unit", u.String()); err != nil {
		t.Error(err)
	}
}
