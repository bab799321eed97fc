package flags

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// values are what both packages fill.
type values struct {
	interactive, tty, remove, verify bool
	name, host                       string
	env, caps                        []string
	changed                          bool
	args                             []string
	problem                          string
}

// declarer is what the two have in common.
type declarer interface {
	BoolVarP(p *bool, name, short string, value bool, usage string)
	BoolVar(p *bool, name string, value bool, usage string)
	StringVarP(p *string, name, short, value, usage string)
	StringVar(p *string, name, value, usage string)
	StringArrayVarP(p *[]string, name, short string, value []string, usage string)
	StringSliceVar(p *[]string, name string, value []string, usage string)
	SetInterspersed(bool)
	Changed(string) bool
	Parse([]string) error
	Args() []string
}

func parse(d declarer, args []string, interspersed bool) (v values) {
	d.SetInterspersed(interspersed)
	d.BoolVarP(&v.interactive, "interactive", "i", false, "keep standard input open")
	d.BoolVarP(&v.tty, "tty", "t", false, "give the container a terminal")
	d.BoolVar(&v.remove, "rm", false, "remove the container when it ends")
	d.BoolVar(&v.verify, "verify", true, "verify it")
	d.StringVar(&v.name, "name", "", "name of the container")
	d.StringVarP(&v.host, "hostname", "n", "box", "host name")
	d.StringArrayVarP(&v.env, "env", "e", []string{"default"}, "set a variable")
	d.StringSliceVar(&v.caps, "cap-add", nil, "add capabilities")
	err := d.Parse(args)
	v.changed = d.Changed("hostname")
	if err != nil {
		v.problem = err.Error()
		if errors.Is(err, ErrHelp) || errors.Is(err, pflag.ErrHelp) {
			v.problem = "help"
		}
		return v
	}
	v.args = append([]string{}, d.Args()...)
	return v
}

func theirs() *pflag.FlagSet {
	f := pflag.NewFlagSet("run", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	f.SortFlags = false
	return f
}

func same(t *testing.T, args []string, interspersed bool) {
	t.Helper()
	got, want := parse(New("run"), args, interspersed), parse(theirs(), args, interspersed)
	if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
		t.Errorf("%q, interspersed %v:\n got %+v\nwant %+v", args, interspersed, got, want)
	}
}

func TestAsPflag(t *testing.T) {
	for _, line := range []string{
		"", "alpine", "-it alpine sh -c x", "-i -t alpine", "-ti=false alpine", "--interactive=true", "--interactive=maybe", "-i=maybe", "--rm=maybe",
		"--rm alpine --rm", "--name x alpine", "--name=x alpine", "--name= alpine", "--name", "-n", "-nbox alpine", "-n=box alpine", "-n= alpine", "-n box",
		"-itn box alpine", "-itnbox alpine", "-itq alpine", "-d alpine", "--nonsense", "--nonsense=1", "--=x", "---", "---x", "--", "-- -i", "alpine -- -i",
		"-", "- -i", "-e A=1 -e B=2,3", "--env A=1 --env=", "-eA=1", "-e=A=1", "--cap-add A,B --cap-add C", "--cap-add=", "--cap-add ,", "--cap-add A,",
		"--help", "-h", "-ih", "--help=1", "--verify=false", "--verify false", "-t -- --rm", "--rm -i=", "-it= x",
	} {
		args := strings.Fields(line)
		same(t, args, true)
		same(t, args, false)
	}
	same(t, []string{"", "-i"}, true)
	same(t, []string{"-e", ""}, true)
}

func TestUsageAsPflag(t *testing.T) {
	ours, their := New("run"), theirs()
	parse(ours, nil, true)
	parse(their, nil, true)
	// pflag shows the default of lists, ours have none; and how to say no, which every line would repeat.
	want := strings.NewReplacer(" (default [default])", "", "[=true|false]", "").Replace(their.FlagUsages())
	got := ours.Usage()
	if !slices.Equal(strings.Fields(got), strings.Fields(want)) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	column := -1
	for line := range strings.Lines(got) {
		if at := strings.LastIndex(line, "   ") + 3; column >= 0 && at != column {
			t.Errorf("not aligned:\n%s", got)
		} else {
			column = at
		}
	}
}

