package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

const (
	idA = "aaaa000000000000000000000000000000000000000000000000000000000000"
	idB = "aaab000000000000000000000000000000000000000000000000000000000000"
)

func record(t *testing.T, d Dirs, id string, names, aliases []string) {
	t.Helper()
	img := &Image{ID: id, Digest: "sha256:" + id, Layers: []string{"/layers/" + id}, Config: json.RawMessage(`{"os":"linux"}`), Size: 7}
	if err := d.Record(img, names, aliases); err != nil {
		t.Fatal(err)
	}
}

func lookup(t *testing.T, d Dirs, ref string) string {
	t.Helper()
	img, err := d.Lookup(ref)
	if errors.Is(err, ErrNoImage) {
		return ""
	}
	if err != nil {
		t.Errorf("Lookup(%q): %v", ref, err)
		return ""
	}
	defer img.Close()
	return img.ID
}

func TestLookup(t *testing.T) {
	d := testDirs(t)
	if got := lookup(t, d, "alpine"); got != "" {
		t.Errorf("empty store has %s", got)
	}
	record(t, d, idA, []string{"docker.io/library/alpine:latest"}, []string{"alpine"})
	record(t, d, idB, []string{"quay.io/team/tool:1.0", "quay.io/team/tool@sha256:" + idB}, []string{"tool:1.0"})
	for ref, want := range map[string]string{
		"alpine": idA, "alpine:latest": idA, "library/alpine": idA, "docker.io/alpine": idA,
		"docker.io/library/alpine": idA, "docker.io/library/alpine:latest": idA,
		"tool:1.0": idB, "quay.io/team/tool:1.0": idB, "quay.io/team/tool@sha256:" + idB: idB,
		"tool": "", "quay.io/team/tool": "", "alpine:3": "", "quay.io/alpine": "",
		idA: idA, "sha256:" + idB: idB, idB[:12]: idB, "aaa0": "", "AAAA": "",
		"": "", ".": "", "..": "", "../images/" + idA: "", "/etc/passwd": "", "a\x00b": "", strings.Repeat("x", 300): "",
	} {
		if got := lookup(t, d, ref); got != want {
			t.Errorf("Lookup(%q) = %q, want %q", ref, got, want)
		}
	}
	if _, err := d.Lookup("aaa"); err == nil || errors.Is(err, ErrNoImage) {
		t.Errorf("beginning of two ids: %v", err)
	}
}

func TestLookupContent(t *testing.T) {
	d := testDirs(t)
	record(t, d, idA, []string{"docker.io/library/alpine:latest"}, nil)
	img, err := d.Lookup("alpine")
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	if img.Size != 7 || string(img.Config) != `{"os":"linux"}` || !slices.Equal(img.Layers, []string{"/layers/" + idA}) {
		t.Errorf("image read back: %+v", img)
	}
}

