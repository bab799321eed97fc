package cli

import (
	"bytes"
	"fmt"
	"testing"
	"time"
)

// What is printed without the engine is what the engine prints.
func TestPlain(t *testing.T) {
	type row struct {
		a string
		b any
	}
	l := listing[row]{columns: map[string]column[row]{"A": {"FIRST", func(r row) any { return r.a }}, "Bee": {"SECOND ONE", func(r row) any { return r.b }}}}
	rows := []row{{"", 1}, {"ä wide column of <text> & more", int64(-2)}, {"c", true}, {"d", time.Unix(5, 0).UTC()}, {"e", "%d"}}
	odd := append([]row{{"two\nlines", "and a\ttab"}, {"x", ""}}, rows...)
	for _, format := range []string{"{{.A}}\t{{.Bee}}", "{{.A}}\t{{.Bee}}\t{{.A}}", `{{ .Bee }}\t{{.A}}\n`, "{{.A}}", "a {{.Bee}} b{{.A}}\tc\t", "text", `{{.A}}\n{{.Bee}}`, "", "{{.A}}\v{{.Bee}}"} {
		for n, rows := range [][]row{rows, odd, nil} {
			for _, table := range []bool{true, false} {
				for _, l.noHead = range []bool{true, false} {
					var want, got bytes.Buffer
					err := l.printTemplate(&want, format, table, rows)
					done, plainErr := l.printPlain(&got, format, table, rows)
					if err != nil || plainErr != nil || !done || got.String() != want.String() {
						t.Errorf("%q of rows %d, table %v: %v %v\n%s\nwant %v\n%s", format, n, table, done, plainErr, got.String(), err, want.String())
					}
				}
			}
		}
	}
	for _, format := range []string{"{{.C}}", "{{.A", "{{A}}", "{{json .A}}", "{{.A.B}}", "{{.}}", "{{- .A}}", "{{/* .A */}}", `{{"}}"}}`, "{{..A}}", `{{.Label "A"}}`} {
		if done, err := l.printPlain(&bytes.Buffer{}, format, false, rows); done || err != nil {
			t.Errorf("%q: %v, %v", format, done, err)
		}
	}
	if done, _ := l.printPlain(&bytes.Buffer{}, "{{.Bee}}", false, []row{{"", fmt.Errorf("x")}}); done {
		t.Error("a value of another type was printed")
	}
}