func TestAll(t *testing.T) {
	s := New("run")
	s.Bool("b", false, "")
	s.BoolP("a", "x", true, "")
	s.String("c", "d", "")
	var list []string
	s.StringArrayVar(&list, "l", nil, "")
	var names []string
	for _, f := range s.All() {
		names = append(names, f.Name+f.Short+string(f.Kind)+f.Default)
	}
	if want := []string{"bboolfalse", "axbooltrue", "cstringd", "lstringArray"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}

// TestDeclared: what each way to declare makes of one line, and of none.
func TestDeclared(t *testing.T) {
	s := New("run")
	var array, slice, kept []string
	on, off, text, short := s.Bool("on", false, ""), s.BoolP("off", "o", true, ""), s.String("text", "a", ""), s.StringP("short", "s", "b", "")
	s.StringArrayVar(&array, "array", []string{"default"}, "")
	s.StringSliceVar(&slice, "slice", []string{"default"}, "")
	s.StringArrayVarP(&kept, "kept", "k", []string{"default"}, "")
	if *on || !*off || *text != "a" || *short != "b" || !slices.Equal(array, []string{"default"}) {
		t.Error("not the defaults")
	}
	if err := s.Parse([]string{"--on", "-o=false", "--text=c", "-sd", "--array=1,2", "--array", "", "--slice=1,2", "--slice="}); err != nil {
		t.Fatal(err)
	}
	if !*on || *off || *text != "c" || *short != "d" || !slices.Equal(array, []string{"1,2", ""}) || !slices.Equal(slice, []string{"1", "2"}) {
		t.Errorf("%v %v %q %q %q %q", *on, *off, *text, *short, array, slice)
	}
	if !slices.Equal(kept, []string{"default"}) || s.Changed("kept") || s.Changed("nonsense") || !s.Changed("off") || !s.Changed("slice") {
		t.Errorf("kept %q, or Changed is wrong", kept)
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"-h"}, {"x", "-h"}} {
		if err := New("run").Parse(args); !errors.Is(err, ErrHelp) {
			t.Errorf("%q: %v", args, err)
		}
	}
	s := New("run")
	host := s.StringP("hostname", "h", "", "")
	if err := s.Parse([]string{"-h", "box"}); err != nil || *host != "box" {
		t.Errorf("-h as a flag: %q, %v", *host, err)
	}
	if help := s.Bool("help", false, ""); s.Parse([]string{"--help"}) != nil || !*help {
		t.Error("--help as a flag is not one")
	}
}

// TestErrors has the texts once, should pflag change them.
func TestErrors(t *testing.T) {
	for line, want := range map[string]string{
		"--x":     `unknown flag: --x`,
		"-d":      `unknown shorthand flag: 'd' in -d`,
		"-iq":     `unknown shorthand flag: 'q' in -q`,
		"-i€":     `unknown shorthand flag: '€' in -€`, // pflag names the letter of the first byte's first byte, Ã
		"--name":  `flag needs an argument: --name`,
		"-in":     `flag needs an argument: 'n' in -n`,
		"--rm=x":  `invalid argument "x" for "--rm" flag: must be true or false`,
		"-i=x":    `invalid argument "x" for "-i, --interactive" flag: must be true or false`,
		"--=x":    `bad flag syntax: --=x`,
		"---name": `bad flag syntax: ---name`,
	} {
		if got := parse(New("run"), []string{line}, true).problem; got != want {
			t.Errorf("%s: got %s, want %s", line, got, want)
		}
	}
}

func TestUsage(t *testing.T) {
	s := New("run")
	parse(s, nil, true)
	const want = `  -i, --interactive       keep standard input open
  -t, --tty               give the container a terminal
      --rm                remove the container when it ends
      --verify            verify it (default true)
      --name string       name of the container
  -n, --hostname string   host name (default "box")
  -e, --env stringArray   set a variable
      --cap-add strings   add capabilities
`
	if got := s.Usage(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestMistakesPanic(t *testing.T) {
	for name, declare := range map[string]func(*Set){
		"name":       func(s *Set) { s.Bool("interactive", false, "") },
		"shorthand":  func(s *Set) { s.BoolP("other", "i", false, "") },
		"long short": func(s *Set) { s.BoolP("other", "it", false, "") },
	} {
		s := New("run")
		s.BoolP("interactive", "i", false, "")
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			declare(s)
		}()
	}
}

func FuzzParse(f *testing.F) {
	f.Add("-it\nalpine\n--rm", true)
	f.Add("--env=A\n-eB\n--\n-x", false)
	f.Add("--env=\"A\r\n--cap-add\n\"B,C\"", true)
	f.Add("-i€\n--name=é", true)
	f.Fuzz(func(t *testing.T, text string, interspersed bool) {
		if strings.Contains(text, "test.") {
			t.Skip("pflag passes over -test.v and the like, for go test's sake")
		}
		args := strings.Split(text, "\n")
		got, want := parse(New("run"), args, interspersed), parse(theirs(), args, interspersed)
		if strings.ContainsAny(text, "\"\r") {
			if strings.Contains(want.problem, `for "--cap-add" flag`) {
				t.Skip("pflag reads lists as CSV, and refuses a quote in the middle")
			}
			got.caps, want.caps = nil, nil // for the same reason
		}
		unknown := "unknown shorthand flag: "
		if strings.HasPrefix(got.problem, unknown) && strings.HasPrefix(want.problem, unknown) && strings.ContainsFunc(text, func(r rune) bool { return r > 127 }) {
			want.problem = got.problem // see TestErrors
		}
		if fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
			t.Errorf("%q, interspersed %v:\n got %+v\nwant %+v", args, interspersed, got, want)
		}
	})
}