// TestRetag: an alias leads where its name leads, and a name moves.
// An image that is found by another manifest keeps the digest of the first, also
// while it is in use; both lead to it until it is removed.
func TestKeepDigest(t *testing.T) {
	d := testDirs(t)
	const name, first, second = "quay.io/team/tool:1", "sha256:" + idA, "sha256:" + idB
	id := strings.Repeat("c", 64)
	enter := func(digest string) {
		t.Helper()
		img := &Image{ID: id, Digest: digest, Config: json.RawMessage(`{}`)}
		if err := errors.Join(d.KeepDigest(img), d.Record(img, []string{name}, nil)); err != nil {
			t.Fatal(err)
		}
		if img.Digest != first {
			t.Errorf("the digest is %s", img.Digest)
		}
	}
	enter(first)
	held, err := d.Lookup(id)
	if err != nil {
		t.Fatal(err)
	}
	enter(second)
	held.Close()
	enter(second)
	enter(first)
	for _, digest := range []string{first, second} {
		if got := lookup(t, d, "tool@"+digest); got != id {
			t.Errorf("%s leads to %q", digest, got)
		}
	}
	list, err := d.Images()
	if err != nil || len(list) != 1 || !slices.Equal(list[0].Digests, []string{second}) || !list[0].HasDigest(first) || !list[0].HasDigest(second) {
		t.Errorf("%+v, %v", list, err)
	}
	if err := d.Forget(id); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(d.digests()); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// The whole id of an image is never another's name.
func TestLookupID(t *testing.T) {
	d := testDirs(t)
	record(t, d, idA, []string{"quay.io/a:1"}, nil)
	record(t, d, idB, []string{"localhost/" + idA + ":latest", "localhost/sha256:" + idA, "localhost/" + idA[:12] + ":latest"}, []string{"sha256:" + idA, idA})
	for ref, want := range map[string]string{idA: idA, "sha256:" + idA: idA, idA[:12]: idB, "localhost/" + idA: idB, "localhost/sha256:" + idA: idB} {
		if got := lookup(t, d, ref); got != want {
			t.Errorf("Lookup(%q) = %q, want %q", ref, got, want)
		}
	}
	if full, err := d.FullName("sha256:" + idA); !errors.Is(err, ErrNoImage) {
		t.Errorf("FullName: %s, %v", full, err)
	}
}

func TestRetag(t *testing.T) {
	d := testDirs(t)
	const name = "docker.io/library/alpine:latest"
	record(t, d, idA, []string{name}, []string{"alpine"})
	record(t, d, idB, []string{name}, nil)
	if got := lookup(t, d, "alpine"); got != idB {
		t.Errorf("the alias leads to %s after its name moved", got)
	}
	list, err := d.Images()
	if err != nil || len(list) != 2 {
		t.Fatalf("Images: %v, %v", list, err)
	}
	for _, img := range list {
		if want := map[string][]string{idA: nil, idB: {name}}[img.ID]; !slices.Equal(img.Names, want) {
			t.Errorf("%s has the names %q, want %q", img.ID, img.Names, want)
		}
	}
	if full, err := d.FullName("alpine"); err != nil || full != name {
		t.Errorf("FullName: %q, %v", full, err)
	}
	if err := d.Untag(name); err != nil {
		t.Fatal(err)
	}
	if got := lookup(t, d, "alpine"); got != "" {
		t.Errorf("the alias outlives its name: %s", got)
	}
}

// TestForgetInUse: who holds an image keeps it, whatever is recorded meanwhile.
func TestForgetInUse(t *testing.T) {
	d := testDirs(t)
	record(t, d, idA, []string{"a:1"}, nil)
	img, err := d.Lookup("a:1")
	if err != nil {
		t.Fatal(err)
	}
	again := &Image{ID: idA, Digest: "sha256:" + idB, Layers: img.Layers, Config: img.Config}
	if err := d.Record(again, []string{"b:1"}, nil); err != nil {
		t.Fatal(err)
	}
	if got := lookup(t, d, "b:1"); got != idA {
		t.Errorf("the new name leads to %q", got)
	}
	if err := d.Forget(idA); !errors.Is(err, ErrInUse) {
		t.Errorf("Forget of an image in use: %v", err)
	}
	if err := errors.Join(img.Close(), img.Close()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := d.Forget(idA); err != nil {
		t.Errorf("Forget: %v", err)
	}
	if got := lookup(t, d, idA[:12]); got != "" {
		t.Errorf("forgotten, but found: %s", got)
	}
	if err := d.Forget(idA); err != nil {
		t.Errorf("second Forget: %v", err)
	}
}

// TestLookupWhileRecording: an entry that is replaced is there all the time.
func TestLookupWhileRecording(t *testing.T) {
	d := testDirs(t)
	record(t, d, idA, []string{"a:1"}, nil)
	var stop atomic.Bool
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			for !stop.Load() {
				if got := lookup(t, d, "a:1"); got != idA {
					t.Errorf("Lookup while recording: %q", got)
					return
				}
			}
		})
	}
	for i := range 300 {
		img := &Image{ID: idA, Digest: fmt.Sprint(i), Config: json.RawMessage(`{}`)}
		if err := d.Record(img, []string{"a:1"}, nil); err != nil {
			t.Error(err)
		}
	}
	stop.Store(true)
	group.Wait()
	entries, err := os.ReadDir(d.images())
	if err != nil || len(entries) != 1 {
		t.Errorf("the index holds %v, %v", entries, err)
	}
}

func TestLookupBroken(t *testing.T) {
	d := testDirs(t)
	record(t, d, idA, []string{"a:1"}, nil)
	if err := os.WriteFile(filepath.Join(d.images(), idA+suffix), []byte(`{"id":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Lookup("a:1"); err == nil || !strings.Contains(err.Error(), "rl system check --repair") {
		t.Errorf("broken entry: %v", err)
	}
}

func FuzzEscape(f *testing.F) {
	for _, seed := range []string{"alpine", "docker.io/library/a:1", "%2F", "a%25/b", "a%252Fb"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		name := escape(ref)
		if strings.Contains(name, "/") {
			t.Errorf("escape(%q) = %q is no file name", ref, name)
		}
		if got := unescape(name); got != ref {
			t.Errorf("unescape(escape(%q)) = %q", ref, got)
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	d := Dirs{Data: b.TempDir()}
	img := &Image{ID: idA, Config: json.RawMessage(`{"os":"linux","history":"` + strings.Repeat("x", 4000) + `"}`)}
	if err := d.Record(img, []string{"docker.io/library/alpine:latest"}, []string{"alpine"}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		img, err := d.Lookup("alpine")
		if err != nil {
			b.Fatal(err)
		}
		img.Close()
	}
}
