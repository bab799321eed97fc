package security

import "encoding/binary"

// Instructions of classic BPF that the kernel takes in a filter (bpf_check_classic).
const (
	loadWord  = 0x20 // A = data[k]
	andWord   = 0x54 // A &= k
	jumpAlong = 0x05 // pc += k
	jumpEqual = 0x15 // A == k
	jumpAbove = 0x25 // A > k
	jumpFrom  = 0x35 // A >= k
	answer    = 0x06 // return k
)

type instruction struct {
	code   uint16
	jt, jf uint8
	k      uint32
}

// emitter writes a program from its end to its start, so that every jump's
// target is known. A label is an index in that reversed order.
type emitter struct {
	reversed []instruction
	answers  map[uint32]label
	wide     bool // arguments have 64 bits
}

type label int

// reach is how far a conditional jump goes, less what is put in between.
const reach = 250

func (e *emitter) put(i instruction) label {
	e.reversed = append(e.reversed, i)
	return label(len(e.reversed) - 1)
}

// distance of a label from the instruction put next.
func (e *emitter) distance(to label) int { return len(e.reversed) - int(to) - 1 }

// ret is a return, shared while it is in reach.
func (e *emitter) ret(value uint32) label {
	at, ok := e.answers[value]
	if !ok || e.distance(at) > reach {
		at = e.put(instruction{code: answer, k: value})
		e.answers[value] = at
	}
	return at
}

// near brings a target into reach of the next instruction.
func (e *emitter) near(to label) label {
	if e.distance(to) <= reach {
		return to
	}
	if far := e.reversed[to]; far.code == answer {
		return e.ret(far.k)
	}
	return e.put(instruction{code: jumpAlong, k: uint32(e.distance(to))})
}

// branch jumps to yes or no.
func (e *emitter) branch(code uint16, k uint32, yes, no label) label {
	if yes == no {
		return yes
	}
	yes = e.near(yes)
	no = e.near(no)
	return e.put(instruction{code: code, jt: uint8(e.distance(yes)), jf: uint8(e.distance(no)), k: k})
}

// before puts an instruction that falls through to the label.
func (e *emitter) before(next label, i instruction) label {
	if e.distance(next) != 0 {
		e.put(instruction{code: jumpAlong, k: uint32(e.distance(next))})
	}
	return e.put(i)
}

// program is the sock_filter array.
func (e *emitter) program() []byte {
	out := make([]byte, 0, 8*len(e.reversed))
	for i := len(e.reversed) - 1; i >= 0; i-- {
		in := e.reversed[i]
		out = binary.NativeEndian.AppendUint16(out, in.code)
		out = append(out, in.jt, in.jf)
		out = binary.NativeEndian.AppendUint32(out, in.k)
	}
	return out
}
