package security

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"containers/rl/security/profile"
)

func compile(t testing.TB, p *specs.LinuxSeccomp) []byte {
	t.Helper()
	program, _, err := Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func defaultProfile(t testing.TB) *specs.LinuxSeccomp {
	t.Helper()
	p, err := profile.Default(DefaultCapabilities())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEmbeddedDefault(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("no embedded program for " + runtime.GOARCH)
	}
	program, flags, err := Compile(defaultProfile(t))
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("RL_GENERATE") != "" {
		if err := os.WriteFile("default_amd64.bpf", program, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(program, embeddedDefault) || flags != embeddedFlags {
		t.Errorf("the embedded program is not what Compile makes (%d and %d instructions): go generate ./security", len(embeddedDefault)/8, len(program)/8)
	}
	if n := len(program) / 8; n > 400 {
		t.Errorf("%d instructions", n)
	}
}

var operators = []specs.LinuxSeccompOperator{specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpEqualTo, specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpMaskedEqual}

func holds(a specs.LinuxSeccompArg, v uint64) bool {
	switch a.Op {
	case specs.OpNotEqual:
		return v != a.Value
	case specs.OpLessThan:
		return v < a.Value
	case specs.OpLessEqual:
		return v <= a.Value
	case specs.OpEqualTo:
		return v == a.Value
	case specs.OpGreaterEqual:
		return v >= a.Value
	case specs.OpGreaterThan:
		return v > a.Value
	}
	return v&a.Value == a.ValueTwo
}

// expected is the meaning of a profile, told without a tree.
func expected(p *specs.LinuxSeccomp, c call) uint32 {
	fallback, _ := actionValue(p.DefaultAction, p.DefaultErrnoRet)
	if c.arch == archX8664 && c.number >= x32Bit {
		return retErrno | enosys
	}
	last := -1
	matched, settled := int64(-1), int64(-1)
	for _, s := range p.Syscalls {
		action, _ := actionValue(s.Action, s.ErrnoRet)
		for _, name := range s.Names {
			n, ok := number(c.arch, name)
			if !ok {
				continue
			}
			last = max(last, n)
			if uint32(n) != c.number {
				continue
			}
			if len(s.Args) == 0 {
				if settled < 0 {
					settled = int64(action)
				}
				continue
			}
			for _, all := range alternatives(s.Args) {
				ok := true
				for _, a := range all {
					ok = ok && holds(a, c.args[a.Index])
				}
				if ok && matched < 0 {
					matched = int64(action)
				}
			}
		}
	}
	switch {
	case settled >= 0:
		return uint32(settled)
	case matched >= 0:
		return uint32(matched)
	case int(c.number) > last && last >= 0 && refuses(fallback):
		return retErrno | enosys
	}
	return fallback
}

func randomProfile(r *rand.Rand) *specs.LinuxSeccomp {
	actions := []specs.LinuxSeccompAction{specs.ActAllow, specs.ActErrno, specs.ActLog, specs.ActKillProcess}
	var names []string
	for name, n := range syscallNumbers()[0] {
		if n < 512 {
			names = append(names, name)
		}
	}
	p := &specs.LinuxSeccomp{DefaultAction: actions[r.IntN(2)]}
	for range r.IntN(60) {
		s := specs.LinuxSyscall{Action: actions[r.IntN(len(actions))]}
		for range 1 + r.IntN(8) {
			s.Names = append(s.Names, names[r.IntN(len(names))])
		}
		for range max(0, r.IntN(5)-2) {
			s.Args = append(s.Args, specs.LinuxSeccompArg{Index: uint(r.IntN(6)), Op: operators[r.IntN(len(operators))], Value: interesting(r), ValueTwo: interesting(r)})
		}
		p.Syscalls = append(p.Syscalls, s)
	}
	return p
}

func interesting(r *rand.Rand) uint64 {
	values := []uint64{0, 1, 2, 0xffffffff, 1 << 32, 1<<32 + 1, ^uint64(0), 0x7e020000}
	return values[r.IntN(len(values))]
}

// Random profiles mean the same compiled as told plainly.
func TestCompileMeansTheProfile(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the table of this test is that of amd64, not " + runtime.GOARCH)
	}
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 1))
		p := randomProfile(r)
		program := compile(t, p)
		for range 400 {
			c := call{arch: archX8664, number: uint32(r.IntN(600))}
			if r.IntN(20) == 0 {
				c.number |= x32Bit
			}
			for i := range c.args {
				c.args[i] = interesting(r)
			}
			if got, want := interpret(t, program, c), expected(p, c); got != want {
				t.Fatalf("seed %d: %+v gives %#x, want %#x", seed, c, got, want)
			}
		}
	}
}

