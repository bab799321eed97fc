package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"containers/rl/storage/conformance"
)

func inNamespace(t *testing.T) bool { return conformance.InNamespace(t) }

// mountRoot mounts a container's root as the start does.
func mountRoot(t *testing.T, c *Container, volatile bool) {
	t.Helper()
	base, options, err := c.OverlayOptions(volatile)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(base)
	if err := unix.Mount("overlay", c.Merged, "overlay", 0, options); err != nil {
		t.Fatalf("mounting with %s: %v", options, err)
	}
	t.Cleanup(func() { _ = unix.Unmount(c.Merged, unix.MNT_DETACH) })
}

// TestOverlayPaths mounts with every separator of overlay's options in the paths.
func TestOverlayPaths(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	for _, odd := range []string{"plain", "a,b", "a:b", `a\b`, `a\,b\:c=,upperdir=x`, "a b\n\"c"} {
		d := Dirs{Data: filepath.Join(t.TempDir(), odd)}
		layers := []string{filepath.Join(d.Data, "l", "top:,\\"), filepath.Join(d.Data, "l", "bottom"), filepath.Join(d.Data, "other")}
		for i, dir := range layers {
			mkdir(t, 0o755, dir)
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("from", i)), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		c, err := d.CreateContainer("id", "", &Image{Layers: layers})
		if err != nil {
			t.Fatal(err)
		}
		t.Run(odd, func(t *testing.T) {
			mountRoot(t, c, true)
			for i := range layers {
				if !exists(filepath.Join(c.Merged, fmt.Sprint("from", i))) {
					t.Errorf("layer %d is missing", i)
				}
			}
			if err := os.WriteFile(filepath.Join(c.Merged, "new"), nil, 0o644); err != nil || !exists(filepath.Join(c.Upper, "new")) {
				t.Errorf("writing: %v; it must land in the upper directory", err)
			}
			if err := os.Remove(filepath.Join(c.Merged, "from2")); err != nil || exists(filepath.Join(c.Merged, "from2")) {
				t.Errorf("removing a file of a layer: %v", err)
			}
		})
		if err := c.Remove(); err != nil || exists(c.Dir) {
			t.Errorf("Remove after use: %v", err)
		}
	}
}

// TestOverlayManyLayers: the kernel takes 500 layers, and one page of options.
func TestOverlayManyLayers(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	for _, count := range []int{127, 300, 500} {
		t.Run(fmt.Sprint(count), func(t *testing.T) {
			d := Dirs{Data: filepath.Join(t.TempDir(), strings.Repeat("long:", 30))}
			img := &Image{}
			for i := range count {
				dir := mkdir(t, 0o755, d.Graph(), "overlay/l", fmt.Sprintf("ABCDEFGHIJKLMNOPQRSTUVW%03d", i))
				for _, name := range []string{fmt.Sprint(i), "topmost"} {
					if err := os.WriteFile(filepath.Join(dir, name), fmt.Append(nil, i), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				img.Layers = append(img.Layers, dir)
			}
			c, err := d.CreateContainer(strings.Repeat("0123456789abcdef", 4), "", img)
			if err != nil {
				t.Fatal(err)
			}
			if links := filepath.Join(c.Dir, "l"); count > 127 { // left by an earlier start, of an image under another name
				mkdir(t, 0o700, links)
				if err := os.Symlink("/nowhere", filepath.Join(links, "0")); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				mountRoot(t, c, false)
				for i := range count {
					if !exists(filepath.Join(c.Merged, fmt.Sprint(i))) {
						t.Errorf("layer %d is not there", i)
					}
				}
				if text, err := os.ReadFile(filepath.Join(c.Merged, "topmost")); string(text) != "0" {
					t.Errorf("of a name that all layers have, that of %s is seen: %v", text, err)
				}
				if err := unix.Unmount(c.Merged, unix.MNT_DETACH); err != nil {
					t.Fatal(err)
				}
			}
			if few := count == 127; exists(filepath.Join(c.Dir, "l")) == few {
				t.Errorf("short links are there: %v", !few)
			}
		})
	}
}

func TestOverlayTooManyLayers(t *testing.T) {
	c := create(t, testDirs(t), "id", "", true)
	c.image = &Image{Layers: make([]string, 501)}
	if _, _, err := c.OverlayOptions(false); err == nil || !strings.Contains(err.Error(), "500") {
		t.Errorf("501 layers: %v", err)
	}
}

// TestOverlayNoLayers: FROM scratch without a layer is an image, too.
func TestOverlayNoLayers(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	c := create(t, testDirs(t), "id", "", true)
	mountRoot(t, c, false)
	if err := os.WriteFile(filepath.Join(c.Merged, "new"), nil, 0o644); err != nil {
		t.Error(err)
	}
}

// TestSeen: what an opaque root hides is not mounted, and two directories are left.
func TestSeen(t *testing.T) {
	base := t.TempDir()
	var dirs []string
	for _, name := range []string{"a", "opaque", "b", "opaque2", "empty"} {
		dir := filepath.Join(base, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(name, "opaque") {
			if err := unix.Setxattr(dir, "user.overlay.opaque", []byte("y"), 0); err != nil {
				t.Skip(err)
			}
		}
		dirs = append(dirs, dir)
	}
	for _, test := range []struct {
		dirs  []string
		upper bool
		want  string
	}{
		{dirs, false, "a opaque"},
		{dirs[1:], true, "opaque"},
		{dirs[1:], false, "opaque empty"},
		{dirs[1:2], false, "opaque"},
		{[]string{dirs[0], dirs[2]}, false, "a b"},
		{nil, true, ""},
	} {
		var got []string
		for _, dir := range Seen(test.dirs, test.upper) {
			got = append(got, filepath.Base(dir))
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%v, %v: %v, want %s", test.dirs, test.upper, got, test.want)
		}
	}
	if filepath.Base(dirs[2]) != "b" {
		t.Errorf("the image's directories are now %v", dirs)
	}
}
