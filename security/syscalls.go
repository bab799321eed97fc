package security

import (
	_ "embed" // the table
	"fmt"
	"strings"
	"sync"
)

// syscallText holds a system call a line with its numbers on x86_64, i386,
// aarch64 and arm; -1 where there is none. The numbers are those of Linux
// 6.15 (arch/*/entry/syscalls/*.tbl, scripts/syscall.tbl). It is text, so that
// a process which compiles no filter pays nothing for it.
//
//go:embed syscalls.txt
var syscallText string

// column of syscallText for an AUDIT_ARCH value.
func column(arch uint32) int {
	switch arch {
	case archX8664:
		return 0
	case archI386:
		return 1
	case archAArch64:
		return 2
	}
	return 3
}

// syscallNumbers gives name to number for an architecture.
var syscallNumbers = sync.OnceValue(func() (tables [4]map[string]int) {
	for i := range tables {
		tables[i] = make(map[string]int, 512)
	}
	for _, line := range strings.Split(strings.TrimSpace(syscallText), "\n") {
		var name string
		var n [4]int
		if _, err := fmt.Sscan(line, &name, &n[0], &n[1], &n[2], &n[3]); err != nil {
			panic("security: syscall table: " + line) // a defect of this file
		}
		for i, number := range n {
			if number >= 0 {
				tables[i][name] = number
			}
		}
	}
	return tables
})

// number of a system call; false when the architecture has none of that name.
func number(arch uint32, name string) (int, bool) {
	n, ok := syscallNumbers()[column(arch)][name]
	return n, ok
}
