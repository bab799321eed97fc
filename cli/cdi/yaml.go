package cdi

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// parseYAML reads the part of YAML 1.2 in which people and programs write such
// files: mappings and sequences in block and flow form, plain and quoted
// scalars also over several lines, literal and folded ones, comments. Anchors,
// aliases, tags, complex keys and further documents are refused. It gives what
// encoding/json would: maps, slices, string, float64 or int64, bool, nil.
func parseYAML(text string) (v any, err error) {
	p := &yaml{lines: strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")}
	defer func() {
		if failed, ok := recover().(yamlError); ok {
			v, err = nil, fmt.Errorf("line %d: %w", p.at+1, failed.error)
		} else if failed.error != nil {
			panic(failed)
		}
	}()
	p.begin()
	if p.more() {
		v = p.node(0, 0)
	}
	if p.more() {
		p.fail("this does not belong to what is above")
	}
	return v, nil
}

// yaml is the state: the line that is next.
type yaml struct {
	lines []string
	at    int
	ended bool
}

// yamlError is thrown, as every step can fail.
type yamlError struct{ error }

func (p *yaml) fail(format string, a ...any) { panic(yamlError{fmt.Errorf(format, a...)}) }

// mostDepth of values in values.
const mostDepth = 100

// begin passes the directives and the mark of the document.
func (p *yaml) begin() {
	for ; p.at < len(p.lines); p.at++ {
		line := strings.TrimRight(p.lines[p.at], " \t")
		if trimmed := strings.TrimLeft(line, " \t"); trimmed != "" && trimmed[0] != '#' && !strings.HasPrefix(line, "%") {
			if rest, ok := strings.CutPrefix(line, "---"); ok && strings.Trim(comment(rest), " ") == "" {
				p.at++
			}
			return
		}
	}
}

// more finds the next line with something on it.
func (p *yaml) more() bool {
	for ; p.at < len(p.lines) && !p.ended; p.at++ {
		line := p.lines[p.at]
		switch trimmed := strings.TrimLeft(line, " "); {
		case strings.TrimSpace(trimmed) == "" || strings.TrimLeft(trimmed, "\t")[0] == '#':
			continue
		case trimmed[0] == '\t':
			p.fail("a tab in the indentation")
		case line == "..." || strings.HasPrefix(line, "... "):
			p.ended = true
			p.at++
			return p.restIsEmpty()
		case line == "---" || strings.HasPrefix(line, "--- "):
			p.fail("a second document")
		}
		return !p.ended
	}
	return false
}

func (p *yaml) restIsEmpty() bool {
	for ; p.at < len(p.lines); p.at++ {
		if line := strings.TrimSpace(p.lines[p.at]); line != "" && line[0] != '#' {
			p.fail("a second document")
		}
	}
	return false
}

// line gives the indentation and the rest of the next line.
func (p *yaml) line() (indent int, rest string) {
	line := p.lines[p.at]
	rest = strings.TrimLeft(line, " ")
	return len(line) - len(rest), rest
}

// node reads what begins on the next line, indented by at least so much.
func (p *yaml) node(least, depth int) any {
	if !p.more() {
		return nil
	}
	if depth > mostDepth {
		p.fail("too deep")
	}
	indent, rest := p.line()
	switch {
	case indent < least:
		return nil
	case isItem(rest):
		return p.sequence(indent, depth)
	case keyEnd(rest) >= 0:
		return p.mapping(indent, depth)
	}
	p.at++
	return p.scalar(rest, least-1, depth)
}

func isItem(rest string) bool { return rest == "-" || strings.HasPrefix(rest, "- ") }

func (p *yaml) sequence(indent, depth int) any {
	list := []any{}
	for p.more() {
		at, rest := p.line()
		if at != indent || !isItem(rest) {
			if at > indent {
				p.fail("indented too far")
			}
			break
		}
		value := strings.TrimLeft(rest[1:], " ")
		if comment(value) == "" {
			p.at++
			list = append(list, p.node(indent+1, depth+1))
			continue
		}
		// What follows the dash is a line of its own that is indented so far.
		inner := indent + len(rest) - len(value)
		if isItem(value) || keyEnd(value) >= 0 {
			p.lines[p.at] = strings.Repeat(" ", inner) + value
			list = append(list, p.node(inner, depth+1))
			continue
		}
		p.at++
		list = append(list, p.scalar(value, indent, depth))
	}
	return list
}

func (p *yaml) mapping(indent, depth int) any {
	m := map[string]any{}
	for p.more() {
		at, rest := p.line()
		if at < indent {
			break
		}
		end := keyEnd(rest)
		if at > indent || end < 0 {
			p.fail("KEY: VALUE is wanted")
		}
		key := p.key(rest[:end])
		if _, twice := m[key]; twice {
			p.fail("key %q is there twice", key)
		}
		value := strings.TrimLeft(rest[end+1:], " \t")
		p.at++
		if comment(value) != "" {
			m[key] = p.scalar(value, indent, depth)
			continue
		}
		m[key] = nil
		if p.more() {
			switch next, text := p.line(); {
			case next > indent:
				m[key] = p.node(indent+1, depth+1)
			case next == indent && isItem(text): // a sequence needs no indentation
				m[key] = p.sequence(indent, depth+1)
			}
		}
	}
	return m
}

// keyEnd gives the place of the colon after a key, or -1.
func keyEnd(rest string) int {
	from := 0
	if rest != "" && (rest[0] == '"' || rest[0] == '\'') {
		if from = quoteEnd(rest); from < 0 {
			return -1
		}
	} else if rest != "" && strings.ContainsRune("[{#", rune(rest[0])) {
		return -1
	}
	for n := from; n < len(rest); n++ {
		switch {
		case rest[n] == ':' && (n+1 == len(rest) || rest[n+1] == ' ' || rest[n+1] == '\t'):
			return n
		case rest[n] == '#' && n > 0 && (rest[n-1] == ' ' || rest[n-1] == '\t'), from > 0 && rest[n] != ' ':
			return -1
		}
	}
	return -1
}

func (p *yaml) key(text string) string {
	text = strings.TrimSpace(text)
	if text == "" || strings.ContainsRune("&*!|>%@`?", rune(text[0])) {
		p.fail("key %q: only plain and quoted keys are read here", text)
	}
	if text[0] == '"' || text[0] == '\'' {
		return p.quoted(text)
	}
	return text
}

// quoteEnd gives the index after a quoted scalar, or -1 when it goes on.
func quoteEnd(text string) int {
	for n := 1; n < len(text); n++ {
		switch {
		case text[n] == '\\' && text[0] == '"':
			n++
		case text[n] != text[0]:
		case text[0] == '\'' && n+1 < len(text) && text[n+1] == '\'':
			n++
		default:
			return n + 1
		}
	}
	return -1
}

// comment takes a comment off the end of plain text.
func comment(text string) string {
	for n := range len(text) {
		if text[n] == '#' && (n == 0 || text[n-1] == ' ' || text[n-1] == '\t') {
			return strings.TrimRight(text[:n], " \t")
		}
	}
	return strings.TrimRight(text, " \t")
}

// scalar reads a value that begins with text; its further lines are indented
// by more than indent.
func (p *yaml) scalar(text string, indent, depth int) any {
	switch text[0] {
	case '"', '\'':
		for quoteEnd(text) < 0 {
			text = strings.TrimRight(text, " \t") + p.further(indent, "the quote is not closed")
		}
		end := quoteEnd(text)
		if comment(strings.TrimLeft(" "+text[end:], "")) != "" && strings.TrimSpace(comment(text[end:])) != "" {
			p.fail("%q follows a quoted value", text[end:])
		}
		return p.quoted(text[:end])
	case '[', '{':
		return p.flowValue(text, indent, depth)
	case '|', '>':
		return p.block(text, indent)
	case '&', '*', '!', '%', '@', '`':
		p.fail("%.20s: anchors, aliases, tags and directives are not read here", text)
	case '?', '-', ':':
		if len(text) == 1 || text[1] == ' ' {
			p.fail("%.20s: not read here", text)
		}
	}
	plain := comment(text)
	if keyEnd(plain) >= 0 {
		p.fail("%.40s: a colon in a plain value", plain)
	}
	for plain == strings.TrimRight(text, " \t") && p.more() { // a comment ends it
		at, rest := p.line()
		if at <= indent {
			break
		}
		if keyEnd(rest) >= 0 {
			p.fail("%.40s: indented too far", rest)
		}
		text = plain + " " + rest
		plain = plain + " " + comment(rest)
		p.at++
	}
	return resolve(plain)
}

// further gives the next line of a value, folded.
func (p *yaml) further(indent int, missing string) string {
	folded := " "
	for ; p.at < len(p.lines); p.at++ {
		line := strings.Trim(p.lines[p.at], " \t")
		if line == "" {
			if folded = strings.TrimPrefix(folded, " "); len(folded) < mostDepth {
				folded += "\n"
			}
			continue
		}
		if at, _ := p.line(); at <= indent {
			break
		}
		p.at++
		return folded + line
	}
	p.fail("%s", missing)
	return ""
}

// block reads a literal or folded scalar.
func (p *yaml) block(head string, indent int) any {
	style, chomp := head[0], strings.TrimSpace(comment(head[1:]))
	if chomp != "" && chomp != "-" && chomp != "+" {
		p.fail("%s: an indentation indicator is not read here", head)
	}
	var lines []string
	inner := -1
	for ; p.at < len(p.lines); p.at++ {
		line := strings.TrimRight(p.lines[p.at], " ")
		at := len(line) - len(strings.TrimLeft(line, " "))
		if line == "" {
			lines = append(lines, "")
			continue
		}
		if inner < 0 {
			inner = at
		}
		if at <= indent || at < inner {
			break
		}
		lines = append(lines, p.lines[p.at][inner:])
	}
	text := strings.Join(lines, "\n")
	if style == '>' {
		text = fold(lines)
	}
	body := strings.TrimRight(text, "\n")
	switch {
	case chomp == "-" || body == "" && chomp == "":
		return body
	case chomp == "":
		return body + "\n"
	}
	return text + "\n"
}

// fold joins lines; empty ones are the breaks.
func fold(lines []string) string {
	var b strings.Builder
	for n, line := range lines {
		switch {
		case line == "":
			b.WriteByte('\n')
			continue
		case n > 0 && lines[n-1] != "" && line[0] != ' ' && lines[n-1][0] != ' ':
			b.WriteByte(' ')
		case n > 0 && lines[n-1] != "":
			b.WriteByte('\n')
		}
		b.WriteString(line)
	}
	return b.String()
}

// quoted reads a scalar that is closed at its end.
func (p *yaml) quoted(text string) string {
	inner := text[1 : len(text)-1]
	if text[0] == '\'' {
		return strings.ReplaceAll(inner, "''", "'")
	}
	var b strings.Builder
	for n := 0; n < len(inner); n++ {
		if inner[n] != '\\' {
			b.WriteByte(inner[n])
			continue
		}
		n++
		c, size, err := escape(inner[n:])
		if err != nil {
			p.fail("%.10s: %v", inner[n-1:], err)
		}
		b.WriteRune(c)
		n += size
	}
	return b.String()
}

// escapes of one letter.
var escapes = map[byte]rune{'0': 0, 'a': 7, 'b': 8, 't': 9, '\t': 9, 'n': 10, 'v': 11, 'f': 12, 'r': 13, 'e': 27, ' ': ' ', '"': '"', '/': '/', '\\': '\\',
	'N': 0x85, '_': 0xa0, 'L': 0x2028, 'P': 0x2029}

// escape reads what follows a backslash: size is that of what follows its letter.
func escape(text string) (c rune, size int, err error) {
	if c, ok := escapes[text[0]]; ok {
		return c, 0, nil
	}
	size = map[byte]int{'x': 2, 'u': 4, 'U': 8}[text[0]]
	if size == 0 || len(text) <= size {
		return 0, 0, errors.New("unknown escape")
	}
	n, err := strconv.ParseUint(text[1:1+size], 16, 32)
	if err != nil || n > 0x10ffff {
		return 0, 0, errors.New("no character")
	}
	if n >= 0xd800 && n < 0xdc00 && len(text) >= 11 && text[5:7] == `\u` { // as JSON writes those above 16 bits
		if low, err := strconv.ParseUint(text[7:11], 16, 32); err == nil && low >= 0xdc00 && low < 0xe000 {
			return rune(0x10000 + (n-0xd800)<<10 + low - 0xdc00), 10, nil
		}
	}
	return rune(n), size, nil
}

// resolve is the core schema's, with the octal numbers of YAML 1.1.
func resolve(plain string) any {
	switch plain {
	case "", "~", "null", "Null", "NULL":
		return nil
	case "true", "True", "TRUE":
		return true
	case "false", "False", "FALSE":
		return false
	}
	if strings.Trim(plain, "0123456789-+.eEoxabcdfABCDF") != "" || plain == "e" || plain == "E" {
		return plain
	}
	if digits := strings.TrimPrefix(strings.TrimPrefix(plain, "0o"), "0"); digits != plain && digits != "" && strings.Trim(digits, "01234567") == "" {
		if n, err := strconv.ParseInt(digits, 8, 64); err == nil {
			return n
		}
	}
	if n, err := strconv.ParseInt(plain, 10, 64); err == nil && plain[0] != '+' {
		return n
	}
	if n, err := strconv.ParseFloat(plain, 64); err == nil && strings.ContainsAny(plain, ".eE") && strings.Trim(plain, "0123456789-+.eE") == "" {
		return n
	}
	return plain
}
