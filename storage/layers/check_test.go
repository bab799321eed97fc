package layers

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"

	"containers/rl/storage"
)

// TestAfterBoot: a layer without image is used again by the next pull, but for the first one after the machine's start:
// its files may not be on the disk.
func TestAfterBoot(t *testing.T) {
	d := testDirs(t.TempDir())
	s := open(t, d)
	base, err := commit(s, "", "base")
	if err != nil {
		t.Fatal(err)
	}
	other := open(t, d)
	if !other.HasLayer(base) {
		t.Error("the layer is not there for who comes next")
	}
	// What a cut leaves: the record, and not the file; nobody has a lock.
	for _, store := range []*Store{s, other} {
		store.users.Close()
		store.users = nil
	}
	if err := errors.Join(os.Truncate(filepath.Join(Diff(d, base.Encoded()), "every"), 0), os.WriteFile(filepath.Join(d.Data, "boot"), []byte("another"), 0o600)); err != nil {
		t.Fatal(err)
	}
	img := mustPull(t, d, "app", "base", "top")
	if img, err = d.Lookup(img.ID); err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	checkImage(t, img, "base", "top")
}

// TestHeal: records that cannot be read are written anew, and the images are as before.
func TestHeal(t *testing.T) {
	d := testDirs(t.TempDir())
	app := mustPull(t, d, "app", "base", "top")
	other := mustPull(t, d, "other", "base", "else")
	before, err := ReadRecords(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range recordFiles {
		if err := os.WriteFile(filepath.Join(d.Graph(), file), []byte("[{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(d); err == nil {
		t.Error("the store can be opened")
	}
	broken := BrokenRecords(d)
	if len(broken) != len(recordFiles) {
		t.Errorf("broken are %v", broken)
	}
	kept := []Kept{keep(t, d, app, "app", "base", "top"), keep(t, d, other, "other", "base", "else")}
	if err := Heal(d, broken, kept); err != nil {
		t.Fatal(err)
	}
	after, err := ReadRecords(d)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range before.Layers {
		got := after.Layers[id]
		if got.Parent != want.Parent || got.UncompressedDigest != want.UncompressedDigest || got.UncompressedSize != want.UncompressedSize {
			t.Errorf("layer %s: %+v, want %+v", id, got, want)
		}
	}
	for id, want := range before.Images {
		got := after.Images[id]
		if got.TopLayer != want.TopLayer || got.Digest != want.Digest || len(got.BigDataDigests) != len(want.BigDataDigests) || len(got.Names) != 1 || got.Names[0] != want.Names[0] {
			t.Errorf("image %s: %+v, want %+v", id, got, want)
		}
	}
	if len(after.Layers) != len(before.Layers) || len(after.Images) != len(before.Images) {
		t.Errorf("%d layers and %d images, want %d and %d", len(after.Layers), len(after.Images), len(before.Layers), len(before.Images))
	}
	mustPull(t, d, "third", "base", "more")
}

func keep(t *testing.T, d storage.Dirs, img *storage.Image, name string, chain ...string) Kept {
	t.Helper()
	manifest, err := Manifest(d, img.ID)
	if err != nil {
		t.Fatal(err)
	}
	img.Names = []string{full(name)}
	k := Kept{Image: img, Manifest: manifest}
	var diffs []digest.Digest
	for _, layer := range chain {
		diffs = append(diffs, diffID(layer))
	}
	k.Chain = Chain(d, diffs)
	for i := range k.Chain {
		k.Chain[i].Size = 100
	}
	return k
}
