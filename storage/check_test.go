package storage

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCheckIndex: an entry that cannot be read is in the way of Images, and of no other entry here.
func TestCheckIndex(t *testing.T) {
	d := Dirs{Data: t.TempDir()}
	record(t, d, idA, []string{"example.org/a:1"}, nil)
	record(t, d, idB, []string{"example.org/b:1"}, nil)
	for _, text := range []string{"", "nonsense", "id " + idA + "\n\n{}"} {
		if err := os.WriteFile(filepath.Join(d.images(), idB+suffix), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		sound, broken, err := d.CheckIndex()
		if err != nil {
			t.Fatal(err)
		}
		if len(sound) != 1 || sound[0].ID != idA || !slices.Equal(sound[0].Names, []string{"example.org/a:1"}) {
			t.Errorf("%q: sound are %v", text, sound)
		}
		if len(broken) != 1 || broken[idB] == nil {
			t.Errorf("%q: broken are %v", text, broken)
		}
		if ids, err := d.IDs(); err != nil || !slices.Equal(ids, []string{idA, idB}) {
			t.Errorf("%q: IDs: %q, %v", text, ids, err)
		}
	}
	if err := os.WriteFile(filepath.Join(d.images(), idB+suffix), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Images(); err == nil || !strings.Contains(err.Error(), "rl system check --repair") {
		t.Errorf("Images: %v", err)
	}
}

// TestClear: what killed writers leave goes, and nothing else.
func TestClear(t *testing.T) {
	d := Dirs{Data: t.TempDir()}
	record(t, d, idA, []string{"example.org/a:1"}, []string{"a", "b"})
	record(t, d, idB, []string{"example.org/b:1", "example.org/b:2"}, []string{"b"})
	if err := os.Mkdir(d.shared(), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{d.images(), d.names(), d.aliases(), d.shared()} {
		// NFS keeps what is open, by the second name.
		if err := errors.Join(os.WriteFile(filepath.Join(dir, ".4711"), nil, 0o600), os.WriteFile(filepath.Join(dir, ".nfs4711"), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(d.images(), idB+suffix)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time nothing is left to do
		if err := d.ClearUnfinished(); err != nil {
			t.Error(err)
		}
		if err := d.ClearNames(); err != nil {
			t.Error(err)
		}
	}
	for dir, want := range map[string][]string{d.images(): {".nfs4711", idA + suffix}, d.names(): {".nfs4711", "example.org%2Fa:1"}, d.aliases(): {".nfs4711", "a", "b"}, d.shared(): {".nfs4711"}} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range entries {
			got = append(got, e.Name())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s holds %q, want %q", dir, got, want)
		}
	}
	if got := lookup(t, d, "a"); got != idA {
		t.Errorf("a is %q", got)
	}
}
