package toolbox

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// tr translates or deletes characters: tr [-d] SET1 [SET2] with ranges and the
// escapes \n, \t and \\.
func tr(std stdio, args []string) error {
	remove := len(args) > 0 && args[0] == "-d"
	if remove {
		args = args[1:]
	}
	if remove && len(args) != 1 || !remove && len(args) != 2 {
		return usageError("tr [-d] SET1 [SET2]")
	}
	from, to := []rune(expandSet(args[0])), []rune(nil)
	if !remove {
		if to = []rune(expandSet(args[1])); len(to) == 0 {
			return usageError("tr SET1 SET2, neither empty")
		}
	}
	in, out := bufio.NewReader(std.in), bufio.NewWriter(std.out)
	for {
		r, _, err := in.ReadRune()
		if errors.Is(err, io.EOF) {
			return out.Flush()
		}
		if err != nil {
			return err
		}
		at := lastIndex(from, r)
		if at >= 0 && remove {
			continue
		}
		if at >= 0 {
			r = to[min(at, len(to)-1)]
		}
		if _, err := out.WriteRune(r); err != nil {
			return err
		}
	}
}

func lastIndex(set []rune, r rune) int {
	for i := len(set) - 1; i >= 0; i-- {
		if set[i] == r {
			return i
		}
	}
	return -1
}

// expandSet writes ranges out.
func expandSet(set string) string {
	set = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\\`, `\`).Replace(set)
	runes := []rune(set)
	var b strings.Builder
	for i := 0; i < len(runes); i++ {
		if i+2 < len(runes) && runes[i+1] == '-' && runes[i] <= runes[i+2] {
			for r := runes[i]; r <= runes[i+2]; r++ {
				b.WriteRune(r)
			}
			i += 2
			continue
		}
		b.WriteRune(runes[i])
	}
	return b.String()
}
