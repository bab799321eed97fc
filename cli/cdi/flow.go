package cdi

import "strings"

// flowValue reads a value in flow form, which may go on over lines.
func (p *yaml) flowValue(text string, indent, depth int) any {
	for {
		f := &flow{p: p, text: text}
		if v, done := f.value(depth); done {
			if rest := f.text[f.at:]; rest != "" && comment(" "+rest) != "" && strings.TrimSpace(comment(" "+rest)) != "" {
				p.fail("%.20q follows a list or a map", rest)
			}
			return v
		}
		text = strings.TrimRight(comment(text), " \t") + p.further(indent, "the bracket is not closed")
	}
}

// flow is text that may be read again when more of it is there.
type flow struct {
	p    *yaml
	text string
	at   int
}

func (f *flow) space() {
	for f.at < len(f.text) && strings.ContainsRune(" \t\n", rune(f.text[f.at])) {
		f.at++
	}
}

// next passes a character, if it is that one.
func (f *flow) next(c byte) bool {
	if f.space(); f.at < len(f.text) && f.text[f.at] == c {
		f.at++
		return true
	}
	return false
}

// value is done when there was enough text.
func (f *flow) value(depth int) (v any, done bool) {
	if depth > mostDepth {
		f.p.fail("too deep")
	}
	switch {
	case f.next('['):
		return f.list(depth)
	case f.next('{'):
		return f.object(depth)
	case f.at >= len(f.text):
		return nil, false
	case f.text[f.at] == '"' || f.text[f.at] == '\'':
		return f.quote()
	}
	start := f.at
	for f.at < len(f.text) && !strings.ContainsRune(",[]{}", rune(f.text[f.at])) && !f.colon() {
		f.at++
	}
	plain := strings.TrimSpace(f.text[start:f.at])
	if plain != "" && strings.ContainsRune("&*!|>%@`", rune(plain[0])) {
		f.p.fail("%.20s: anchors, aliases, tags and directives are not read here", plain)
	}
	return resolve(plain), f.at < len(f.text)
}

func (f *flow) colon() bool {
	return f.text[f.at] == ':' && (f.at+1 == len(f.text) || strings.ContainsRune(" \t\n,[]{}", rune(f.text[f.at+1])))
}

func (f *flow) quote() (any, bool) {
	size := quoteEnd(f.text[f.at:])
	if size < 0 {
		return nil, false
	}
	text := f.text[f.at : f.at+size]
	f.at += size
	return f.p.quoted(text), true
}

func (f *flow) list(depth int) (any, bool) {
	list := []any{}
	for !f.next(']') {
		v, done := f.value(depth + 1)
		if !done {
			return nil, false
		}
		list = append(list, v)
		if again, done := f.comma(']'); !done {
			return nil, false
		} else if !again {
			break
		}
	}
	return list, true
}

func (f *flow) object(depth int) (any, bool) {
	m := map[string]any{}
	for !f.next('}') {
		if f.at >= len(f.text) {
			return nil, false
		}
		key, done := f.key()
		if !done {
			return nil, false
		}
		if _, twice := m[key]; twice {
			f.p.fail("key %q is there twice", key)
		}
		v, done := f.value(depth + 1)
		if !done {
			return nil, false
		}
		m[key] = v
		if again, done := f.comma('}'); !done {
			return nil, false
		} else if !again {
			break
		}
	}
	return m, true
}

func (f *flow) key() (string, bool) {
	if c := f.text[f.at]; c == '"' || c == '\'' {
		v, done := f.quote()
		if !done {
			return "", false
		}
		if !f.next(':') {
			if f.at < len(f.text) {
				f.p.fail("KEY: VALUE is wanted in { }")
			}
			return "", false
		}
		return v.(string), true
	}
	start := f.at
	for f.at < len(f.text) && !f.colon() {
		if strings.ContainsRune(",[]{}", rune(f.text[f.at])) {
			f.p.fail("KEY: VALUE is wanted in { }")
		}
		f.at++
	}
	if f.at >= len(f.text) {
		return "", false
	}
	key := f.p.key(f.text[start:f.at])
	f.at++
	return key, true
}

// comma is between two values; close ends them.
func (f *flow) comma(close byte) (again, done bool) {
	if f.next(',') {
		return true, true
	}
	if f.next(close) {
		return false, true
	}
	if f.at < len(f.text) {
		f.p.fail("%.20q: a comma or %q is wanted", f.text[f.at:], close)
	}
	return false, false
}
