package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// printYAML prints what JSON would show as YAML 1.2, with sorted keys: podman's
// form of info.
func printYAML(w io.Writer, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	raw, err := plain(text)
	if err != nil {
		return err
	}
	var b strings.Builder
	writeYAML(&b, raw, "")
	_, err = io.WriteString(w, strings.TrimPrefix(b.String(), "\n"))
	return err
}

// writeYAML writes what follows a key and its colon.
func writeYAML(b *strings.Builder, v any, indent string) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			b.WriteString(" {}\n")
			return
		}
		b.WriteString("\n")
		for _, key := range slices.Sorted(maps.Keys(v)) {
			b.WriteString(indent + yamlText(key) + ":")
			writeYAML(b, v[key], indent+"  ")
		}
	case []any:
		if len(v) == 0 {
			b.WriteString(" []\n")
			return
		}
		b.WriteString("\n")
		for _, one := range v {
			var item strings.Builder
			writeYAML(&item, one, indent)
			b.WriteString(strings.TrimSuffix(indent, "  ") + "- " + strings.TrimLeft(item.String(), " \n"))
		}
	case string:
		b.WriteString(" " + yamlText(v) + "\n")
	case nil:
		b.WriteString(" null\n")
	default:
		fmt.Fprintf(b, " %v\n", v)
	}
}

// yamlPlain is text that needs no quotes: it cannot be taken for something else.
var yamlPlain = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./+(), @=-]*(:[A-Za-z0-9_./+(),@=-][A-Za-z0-9_./+(), @=-]*)*$`)
})

func yamlText(text string) string {
	switch strings.ToLower(text) {
	case "null", "true", "false", "yes", "no", "on", "off", "y", "n":
		return strconv.Quote(text)
	}
	if yamlPlain().MatchString(text) && strings.TrimSpace(text) == text {
		return text
	}
	return strconv.Quote(text)
}
