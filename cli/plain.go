package cli

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
)

// plainFormat is a template that names fields alone, which most do: it needs no
// template's engine, which takes twenty times as long a row.
type plainFormat struct {
	texts, names []string // a text before each name, and one at the end
}

// plain gives not ok for what has to be left to the engine, errors included.
func (l listing[T]) plain(format string) (p plainFormat, ok bool) {
	rest := unescape(format)
	for {
		text, after, more := strings.Cut(rest, "{{")
		p.texts = append(p.texts, text)
		if !more {
			return p, true
		}
		name, rested, ended := strings.Cut(after, "}}")
		name, dot := strings.CutPrefix(strings.Trim(name, " "), ".")
		if _, known := l.columns[name]; !known || !dot || !ended {
			return p, false
		}
		p.names, rest = append(p.names, name), rested
	}
}

// rows appends a line of each, and says in how many of them a value has what a
// tabwriter would take for its own.
func (l listing[T]) rows(b []byte, p plainFormat, rows []T) (lines []byte, odd int, ok bool) {
	values := make([]func(T) any, len(p.names))
	for n, name := range p.names {
		values[n] = l.columns[name].value
	}
	for _, row := range rows {
		for n, value := range values {
			b = append(b, p.texts[n]...)
			from := len(b)
			switch v := value(row).(type) {
			case string:
				b = append(b, v...)
			case int:
				b = strconv.AppendInt(b, int64(v), 10)
			case int64:
				b = strconv.AppendInt(b, v, 10)
			case bool:
				b = strconv.AppendBool(b, v)
			case time.Time:
				b = append(b, v.String()...)
			default:
				return nil, 0, false
			}
			if bytes.ContainsAny(b[from:], "\t\n\v\f") {
				odd++
			}
		}
		b = append(append(b, p.texts[len(values)]...), '\n')
	}
	return b, odd, true
}

// printPlain prints rows without the engine, or nothing.
func (l listing[T]) printPlain(w io.Writer, format string, table bool, rows []T) (done bool, err error) {
	p, ok := l.plain(format)
	if !ok {
		return false, nil
	}
	var b []byte
	if table && !l.noHead {
		for n, name := range p.names {
			b = append(append(b, p.texts[n]...), l.columns[name].head...)
		}
		b = append(append(b, p.texts[len(p.names)]...), '\n')
	}
	b, odd, ok := l.rows(b, p, rows)
	if !ok {
		return false, nil
	}
	switch {
	case !table:
	case odd > 0 || strings.ContainsAny(strings.Join(p.texts, ""), "\n\v\f"):
		var aligned bytes.Buffer
		columns := newColumns(&aligned)
		_, _ = columns.Write(b)
		_ = columns.Flush()
		b = aligned.Bytes()
	default:
		b = align(b)
	}
	_, err = w.Write(b)
	return true, err
}

const leastWidth, between = 10, 2 // of a column, and the spaces after it

func newColumns(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, leastWidth, 1, between, ' ', 0)
}

// align is newColumns for lines with the same number of cells.
func align(lines []byte) []byte {
	var widths []int
	cells := func(visit func(column int, cell []byte, last bool)) {
		column, from := 0, 0
		for n, c := range lines {
			if c == '\t' || c == '\n' {
				visit(column, lines[from:n], c == '\n')
				column, from = column+1, n+1
			}
			if c == '\n' {
				column = 0
			}
		}
	}
	size := len(lines)
	cells(func(column int, cell []byte, last bool) {
		if column == len(widths) {
			widths = append(widths, leastWidth)
		}
		if !last {
			widths[column] = max(widths[column], utf8.RuneCount(cell)+between)
			size += widths[column]
		}
	})
	b := make([]byte, 0, size)
	cells(func(column int, cell []byte, last bool) {
		if b = append(b, cell...); last {
			b = append(b, '\n')
			return
		}
		for n := widths[column] - utf8.RuneCount(cell); n > 0; n-- {
			b = append(b, ' ')
		}
	})
	return b
}
