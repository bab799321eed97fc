package storage

import (
	"errors"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

func TestSecret(t *testing.T) {
	d := Dirs{Data: t.TempDir()}
	data := "one\n\ntwo\x00\n"
	s := &Secret{Name: "s", Labels: []string{"a=b\n"}, Data: []byte(data)}
	if err := d.CreateSecret(s, false); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path.Join(d.secrets(), "s")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := d.CreateSecret(&Secret{Name: "s", Data: []byte("x")}, false); !errors.Is(err, ErrSecretExists) {
		t.Errorf("a second one: %v", err)
	}
	for _, ref := range []string{"s", s.ID, s.ID[:4]} {
		got, err := d.FindSecret(ref)
		if err != nil || string(got.Data) != data || !slices.Equal(got.Labels, s.Labels) || !got.Created.Equal(s.Created) {
			t.Errorf("%s: %+v, %v", ref, got, err)
		}
	}
	other := &Secret{Name: "s", Data: []byte("new")}
	if err := d.CreateSecret(other, true); err != nil || other.ID != s.ID || !other.Created.Equal(s.Created) || !other.Updated.After(s.Updated) {
		t.Errorf("replaced: %+v, %v", other, err)
	}
	if list, err := d.Secrets(); err != nil || len(list) != 1 || string(list[0].Data) != "new" {
		t.Errorf("%v, %v", list, err)
	}
	if err := d.RemoveSecret(s); err != nil {
		t.Error(err)
	}
	if _, err := d.FindSecret("s"); !errors.Is(err, ErrNoSecret) {
		t.Error(err)
	}
}

func TestSecretRefused(t *testing.T) {
	d := Dirs{Data: t.TempDir()}
	for name, data := range map[string]string{"": "x", "..": "x", "a/b": "x", ".a": "x", "empty": "", "large": strings.Repeat("x", MaxSecret), strings.Repeat("a", 201): "x"} {
		if err := d.CreateSecret(&Secret{Name: name, Data: []byte(data)}, true); err == nil {
			t.Errorf("%q was kept", name)
		}
		if _, err := d.FindSecret(name); !errors.Is(err, ErrNoSecret) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
