package storage

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// site makes a store of others with one layer, and an image of it.
func site(t *testing.T, id string) (img *Image, list string) {
	t.Helper()
	root := t.TempDir()
	layer := filepath.Join(root, "overlay", "l", id[:8])
	if err := os.MkdirAll(layer, 0o700); err != nil {
		t.Fatal(err)
	}
	list = filepath.Join(root, "images.json")
	if err := os.WriteFile(list, []byte("[]"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &Image{ID: id, Digest: "sha256:" + id, Layers: []string{layer}, Config: []byte(`{"os":"linux"}`), Store: root}, list
}

func adopt(t *testing.T, d Dirs, ref, id, name string) (img *Image, list string) {
	t.Helper()
	img, list = site(t, id)
	if err := errors.Join(d.Adopt(img), d.Remember(ref, id, name, ListStamp(list))); err != nil {
		t.Fatal(err)
	}
	return img, list
}

func TestAdopted(t *testing.T) {
	d := testDirs(t)
	img, list := adopt(t, d, "alpine", idA, "docker.io/library/alpine:latest")
	found, err := d.Lookup("alpine")
	if err != nil || found.Store != img.Store || found.Layers[0] != img.Layers[0] || found.Names[0] != "docker.io/library/alpine:latest" {
		t.Fatalf("Lookup = %+v, %v", found, err)
	}
	found.Close()
	if name, err := d.FullName("alpine"); name != "docker.io/library/alpine:latest" || err != nil {
		t.Errorf("FullName = %q, %v", name, err)
	}
	if names, err := d.Names(); len(names) != 0 || err != nil {
		t.Errorf("the name is another's, but ours are %v, %v", names, err)
	}
	// Their list changes: what a name stands for is not known, what an id is, is.
	if err := os.Chtimes(list, time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if got := lookup(t, d, "alpine"); got != "" {
		t.Errorf("a name of a store that has changed is %s", got)
	}
	if got := lookup(t, d, idA[:12]); got != idA {
		t.Errorf("the id is %q", got)
	}
}

// TestAdoptedPart: the end of a name is for when we have none.
func TestAdoptedPart(t *testing.T) {
	d := testDirs(t)
	adopt(t, d, "tool:1", idA, "site.example/tool:1")
	if got := lookup(t, d, "tool:1"); got != idA {
		t.Errorf("tool:1 is %q", got)
	}
	record(t, d, idB, []string{"quay.io/team/tool:1"}, nil)
	if got := lookup(t, d, "tool:1"); got != idB {
		t.Errorf("our own tool:1 is %q", got)
	}
}

func TestLayerGone(t *testing.T) {
	d := testDirs(t)
	img, _ := adopt(t, d, "alpine", idA, "docker.io/library/alpine:latest")
	if err := os.Remove(img.Layers[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Lookup(idA); err == nil || errors.Is(err, ErrNoImage) || !strings.Contains(err.Error(), "is gone from the read-only store "+img.Store) {
		t.Errorf("Lookup by id: %v", err)
	}
	if _, err := d.Lookup("alpine"); !errors.Is(err, ErrNoImage) { // it is looked for again
		t.Errorf("Lookup by name: %v", err)
	}
	if list, err := d.Images(); len(list) != 1 || err != nil {
		t.Errorf("Images = %v, %v", list, err)
	}
}

// TestOwnLayers: ours take the place of another's, though someone uses those, and
// never the other way round.
func TestOwnLayers(t *testing.T) {
	d := testDirs(t)
	adopt(t, d, "alpine", idA, "docker.io/library/alpine:latest")
	held, err := d.Lookup("alpine")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	record(t, d, idA, []string{"docker.io/library/alpine:latest"}, nil)
	adopt(t, d, "alpine", idA, "docker.io/library/alpine:latest")
	img, err := d.Lookup("alpine")
	if err != nil || img.Store != "" || img.Layers[0] != "/layers/"+idA {
		t.Errorf("Lookup = %+v, %v", img, err)
	}
	img.Close()
}

func TestRememberedNonsense(t *testing.T) {
	d := testDirs(t)
	_, list := adopt(t, d, "alpine", idA, "docker.io/library/alpine:latest")
	for _, target := range []string{"x", idA, idA + " docker.io/library/alpine:latest", idA + " docker.io/library/alpine:latest 1 2 3 /nosuch",
		"../names/x docker.io/library/alpine:latest " + ListStamp(list), idB + " docker.io/library/alpine:latest " + ListStamp(list)} {
		if err := d.link(d.shared(), "alpine", target); err != nil {
			t.Fatal(err)
		}
		if got := lookup(t, d, "alpine"); got != "" {
			t.Errorf("%q leads to %s", target, got)
		}
	}
	if err := d.Remember(strings.Repeat("x", 300), idA, "x", ListStamp(list)); err != nil {
		t.Errorf("a long name: %v", err)
	}
}
