package layers

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// unfinished leaves what a process leaves that is killed while it makes a
// layer: between the making and the writing of the file link.
func unfinished(t *testing.T, graph string) {
	t.Helper()
	id := strings.Repeat("ab", 32)
	dir := filepath.Join(graph, "overlay", id)
	if err := os.MkdirAll(filepath.Join(dir, "diff"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "link"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../gone/diff", filepath.Join(graph, "overlay", "l", "GONE")); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(graph, "overlay-layers", "layers.json")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var layers []map[string]any
	if err := json.Unmarshal(text, &layers); err != nil {
		t.Fatal(err)
	}
	layers = append(layers, map[string]any{"id": id, "created": "2020-01-01T00:00:00Z", "flags": map[string]any{"incomplete": true}})
	if text, err = json.Marshal(layers); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// The short names of other layers survive the removal of an unfinished one.
func TestUnfinishedLayer(t *testing.T) {
	d := testDirs(t.TempDir())
	mustPull(t, d, "app", "base", "top")
	unfinished(t, d.Graph())
	if err := open(t, d).Close(); err != nil {
		t.Error(err)
	}
	img, err := d.Lookup("app")
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	checkImage(t, img, "base", "top")
	if got := stored(t, d); len(got) != 2 {
		t.Errorf("%d layers, want 2: the unfinished one is left", len(got))
	}
	if _, err := os.Lstat(filepath.Join(d.Graph(), "overlay", "l", "GONE")); err == nil {
		t.Error("a short name without a layer is left")
	}
}

// Short names that are gone are made again, as are the files that tell them.
func TestLostLinks(t *testing.T) {
	for name, lose := range map[string]func(overlay, id string) error{
		"names":   func(overlay, _ string) error { return os.RemoveAll(filepath.Join(overlay, "l")) },
		"file":    func(overlay, id string) error { return os.Remove(filepath.Join(overlay, id, "link")) },
		"content": func(overlay, id string) error { return os.Truncate(filepath.Join(overlay, id, "link"), 0) },
	} {
		t.Run(name, func(t *testing.T) { testLostLinks(t, lose) })
	}
}

func testLostLinks(t *testing.T, lose func(overlay, id string) error) {
	d := testDirs(t.TempDir())
	mustPull(t, d, "app", "base", "top")
	if err := lose(filepath.Join(d.Graph(), "overlay"), ChainID("", diffID("base")).Encoded()); err != nil {
		t.Fatal(err)
	}
	if err := open(t, d).Close(); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"app", "other"} {
		if name == "other" { // made of the same layers, by the names that the files tell
			mustPull(t, d, name, "base", "else")
		}
		img, err := d.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		defer img.Close()
		checkImage(t, img, "base", map[string]string{"app": "top", "other": "else"}[name])
	}
}
