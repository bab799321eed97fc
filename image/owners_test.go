package image

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOwnersBelow: what a layer hides is not the image's, however it hides it.
func TestOwnersBelow(t *testing.T) {
	file := func(name string) entry { return entry{name: name, kind: tar.TypeReg, body: "x"} }
	lowest := layerOf(t, file("d/f"), file("d/sub/f"), file("kept/f"))
	for name, upper := range map[string][]entry{
		"nothing":       nil,
		"whiteout":      {file(".wh.d")},
		"opaque":        {file("d/.wh..wh..opq")},
		"file":          {file("d")},
		"link":          {{name: "d", kind: tar.TypeSymlink, link: "kept"}},
		"opaque, deep":  {file("d/.wh..wh..opq"), file("d/sub/g")},
		"another in it": {file("d/sub/g")},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := openOwners([2]uint32{}, []string{layerOf(t, upper...), lowest})
			if err != nil {
				t.Fatal(err)
			}
			defer o.close()
			shown := name == "nothing" || name == "another in it"
			for file, want := range map[string]bool{"d/f": shown, "d/sub/f": shown, "kept/f": true, "none/f": false} {
				if _, _, ok := o.below(file); ok != want {
					t.Errorf("%s: %v, want %v", file, ok, want)
				}
			}
		})
	}
	t.Run("marks of the archive", func(t *testing.T) {
		marked := t.TempDir()
		if err := os.WriteFile(filepath.Join(marked, ".wh.d"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		o, err := openOwners([2]uint32{}, []string{marked, lowest})
		if err != nil {
			t.Fatal(err)
		}
		defer o.close()
		if _, _, ok := o.below("d/sub/f"); ok {
			t.Error("what is hidden is found")
		}
	})
}

func layerOf(t *testing.T, entries ...entry) string {
	t.Helper()
	dir, err := unpackIn(t, archive(t, entries...))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestPackOpaque: what an opaque directory has is not the image's either.
func TestPackOpaque(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"new/sub", "old"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Setxattr(filepath.Join(root, "new"), "user.overlay.opaque", []byte("y"), 0); err != nil {
		t.Skip(err)
	}
	asked := map[string]bool{}
	w := tar.NewWriter(&bytes.Buffer{})
	err := Pack(w, unix.AT_FDCWD, root, PackOptions{Name: ".", Layer: true, Owner: func(name string, _, _ uint32) (int, int) {
		asked[name] = true
		return 0, 0
	}})
	if err != nil {
		t.Fatal(err)
	}
	if asked["new/sub"] || !asked["old"] {
		t.Errorf("asked for %v", asked)
	}
}
