package container

import "testing"

func TestConstant(t *testing.T) {
	for _, c := range []struct {
		line        string
		start, size uintptr
		ok          bool
	}{
		{"00400000-00a93000 r-xp 00000000 fe:00 1234   /usr/bin/rl\n", 0x400000, 0x693000, true},
		{"00a93000-011f1000 r--p 00693000 fe:00 1234   /home/a b/rl\n", 0xa93000, 0x75e000, true},
		{"011f1000-01256000 rw-p 00df1000 fe:00 1234   /usr/bin/rl\n", 0, 0, false},
		{"7ffc3a1f0000-7ffc3a1f4000 r--p 00000000 00:00 0   [vvar]\n", 0, 0, false},
		{"7f0000000000-7f0000001000 r--p 00000000 00:00 0\n", 0, 0, false},
		{"nonsense\n", 0, 0, false},
		{"z-y r-xp 0 0 0 /x\n", 0, 0, false},
	} {
		if start, size, ok := constant(c.line); ok != c.ok || ok && (start != c.start || size != c.size) {
			t.Errorf("%q: %#x %#x %v", c.line, start, size, ok)
		}
	}
}
