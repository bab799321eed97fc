package cli

import (
	"errors"
	"strings"
)

// shellWords takes a line apart as sh does before it expands anything (POSIX
// Shell Command Language, 2.2 Quoting): single quotes keep all, double quotes all
// but a backslash before $ ` " \, and a backslash keeps the character after it.
func shellWords(line string) (words []string, err error) {
	var b strings.Builder
	begun, inside := false, byte(0)
	for at := 0; at < len(line); at++ {
		c := line[at]
		switch {
		case inside == '\'' && c != '\'', inside == '"' && c != '"' && c != '\\':
			b.WriteByte(c)
		case c == '\\':
			if at++; at == len(line) {
				return nil, errors.New("a backslash at the end")
			}
			if inside == '"' && !strings.ContainsRune("$`\"\\", rune(line[at])) {
				b.WriteByte('\\')
			}
			b.WriteByte(line[at])
			begun = true
		case c == inside:
			inside = 0
		case c == '\'' || c == '"':
			inside, begun = c, true
		case strings.IndexByte(" \t\r\n", c) >= 0:
			if begun {
				words = append(words, b.String())
			}
			b.Reset()
			begun = false
		default:
			b.WriteByte(c)
			begun = true
		}
	}
	if inside != 0 {
		return nil, errors.New("the quote " + string(inside) + " is not closed")
	}
	if begun {
		words = append(words, b.String())
	}
	return words, nil
}
