package units

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Word writes a word that is to reach a program as it is: specifiers (%) and
// variables ($) of systemd are doubled.
func Word(text string) string {
	return quote(strings.NewReplacer("%", "%%", "$", "$$").Replace(text))
}

// Setting is Word for what knows no variables: Environment= and its like.
func Setting(text string) string { return quote(strings.ReplaceAll(text, "%", "%%")) }

// Path is a value that is one path, and is never taken apart: PIDFile=.
func Path(text string) string { return strings.ReplaceAll(text, "%", "%%") }

// quote gives a word that systemd reads as text, but for % and $. What is no
// UTF-8 is written by its bytes: systemd passes over a line with such.
func quote(text string) string {
	if text != "" && text != ";" && utf8.ValidString(text) && !strings.ContainsFunc(text, needsQuotes) {
		return text
	}
	var b strings.Builder
	b.WriteByte('"')
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1, r < ' ' && r != '\n' && r != '\t', r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
		text = text[size:]
	}
	b.WriteByte('"')
	return b.String()
}

func needsQuotes(r rune) bool { return r <= ' ' || r == 0x7f || r == '"' || r == '\'' || r == '\\' }

// Split takes a value apart into words as systemd does: quotes, of either kind,
// and C escapes are undone. % and $ stay.
func Split(value string) (words []string, err error) {
	for {
		value = strings.TrimLeft(value, blanks)
		if value == "" {
			return words, nil
		}
		var word string
		if word, value, err = nextWord(value); err != nil {
			return nil, err
		}
		words = append(words, word)
	}
}

const blanks = " \t\n\r"

// nextWord reads up to a blank outside of quotes.
func nextWord(value string) (word, rest string, err error) {
	var b strings.Builder
	inside := byte(0)
	for at := 0; at < len(value); at++ {
		c := value[at]
		switch {
		case c == '\\':
			text, size, err := unescape(value[at+1:])
			if err != nil {
				return "", "", err
			}
			b.WriteString(text)
			at += size
		case c == inside:
			inside = 0
		case inside == 0 && (c == '"' || c == '\''):
			inside = c
		case inside == 0 && strings.IndexByte(blanks, c) >= 0:
			return b.String(), value[at:], nil
		default:
			b.WriteByte(c)
		}
	}
	if inside != 0 {
		return "", "", fmt.Errorf("the quote %c is not closed", inside)
	}
	return b.String(), "", nil
}

// letters are the escapes of one letter (systemd.syntax(7)).
const (
	letters = `abfnrtv\"'s`
	meaning = "\a\b\f\n\r\t\v\\\"' "
)

// unescape gives what follows a backslash stands for, and its size. What is no
// escape stays as it is, with the backslash.
func unescape(text string) (string, int, error) {
	if text == "" {
		return "", 0, errors.New("a backslash at the end")
	}
	if n := strings.IndexByte(letters, text[0]); n >= 0 {
		return meaning[n : n+1], 1, nil
	}
	for _, form := range []struct {
		letter       byte
		digits, base int
	}{{'x', 2, 16}, {'u', 4, 16}, {'U', 8, 16}, {0, 3, 8}} {
		if form.letter != 0 && text[0] != form.letter || form.letter == 0 && (text[0] < '0' || text[0] > '7') {
			continue
		}
		from := min(int(form.letter), 1)
		end := from + form.digits
		if len(text) < end {
			return "", 0, fmt.Errorf(`\%s: an escape that is cut off`, text)
		}
		return number(text[:end], text[from:end], form.base, form.digits > 3)
	}
	return `\`, 0, nil
}

// number: a byte, or a character.
func number(shown, digits string, base int, character bool) (string, int, error) {
	n, err := strconv.ParseUint(digits, base, 32)
	switch {
	case err != nil || n == 0 || character && !utf8.ValidRune(rune(n)) || !character && n > 0xff:
		return "", 0, fmt.Errorf(`\%s: not an escape`, shown)
	case character:
		return string(rune(n)), len(shown), nil
	}
	return string([]byte{byte(n)}), len(shown), nil
}
