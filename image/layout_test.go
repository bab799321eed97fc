package image

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestLayoutIndex: what an index has stays, but for the name that another image gets.
func TestLayoutIndex(t *testing.T) {
	dir := t.TempDir()
	old, other := digest.FromString("old"), digest.FromString("new")
	entry := func(d digest.Digest, more string) string {
		return `{"digest":"` + d.String() + `","mediaType":"m","size":1` + more + `}`
	}
	named := func(name string) string { return `,"annotations":{"org.opencontainers.image.ref.name":"` + name + `"}` }
	for name, test := range map[string]struct{ there, add, want string }{
		"empty":                   {"", "a", entry(other, named("a"))},
		"another name":            {entry(old, named("b")+`,"later":{"x":[1]}`), "a", entry(old, named("b")+`,"later":{"x":[1]}`) + "," + entry(other, named("a"))},
		"same name":               {entry(old, named("a")) + "," + entry(old, named("b")), "a", entry(old, named("b")) + "," + entry(other, named("a"))},
		"same name and image":     {entry(other, named("a")+`,"later":1`), "a", entry(other, named("a")+`,"later":1`)},
		"second name":             {entry(other, named("b")), "a", entry(other, named("b")) + "," + entry(other, named("a"))},
		"name for one without":    {entry(other, `,"platform":{"os":"x"}`), "a", entry(other, `,"platform":{"os":"x"}`+named("a"))},
		"none beside one without": {entry(old, ""), "", entry(old, "") + "," + entry(other, "")},
		"none twice":              {entry(other, ""), "", entry(other, "")},
		"containerd's name beside": {entry(old, `,"annotations":{"io.containerd.image.name":"x/y:a","org.opencontainers.image.ref.name":"a"}`), "a",
			entry(old, `,"annotations":{"io.containerd.image.name":"x/y:a"}`) + "," + entry(other, named("a"))},
	} {
		t.Run(name, func(t *testing.T) {
			if test.there != "" {
				write(t, filepath.Join(dir, "index.json"), `{"schemaVersion":2,"annotations":{"of":"all"},"unknown":[1],"manifests":[`+test.there+`]}`)
			}
			d := imagespec.Descriptor{MediaType: "m", Digest: other, Size: 1}
			if test.add != "" {
				d.Annotations = map[string]string{imagespec.AnnotationRefName: test.add}
			}
			if err := (SaveOptions{Form: OCIDir, Output: dir}).putIndex(dirSink(dir), []imagespec.Descriptor{d}); err != nil {
				t.Fatal(err)
			}
			want := `{"schemaVersion":2,"annotations":{"of":"all"},"unknown":[1],"manifests":[` + test.want + `]}`
			if test.there == "" {
				want = `{"schemaVersion":2,"mediaType":"` + imagespec.MediaTypeImageIndex + `","manifests":[` + test.want + `]}`
			}
			text, err := os.ReadFile(filepath.Join(dir, "index.json"))
			if err != nil || normal(t, string(text)) != normal(t, want) {
				t.Errorf("%s, %v, want %s", text, err, want)
			}
		})
		os.Remove(filepath.Join(dir, "index.json"))
	}
	for _, text := range []string{"", "{}", "[]", "null", `{"schemaVersion":1}`, `{"schemaVersion":2,"manifests":{}}`} {
		write(t, filepath.Join(dir, "index.json"), text)
		if _, err := (SaveOptions{Form: OCIDir, Output: dir}).layoutThere(); err == nil {
			t.Errorf("%q is taken for an index", text)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// normal has its fields in order.
func normal(t *testing.T, text string) string {
	t.Helper()
	var v any
	err := json.Unmarshal([]byte(text), &v)
	b, _ := json.Marshal(v)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return string(b)
}
