package security

import (
	"errors"
	"fmt"
	"runtime"
	"sort"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Values of seccomp_data.arch (linux/audit.h).
const (
	archX8664   = 0xc000003e
	archI386    = 0x40000003
	archAArch64 = 0xc00000b7
	archARM     = 0x40000028
)

const (
	x32Bit   = 0x40000000
	private  = 0xf0000 // ARM's own calls lie far above the others
	enosys   = 38
	eperm    = 1
	retKill  = 0
	retErrno = 0x50000
	retAllow = 0x7fff0000

	offsetNumber = 0 // of struct seccomp_data
	offsetArch   = 4
	offsetArgs   = 16

	maxInstructions = 4096 // BPF_MAXINSNS
)

var archValues = []struct {
	name  specs.Arch
	value uint32
}{{specs.ArchX86_64, archX8664}, {specs.ArchX86, archI386}, {specs.ArchAARCH64, archAArch64}, {specs.ArchARM, archARM}}

// outcome is what happens to one system call.
type outcome struct {
	action uint32
	rules  []rule // tried in order before action
}

type rule struct {
	args   []specs.LinuxSeccompArg // all must hold
	action uint32
}

// span is a run of numbers with one outcome, up to the next span's first.
type span struct {
	first uint32
	outcome
}

// Compile makes a filter: the program as an array of struct sock_filter in
// native byte order, and the flags for seccomp(2). A call that its profile
// does not name gets the default action, or ENOSYS when it is newer than all
// that are named.
func Compile(p *specs.LinuxSeccomp) (program []byte, flags uint, err error) {
	fallback, err := actionValue(p.DefaultAction, p.DefaultErrnoRet)
	if err != nil {
		return nil, 0, err
	}
	if flags, err = flagBits(p.Flags); err != nil {
		return nil, 0, err
	}
	e := &emitter{answers: map[uint32]label{}}
	next := e.ret(retKill) // of an architecture that is not listed
	arches := architectures(p.Architectures)
	for i := len(arches) - 1; i >= 0; i-- {
		spans, err := spansOf(p, arches[i], fallback)
		if err != nil {
			return nil, 0, err
		}
		e.wide = arches[i] == archX8664 || arches[i] == archAArch64
		tree := e.tree(spans)
		if arches[i] == archX8664 {
			tree = e.branch(jumpFrom, x32Bit, e.ret(retErrno|enosys), tree)
		}
		load := e.before(tree, instruction{code: loadWord, k: offsetNumber})
		next = e.branch(jumpEqual, arches[i], load, next)
	}
	e.before(next, instruction{code: loadWord, k: offsetArch})
	if len(e.reversed) > maxInstructions {
		return nil, 0, fmt.Errorf("compiling the seccomp profile: %d instructions, the kernel takes %d", len(e.reversed), maxInstructions)
	}
	return e.program(), flags, nil
}

// architectures are the listed ones that this machine can run, the native first.
func architectures(listed []specs.Arch) []uint32 {
	native, compatible := uint32(archX8664), uint32(archI386)
	if runtime.GOARCH == "arm64" {
		native, compatible = archAArch64, archARM
	}
	list := []uint32{native}
	for _, a := range archValues {
		for _, name := range listed {
			if name == a.name && a.value == compatible {
				list = append(list, compatible)
			}
		}
	}
	return list
}

// outcomes of the named system calls. The first unconditional rule of a call
// wins over all conditional ones, as with libseccomp.
func outcomes(p *specs.LinuxSeccomp, arch, fallback uint32) (map[int]*outcome, error) {
	table := map[int]*outcome{}
	settled := map[int]bool{}
	for _, s := range p.Syscalls {
		action, err := actionValue(s.Action, s.ErrnoRet)
		if err != nil {
			return nil, err
		}
		if err := checkArgs(s.Args); err != nil {
			return nil, fmt.Errorf("system call %v: %w", s.Names, err)
		}
		for _, name := range s.Names {
			n, ok := number(arch, name)
			if !ok || settled[n] {
				continue
			}
			if table[n] == nil {
				table[n] = &outcome{action: fallback}
			}
			if len(s.Args) == 0 {
				table[n], settled[n] = &outcome{action: action}, true
				continue
			}
			for _, args := range alternatives(s.Args) {
				table[n].rules = append(table[n].rules, rule{args, action})
			}
		}
	}
	return table, nil
}

// alternatives: two conditions on one argument are alternatives, as in runc;
// else all conditions must hold together.
func alternatives(args []specs.LinuxSeccompArg) [][]specs.LinuxSeccompArg {
	seen := map[uint]bool{}
	for _, a := range args {
		if seen[a.Index] {
			var each [][]specs.LinuxSeccompArg
			for _, a := range args {
				each = append(each, []specs.LinuxSeccompArg{a})
			}
			return each
		}
		seen[a.Index] = true
	}
	return [][]specs.LinuxSeccompArg{args}
}

func spansOf(p *specs.LinuxSeccomp, arch, fallback uint32) ([]span, error) {
	table, err := outcomes(p, arch, fallback)
	if err != nil {
		return nil, err
	}
	numbers := make([]int, 0, len(table))
	last := -1
	for n := range table {
		numbers = append(numbers, n)
		if n < private {
			last = max(last, n)
		}
	}
	sort.Ints(numbers)
	spans := []span{{0, outcome{action: fallback}}}
	for _, n := range numbers {
		spans = join(spans, span{uint32(n), *table[n]})
		spans = join(spans, span{uint32(n) + 1, outcome{action: fallback}})
		if n == last && refuses(fallback) {
			spans = join(spans, span{uint32(n) + 1, outcome{action: retErrno | enosys}})
		}
	}
	return spans, nil
}

// join appends a span; one of the same place replaces, one of the same outcome extends.
func join(spans []span, s span) []span {
	if spans[len(spans)-1].first == s.first {
		spans = spans[:len(spans)-1]
	}
	if n := len(spans); n > 0 && len(s.rules) == 0 && len(spans[n-1].rules) == 0 && spans[n-1].action == s.action {
		return spans
	}
	return append(spans, s)
}

// refuses: only where calls are refused by default does ENOSYS tell more.
func refuses(action uint32) bool {
	return action&0xffff0000 == retErrno || action == retKill || action == 0x80000000 || action == 0x30000
}

// tree compares with the middle: a call takes log2(spans) steps.
func (e *emitter) tree(spans []span) label {
	if len(spans) == 1 {
		return e.leaf(spans[0].outcome)
	}
	mid := len(spans) / 2
	from := e.tree(spans[mid:])
	below := e.tree(spans[:mid])
	return e.branch(jumpFrom, spans[mid].first, from, below)
}

func (e *emitter) leaf(o outcome) label {
	next := e.ret(o.action)
	for i := len(o.rules) - 1; i >= 0; i-- {
		good := e.ret(o.rules[i].action)
		for j := len(o.rules[i].args) - 1; j >= 0; j-- {
			good = e.condition(o.rules[i].args[j], good, next)
		}
		next = good
	}
	return next
}

func checkArgs(args []specs.LinuxSeccompArg) error {
	for _, a := range args {
		if a.Index > 5 {
			return fmt.Errorf("argument %d: a call has 0 to 5", a.Index)
		}
		switch a.Op {
		case specs.OpEqualTo, specs.OpNotEqual, specs.OpGreaterThan, specs.OpGreaterEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpMaskedEqual:
		default:
			return fmt.Errorf("operator %q: unknown", a.Op)
		}
	}
	return nil
}

// condition compares 64 bits by halves, the high one first; the arguments of a
// 32-bit architecture have no high half.
func (e *emitter) condition(a specs.LinuxSeccompArg, yes, no label) label {
	low, high := uint32(offsetArgs+8*a.Index), uint32(offsetArgs+8*a.Index+4)
	value, code := a.Value, uint16(jumpEqual)
	switch a.Op {
	case specs.OpNotEqual:
		yes, no = no, yes
	case specs.OpGreaterThan:
		code = jumpAbove
	case specs.OpGreaterEqual:
		code = jumpFrom
	case specs.OpLessThan:
		code, yes, no = jumpFrom, no, yes
	case specs.OpLessEqual:
		code, yes, no = jumpAbove, no, yes
	case specs.OpMaskedEqual:
		value = a.ValueTwo
	}
	load := func(next label, offset, mask uint32) label {
		if a.Op == specs.OpMaskedEqual {
			next = e.before(next, instruction{code: andWord, k: mask})
		}
		return e.before(next, instruction{code: loadWord, k: offset})
	}
	lower := load(e.branch(code, uint32(value), yes, no), low, uint32(a.Value))
	if !e.wide {
		return lower
	}
	upper := e.branch(jumpEqual, uint32(value>>32), lower, no)
	if code != jumpEqual {
		upper = e.branch(jumpAbove, uint32(value>>32), yes, upper)
	}
	return load(upper, high, uint32(a.Value>>32))
}

func actionValue(a specs.LinuxSeccompAction, errno *uint) (uint32, error) {
	data := uint32(eperm)
	if errno != nil {
		if *errno > 0xffff {
			return 0, fmt.Errorf("seccomp errno %d: at most 65535", *errno)
		}
		data = uint32(*errno)
	}
	switch a {
	case specs.ActKill, specs.ActKillThread:
		return retKill, nil
	case specs.ActKillProcess:
		return 0x80000000, nil
	case specs.ActTrap:
		return 0x30000, nil
	case specs.ActErrno:
		return retErrno | data, nil
	case specs.ActTrace:
		return 0x7ff00000 | data, nil
	case specs.ActLog:
		return 0x7ffc0000, nil
	case specs.ActAllow:
		return retAllow, nil
	case specs.ActNotify:
		return 0, errors.New("seccomp action SCMP_ACT_NOTIFY: there is no listener to notify")
	}
	return 0, fmt.Errorf("seccomp action %q: unknown", a)
}

// flagBits: without a list the speculation mitigation is not forced, as in runc.
func flagBits(list []specs.LinuxSeccompFlag) (uint, error) {
	if list == nil {
		return 4, nil
	}
	var bits uint
	for _, f := range list {
		switch f {
		case "SECCOMP_FILTER_FLAG_TSYNC":
			bits |= 1
		case specs.LinuxSeccompFlagLog:
			bits |= 2
		case specs.LinuxSeccompFlagSpecAllow:
			bits |= 4
		default:
			return 0, fmt.Errorf("seccomp flag %q: unknown", f)
		}
	}
	return bits, nil
}
