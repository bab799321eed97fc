package flags

import (
	"fmt"
	"strings"
)

// Usage is a line for each flag, aligned.
func (s *Set) Usage() string {
	var heads []string
	width := 0
	for _, f := range s.all {
		head := f.head()
		heads = append(heads, head)
		width = max(width, len(head))
	}
	var b strings.Builder
	for i, f := range s.all {
		fmt.Fprintf(&b, "%-*s   %s%s\n", width, heads[i], f.Usage, f.defaults())
	}
	return b.String()
}

func (f *Flag) head() string {
	head := "      --" + f.Name
	if f.Short != "" {
		head = "  -" + f.Short + ", --" + f.Name
	}
	if f.Kind != Bool {
		head += " " + string(f.Kind)
	}
	return head
}

func (f *Flag) defaults() string {
	switch {
	case f.Kind == Bool && f.Default == "true":
		return " (default true)"
	case f.Kind == Text && f.Default != "":
		return fmt.Sprintf(" (default %q)", f.Default)
	}
	return ""
}
