package security

import (
	"encoding/binary"
	"testing"
)

// call is struct seccomp_data.
type call struct {
	number, arch uint32
	args         [6]uint64
}

func (c call) word(offset uint32) uint32 {
	switch {
	case offset == offsetNumber:
		return c.number
	case offset == offsetArch:
		return c.arch
	case offset >= offsetArgs && offset < offsetArgs+48:
		half := (offset - offsetArgs) / 4
		return uint32(c.args[half/2] >> (32 * (half % 2)))
	}
	return 0 // the instruction pointer
}

// interpret runs a program as the kernel does; it fails on what the kernel's
// checker would refuse.
func interpret(t testing.TB, program []byte, c call) uint32 {
	t.Helper()
	var a uint32
	n := len(program) / 8
	for pc, steps := 0, 0; pc < n; steps++ {
		at := program[8*pc:]
		code, jt, jf := binary.NativeEndian.Uint16(at), int(at[2]), int(at[3])
		k := binary.NativeEndian.Uint32(at[4:])
		pc++
		jump := func(yes bool) {
			if yes {
				pc += jt
			} else {
				pc += jf
			}
		}
		switch code {
		case loadWord:
			a = c.word(k)
		case andWord:
			a &= k
		case jumpAlong:
			pc += int(k)
		case jumpEqual:
			jump(a == k)
		case jumpAbove:
			jump(a > k)
		case jumpFrom:
			jump(a >= k)
		case 0x45: // JSET, of libseccomp
			jump(a&k != 0)
		case answer:
			return k
		default:
			t.Fatalf("instruction %d has the code %#x", pc-1, code)
		}
	}
	t.Fatal("the program runs off its end")
	return 0
}
