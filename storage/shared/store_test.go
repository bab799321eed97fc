package shared

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"containers/rl/storage"
)

// graph writes a graph root as containers/storage does: images of one layer each.
type graph struct {
	t      *testing.T
	root   string
	images []map[string]any
	layers []map[string]any
}

func newGraph(t *testing.T) *graph { return &graph{t: t, root: t.TempDir()} }

func (g *graph) write(name string, content []byte) {
	g.t.Helper()
	file := filepath.Join(g.root, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		g.t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// add gives the id of an image whose layer holds what is called diff.
func (g *graph) add(diff string, names ...string) string {
	g.t.Helper()
	d := digest.FromString(diff)
	config := fmt.Appendf(nil, `{"created":"2020-01-02T03:04:05Z","config":{"User":"u"},"rootfs":{"type":"layers","diff_ids":[%q]}}`, d)
	id := digest.FromBytes(config).Encoded()
	g.images = append(g.images, map[string]any{"id": id, "digest": digest.FromString("manifest of " + id), "names": names, "layer": d.Encoded()})
	g.layers = append(g.layers, map[string]any{"id": d.Encoded(), "diff-digest": d, "diff-size": 1000})
	g.write("overlay-images/"+id+"/="+base64.StdEncoding.EncodeToString([]byte("sha256:"+id)), config)
	g.write("overlay-images/"+id+"/manifest", []byte("manifest of "+id))
	g.write("overlay/"+d.Encoded()+"/link", []byte("LINK"+diff))
	g.write("overlay/"+d.Encoded()+"/diff/file", nil)
	g.write("overlay-layers/"+d.Encoded()+".tar-split.gz", nil)
	if err := os.MkdirAll(filepath.Join(g.root, "overlay/l"), 0o700); err != nil {
		g.t.Fatal(err)
	}
	if err := os.Symlink("../"+d.Encoded()+"/diff", filepath.Join(g.root, "overlay/l/LINK"+diff)); err != nil {
		g.t.Fatal(err)
	}
	return id
}

func (g *graph) open() (*Store, error) {
	g.t.Helper()
	for file, list := range map[string]any{"overlay-images/images.json": g.images, "overlay-layers/layers.json": g.layers} {
		text, err := json.Marshal(list)
		if err != nil {
			g.t.Fatal(err)
		}
		g.write(file, text)
	}
	return read(g.root)
}

func TestFind(t *testing.T) {
	g := newGraph(t)
	one := g.add("one", "docker.io/library/alpine:latest", "site.example/x/tool:2", "bad\x1bname")
	two := g.add("two", "quay.io/team/alpine:latest")
	s, err := g.open()
	if err != nil {
		t.Fatal(err)
	}
	set := Set{s}
	for ref, want := range map[string][2]string{
		"alpine": {one, "docker.io/library/alpine:latest"}, "docker.io/library/alpine": {one, "docker.io/library/alpine:latest"},
		"tool:2": {one, "site.example/x/tool:2"}, "team/alpine": {two, "quay.io/team/alpine:latest"}, two[:12]: {two, ""}, "sha256:" + one: {one, ""},
		"alpine@" + digest.FromString("manifest of "+two).String(): {two, "quay.io/team/alpine:latest"},
		"tool": {}, "alpine:3": {}, "nosuch": {}, "bad\x1bname": {}, "alpine@sha256:" + strings.Repeat("0", 64): {},
	} {
		img, name, err := set.Find(ref)
		switch {
		case want[0] == "":
			if !errors.Is(err, storage.ErrNoImage) {
				t.Errorf("Find(%q) = %v, %v", ref, img, err)
			}
		case err != nil || img.ID != want[0] || name != want[1]:
			t.Errorf("Find(%q) = %v, %q, %v", ref, img, name, err)
		}
	}
	img := set.ByID(one)
	if dirs := img.Dirs(); len(dirs) != 1 || dirs[0] != g.root+"/overlay/l/LINKone" || img.Size != 1000 || img.Settings.User != "u" || img.Store != g.root || img.Created.Year() != 2020 {
		t.Errorf("%v %+v", dirs, img.Image)
	}
	if text, err := img.Manifest(); string(text) != "manifest of "+one || err != nil {
		t.Errorf("Manifest = %q, %v", text, err)
	}
	if l, ok := set.Layer(digest.FromString("two").String()); !ok || l.Split == "" || l.Frame != "" || l.Dir != filepath.Join(g.root, "overlay", digest.FromString("two").Encoded(), "diff") {
		t.Errorf("Layer = %+v, %v", l, ok)
	}
}

// TestForged: a record that names other layers or another configuration than the
// id does, or paths, makes no image that could be used.
func TestForged(t *testing.T) {
	for what, forge := range map[string]func(g *graph, id string){
		"another configuration": func(g *graph, id string) {
			g.write("overlay-images/"+id+"/="+base64.StdEncoding.EncodeToString([]byte("sha256:"+id)), []byte(`{}`))
		},
		"no layer":            func(g *graph, _ string) { g.layers = nil },
		"another layer":       func(g *graph, _ string) { g.layers[0]["diff-digest"] = digest.FromString("x") },
		"a circle":            func(g *graph, _ string) { g.layers[0]["parent"] = g.layers[0]["id"] },
		"a path for a layer":  func(g *graph, _ string) { g.layers[0]["id"], g.images[0]["layer"] = "../../etc", "../../etc" },
		"a path for an image": func(g *graph, _ string) { g.images[0]["id"] = "../x" },
		"a fifo": func(g *graph, id string) {
			name := filepath.Join(g.root, "overlay-images", id, "="+base64.StdEncoding.EncodeToString([]byte("sha256:"+id)))
			if err := errors.Join(os.Remove(name), mkfifo(name)); err != nil {
				g.t.Fatal(err)
			}
		},
	} {
		g := newGraph(t)
		id := g.add("one", "docker.io/library/alpine:latest")
		forge(g, id)
		s, err := g.open()
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if img, _, err := (Set{s}).Find("alpine"); err == nil || (Set{s}).ByID(id) != nil {
			t.Errorf("%s: %+v", what, img)
		}
	}
}

// TestLinkElsewhere: a short name that leads elsewhere is not mounted.
func TestLinkElsewhere(t *testing.T) {
	g := newGraph(t)
	id := g.add("one")
	link := filepath.Join(g.root, "overlay/l/LINKone")
	if err := errors.Join(os.Remove(link), os.Symlink("/etc", link)); err != nil {
		t.Fatal(err)
	}
	s, err := g.open()
	if err != nil {
		t.Fatal(err)
	}
	if dirs := (Set{s}).ByID(id).Dirs(); dirs[0] != filepath.Join(g.root, "overlay", digest.FromString("one").Encoded(), "diff") {
		t.Errorf("Dirs = %v", dirs)
	}
}

func TestOpen(t *testing.T) {
	good, vfs, broken, empty := newGraph(t), newGraph(t), newGraph(t), newGraph(t)
	good.add("one", "x:1")
	good.images = append(good.images, good.images[0], good.images[0]) // a record that is repeated is one
	if _, err := good.open(); err != nil {
		t.Fatal(err)
	}
	vfs.write("vfs-images/images.json", nil)
	broken.write("overlay-images/images.json", []byte("nonsense"))
	roots := strings.Join([]string{vfs.root, broken.root, empty.root, "/nosuch", good.root}, ",")
	set, failed := Open(func(name string) string { return map[string]string{OptionsVariable: "imagestore=" + roots}[name] }, "/own")
	if len(set) != 1 || len(set[0].Images) != 1 || len(failed) != 4 {
		t.Fatalf("%d stores, %v", len(set), failed)
	}
	for i, want := range []string{"its driver is vfs", "reading " + broken.root, "it is neither", "no such file"} {
		if !strings.Contains(failed[i].Error(), want) || !strings.Contains(failed[i].Error(), "is passed over") {
			t.Errorf("failure %d: %v", i, failed[i])
		}
	}
	if set, failed := Open(func(string) string { return "imagestore=" + good.root }, good.root); len(set)+len(failed) != 0 {
		t.Errorf("our own store is one of others: %v %v", set, failed)
	}
}
