package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	// The standard library's, but for calls of methods by name: for those the
	// linker keeps all methods of all types, a fifth of the binary.
	template "github.com/DataDog/datadog-agent/pkg/template/text"
)

// column is a field that a template of --format can name.
type column[T any] struct {
	head  string
	value func(T) any
}

// listing prints rows in the ways that docker's and podman's --format knows:
// nothing for a table, "table TEMPLATE", "json", or a template a row.
type listing[T any] struct {
	table   string // the template of the table without --format
	columns map[string]column[T]
	labels  func(T) map[string]string // for .Label "NAME"; or nil
	noHead  bool
}

// print takes whole as what json shows of all rows.
func (l listing[T]) print(w io.Writer, format string, rows []T, whole any) error {
	if format == "json" {
		return printJSON(w, whole)
	}
	table := format == "" || strings.HasPrefix(format, "table")
	if text := strings.TrimSpace(strings.TrimPrefix(format, "table")); format == "" || text == "" {
		format = l.table
	} else if table {
		format = strings.ReplaceAll(text, "}} {{", "}}\t{{") // as podman has it
	}
	if done, err := l.printPlain(w, format, table, rows); done {
		return err
	}
	return l.printTemplate(w, format, table, rows)
}

func (l listing[T]) printTemplate(w io.Writer, format string, table bool, rows []T) error {
	one, err := parseTemplate(format)
	if err != nil {
		return err
	}
	if !table {
		out := bufio.NewWriter(w)
		return errors.Join(l.each(out, one, format, rows), out.Flush())
	}
	out := bufio.NewWriter(w) // a tabwriter writes each cell, and each space before it
	columns := newColumns(out)
	if !l.noHead {
		if err := execute(columns, one, l.heads()); err != nil {
			return err
		}
	}
	if err := l.each(columns, one, format, rows); err != nil {
		return err
	}
	return errors.Join(columns.Flush(), out.Flush())
}

func (l listing[T]) heads() map[string]any {
	heads := map[string]any{}
	for name, c := range l.columns {
		heads[name] = c.head
	}
	return heads
}

// each computes what the template names alone: some of it has to be read.
func (l listing[T]) each(w io.Writer, one *template.Template, format string, rows []T) error {
	all := namesAll(format)
	for _, row := range rows {
		fields := map[string]any{}
		for name, c := range l.columns {
			if all || strings.Contains(format, "."+name) {
				fields[name] = c.value(row)
			}
		}
		if l.labels != nil && strings.Contains(format, labelCall) {
			fields[labelsOf] = l.labels(row)
		}
		if err := execute(w, one, fields); err != nil {
			return err
		}
	}
	return nil
}

func execute(w io.Writer, one *template.Template, data any) error {
	if err := one.Execute(w, data); err != nil {
		return fmt.Errorf("--format: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// namesField says whether a template names a field itself.
func namesField(format, name string) bool {
	return strings.Contains(format, "."+name)
}

// namesAll: a dot alone is the whole row.
func namesAll(format string) bool { return regexp.MustCompile(`[ {(|]\.[ })|]`).MatchString(format) }

const (
	labelCall = ".Label "           // calls a method elsewhere
	labelsOf  = "labels of the row" // no name that a template can give
)

// unescape reads \t and \n as the shell leaves them.
func unescape(text string) string {
	text = strings.TrimSuffix(strings.TrimSuffix(text, "\n"), `\n`) // each row ends so
	return strings.NewReplacer(`\t`, "\t", `\n`, "\n").Replace(text)
}

// parseTemplate knows docker's functions. A field that is not there is an error.
func parseTemplate(text string) (*template.Template, error) {
	given := text
	text = strings.ReplaceAll(unescape(text), labelCall, "label . ")
	one, err := template.New("format").Option("missingkey=error").Funcs(template.FuncMap{
		"json": func(v any) (string, error) {
			var b strings.Builder
			encoder := json.NewEncoder(&b)
			encoder.SetEscapeHTML(false)
			err := encoder.Encode(v)
			return strings.TrimSuffix(b.String(), "\n"), err
		},
		"label": func(row map[string]any, name string) string {
			labels, _ := row[labelsOf].(map[string]string)
			return labels[name]
		},
		"join":  func(list []string, sep string) string { return strings.Join(list, sep) },
		"split": strings.Split, "lower": strings.ToLower, "upper": strings.ToUpper, "trim": strings.TrimSpace,
		"truncate": func(text string, n int) string { return text[:min(n, len(text))] },
	}).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("--format %s: %w", given, err)
	}
	return one, nil
}

func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "    ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}
