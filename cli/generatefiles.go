package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"containers/rl/cli/units"
)

// write prints the units, or the paths of the files that they are written to.
func (g *generation) write(s Streams, list []*units.Service) error {
	texts := map[string]string{}
	for _, u := range list {
		texts[u.Name] = u.String()
		if !g.files {
			continue
		}
		file, err := filepath.Abs(u.Name + ".service")
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(texts[u.Name]), 0o644); err != nil {
			return fmt.Errorf("generating systemd unit files: %w", err)
		}
		texts[u.Name] = file + "\n"
	}
	if g.format == "json" {
		return printUnits(s, texts, g.files)
	}
	for _, u := range list {
		if _, err := fmt.Fprint(s.Out, texts[u.Name]); err != nil {
			return err
		}
	}
	return nil
}

func printUnits(s Streams, texts map[string]string, files bool) error {
	if files {
		for name, text := range texts {
			texts[name] = strings.TrimSuffix(text, "\n")
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	err := e.Encode(texts)
	if err == nil {
		_, err = s.Out.Write(b.Bytes())
	}
	return err
}
