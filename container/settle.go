package container

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// settle gives back the memory that the start used, but for the heap. Until a
// signal or a packet comes there is nothing else to do.
func settle() error {
	GiveBack()
	return nil
}

// GiveBack gives back the pages of our own program, of which waiting touches a
// few again.
func GiveBack() {
	maps, err := readFile("/proc/self/maps")
	if err != nil {
		return // it is worth a megabyte, no more
	}
	var ranges [8][2]uintptr // read first: reading touches the program
	n := 0
	for line := range strings.Lines(string(maps)) {
		if start, size, ok := constant(line); ok && n < len(ranges) {
			ranges[n] = [2]uintptr{start, size}
			n++
		}
	}
	for _, r := range ranges[:n] {
		_, _, _ = unix.RawSyscall(unix.SYS_MADVISE, r[0], r[1], unix.MADV_DONTNEED)
	}
}

// constant finds the mappings of our file that nobody writes, in lines such as
//
//	00400000-00a93000 r-xp 00000000 fe:00 1234   /usr/bin/rl
//
// Another file is not mapped: the program is static.
func constant(line string) (start, size uintptr, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 6 || fields[1] != "r-xp" && fields[1] != "r--p" || !strings.HasPrefix(fields[5], "/") {
		return 0, 0, false
	}
	from, to, _ := strings.Cut(fields[0], "-")
	first, err1 := strconv.ParseUint(from, 16, 64)
	end, err2 := strconv.ParseUint(to, 16, 64)
	return uintptr(first), uintptr(end - first), err1 == nil && err2 == nil && end > first
}