// The default profile, call by call, beside what libseccomp makes of it.
func TestSameAsLibseccomp(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the comparison is for amd64, not " + runtime.GOARCH)
	}
	theirs := libseccomp(t, defaultProfile(t))
	ours := compile(t, defaultProfile(t))
	t.Logf("%d instructions, libseccomp %d", len(ours)/8, len(theirs)/8)
	r := rand.New(rand.NewPCG(1, 2))
	for _, arch := range []uint32{archX8664, archI386} {
		compared := 0
		for name, n := range syscallNumbers()[column(arch)] {
			if oldLibrary[name] || arch == archI386 && multiplexed[name] {
				continue
			}
			for range 60 {
				c := call{arch: arch, number: uint32(n)}
				for i := range c.args {
					c.args[i] = sample(r)
				}
				want, got := interpret(t, theirs, c), interpret(t, ours, c)
				if got == retErrno|enosys && want == retErrno|eperm {
					continue // newer than all of the profile: see doc.go
				}
				if got != want {
					t.Errorf("arch %#x %s%v: %#x, libseccomp %#x", arch, name, c.args, got, want)
					break
				}
				compared++
			}
		}
		if compared < 300*60 {
			t.Errorf("arch %#x: only %d calls compared", arch, compared)
		}
	}
}

// oldLibrary are calls that Debian 12's libseccomp 2.5.4 has no number for.
var oldLibrary = set("cachestat fchmodat2 map_shadow_stack futex_wake futex_wait futex_requeue statmount listmount lsm_get_self_attr lsm_set_self_attr lsm_list_modules mseal setxattrat getxattrat listxattrat removexattrat open_tree_attr uretprobe")

// multiplexed calls of i386 libseccomp answers by the arguments of socketcall
// and ipc as well, which our filter treats as calls of their own.
var multiplexed = set("socketcall ipc")

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

func sample(r *rand.Rand) uint64 {
	if r.IntN(2) == 0 {
		return uint64(r.IntN(64))
	}
	values := []uint64{0x7e020000, 0x10000000, 0xffffffff, 0x20008, 8, 0x0, 0x20000, 1 << 33}
	return values[r.IntN(len(values))]
}

func libseccomp(t *testing.T, p *specs.LinuxSeccomp) []byte {
	t.Helper()
	helper := filepath.Join(t.TempDir(), "helper")
	if out, err := exec.Command("cc", "-o", helper, "testdata/libseccomp.c", "-lseccomp").CombinedOutput(); err != nil {
		t.Skipf("cc with libseccomp-dev is missing: %v %s", err, out)
	}
	var in strings.Builder
	fallback, _ := actionValue(p.DefaultAction, p.DefaultErrnoRet)
	fmt.Fprintf(&in, "default %d\narch %d\narch %d\n", fallback, uint32(archX8664), uint32(archI386))
	for _, s := range p.Syscalls {
		action, _ := actionValue(s.Action, s.ErrnoRet)
		if action == fallback {
			continue
		}
		for _, name := range s.Names {
			if len(s.Args) == 0 {
				fmt.Fprintf(&in, "rule %d %s 0\n", action, name)
				continue
			}
			for _, args := range alternatives(s.Args) {
				fmt.Fprintf(&in, "rule %d %s %d", action, name, len(args))
				for _, a := range args {
					first, second := a.Value, a.ValueTwo
					fmt.Fprintf(&in, " %d %d %d %d", a.Index, operatorNumber(a.Op), first, second)
				}
				fmt.Fprintln(&in)
			}
		}
	}
	cmd := exec.Command(helper)
	cmd.Stdin = strings.NewReader(in.String())
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("libseccomp: %v %s", err, &said)
	}
	return out
}

// operatorNumber is enum scmp_compare.
func operatorNumber(op specs.LinuxSeccompOperator) int {
	for i, known := range operators {
		if op == known {
			return i + 1
		}
	}
	return 0
}

func TestCompileRefuses(t *testing.T) {
	tooLarge := uint(1 << 16)
	for name, p := range map[string]*specs.LinuxSeccomp{
		"action":   {DefaultAction: "SCMP_ACT_NONSENSE"},
		"notify":   {DefaultAction: specs.ActNotify},
		"errno":    {DefaultAction: specs.ActErrno, DefaultErrnoRet: &tooLarge},
		"flag":     {DefaultAction: specs.ActAllow, Flags: []specs.LinuxSeccompFlag{"NONSENSE"}},
		"operator": {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Op: "NONSENSE"}}}}},
		"argument": {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"read"}, Action: specs.ActErrno, Args: []specs.LinuxSeccompArg{{Index: 6, Op: specs.OpEqualTo}}}}},
	} {
		if _, _, err := Compile(p); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func FuzzCompile(f *testing.F) {
	f.Add([]byte(`{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["clone"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":1,"op":"SCMP_CMP_MASKED_EQ"}]}]}`), uint32(56), uint64(1))
	f.Fuzz(func(t *testing.T, text []byte, nr uint32, arg uint64) {
		p, err := profile.Parse(text, DefaultCapabilities())
		if err != nil {
			return
		}
		program, _, err := Compile(p)
		if err != nil {
			return
		}
		if len(program)%8 != 0 || len(program)/8 > maxInstructions {
			t.Fatalf("%d bytes", len(program))
		}
		c := call{arch: archX8664, number: nr, args: [6]uint64{arg, arg, arg, arg, arg, arg}}
		if runtime.GOARCH != "amd64" {
			c.arch = archAArch64
		}
		if got, want := interpret(t, program, c), expected(p, c); got != want {
			t.Fatalf("%+v: %#x, want %#x", c, got, want)
		}
	})
}
