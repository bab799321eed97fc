package layers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

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
	if err := errors.Join(os.Truncate(filepath.Join(Diff(d, base.Encoded()), "every"), 0), os.WriteFile(bootFile(d), []byte("another"), 0o600)); err != nil {
		t.Fatal(err)
	}
	img := mustPull(t, d, "app", "base", "top")
	if img, err = d.Lookup(img.ID); err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	checkImage(t, img, "base", "top")
}

// TestIndexKeepsLayers: of an image that the store's records do not have any more, no layer is swept.
func TestIndexKeepsLayers(t *testing.T) {
	for name, files := range map[string][]string{"images": {imagesFile}, "layers": {imagesFile, layersFile}} {
		t.Run(name, func(t *testing.T) { testIndexKeepsLayers(t, files) })
	}
}

func testIndexKeepsLayers(t *testing.T, lost []string) {
	base := t.TempDir()
	d := testDirs(base)
	img := mustPull(t, d, "app", "base", "top")
	frame := frameFile(d, ChainID(diffID("base"), diffID("top")).Encoded())
	files := map[string]string{bootFile(d): "another", frame: ""}
	for _, file := range lost {
		files[filepath.Join(d.Graph(), file)] = "[]"
	}
	for file, text := range files {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	again(t, "open", base)
	img, err := d.Lookup(img.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	checkImage(t, img, "base", "top")
	if _, err := os.Stat(frame); err != nil {
		t.Error(err)
	}
}

// TestAfterBootBeside: who opens the store after the machine's start waits for the sweep of another, and not for its pull.
func TestAfterBootBeside(t *testing.T) {
	d := testDirs(t.TempDir())
	mustPull(t, d, "app", "base")
	if err := os.WriteFile(bootFile(d), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	sweeper, err := openLock(d, usersLock)
	if err != nil {
		t.Fatal(err)
	}
	defer sweeper.Close()
	if err := unix.Flock(int(sweeper.Fd()), unix.LOCK_SH); err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() {
		s, err := Open(d)
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		t.Fatalf("opened beside another, and not swept: %v", err)
	case <-time.After(10 * claimPoll):
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bootFile(d), boot, 0o600); err != nil { // as the other has swept, and pulls
		t.Fatal(err)
	}
	select {
	case err := <-opened:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it waits for the pull")
	}
}

// TestHeal: records that cannot be read are written anew, and the images are as before, also by who opens the store next after
// the machine's start.
func TestHeal(t *testing.T) {
	for name, text := range map[string]string{"torn": "[{", "empty": "", "null": "null\n", "missing": missing} {
		t.Run(name, func(t *testing.T) { testHeal(t, text) })
	}
}

// missing stands for a file that is not there.
const missing = "missing"

func testHeal(t *testing.T, text string) {
	base := t.TempDir()
	d := testDirs(base)
	mustPull(t, d, "app", "base", "top")
	mustPull(t, d, "other", "base", "else")
	before, err := ReadRecords(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range recordFiles {
		file = filepath.Join(d.Graph(), file)
		if text == missing {
			_ = os.Remove(file)
		} else if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(bootFile(d), []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	again(t, "heal", base)
	again(t, "open", base)
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
}

// again runs a role in another process, as the library keeps in memory what it has read.
func again(t *testing.T, role, base string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s:%s:%s", roleEnv, role, base, ""))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", role, err, out)
	}
}

// openRole opens and closes the store.
func openRole(d storage.Dirs, _ string) error {
	s, err := Open(d)
	if err != nil {
		return err
	}
	return s.Close()
}

// healRole heals the store of TestHeal.
func healRole(d storage.Dirs, _ string) error {
	broken := BrokenRecords(d)
	if broken[imagesFile] == nil || broken[layersFile] == nil {
		return fmt.Errorf("broken are %v", broken)
	}
	if _, err := Open(d); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		return fmt.Errorf("opening the damaged store: %w", err)
	}
	images, err := d.Images()
	if err != nil {
		return err
	}
	var kept []Kept
	for _, img := range images {
		k := Kept{Image: img}
		if k.Manifest, err = Manifest(d, img.ID); err != nil {
			return err
		}
		k.Chain = Chain(d, []digest.Digest{diffID("base"), diffID(map[string]string{full("app"): "top", full("other"): "else"}[img.Names[0]])})
		for i := range k.Chain {
			k.Chain[i].Size = 100
		}
		kept = append(kept, k)
	}
	return Heal(context.Background(), d, broken, kept)
}
