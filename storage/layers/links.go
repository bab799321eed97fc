package layers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.podman.io/storage/pkg/lockfile"

	"containers/rl/storage"
)

// mendLinks makes the short names of the layers, overlay/l, whole again.
//
// containers/storage makes a layer's file "link", and then writes the short
// name into it. A process killed in between leaves an empty one; who removes
// the unfinished layer next joins overlay/l and no name, and removes all short
// names there are, which are what images are mounted by. So this comes before
// the store is opened, and under the lock of those who make layers: one that is
// being made now has a name.
func mendLinks(graph string) error {
	home := filepath.Join(graph, "overlay")
	if _, err := os.Stat(filepath.Join(graph, "overlay-layers")); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	lock, err := lockfile.GetLockFile(filepath.Join(graph, "overlay-layers", "layers.lock"))
	if err != nil {
		return fmt.Errorf("locking the layers: %w", err)
	}
	lock.Lock()
	defer lock.Unlock()
	entries, err := os.ReadDir(home)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("looking at the layers: %w", err)
	}
	var failed []error
	for _, e := range entries {
		failed = append(failed, mendLink(home, e.Name()))
	}
	return errors.Join(append(failed, dropDangling(filepath.Join(home, "l")))...)
}

// shortName is that by which overlay/l leads to a layer.
func shortName(home, id string) string {
	entries, _ := os.ReadDir(filepath.Join(home, "l"))
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(home, "l", e.Name())); err == nil && target == filepath.Join("..", id, "diff") {
			return e.Name()
		}
	}
	return ""
}

// dropDangling removes short names of layers that did not come to be.
func dropDangling(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		link := filepath.Join(dir, e.Name())
		if _, gone := os.Stat(link); errors.Is(gone, os.ErrNotExist) {
			err = errors.Join(err, os.Remove(link))
		}
	}
	return err
}

func mendLink(home, id string) error {
	file := filepath.Join(home, id, "link")
	name, err := os.ReadFile(file)
	if len(name) == 0 && (err == nil || errors.Is(err, os.ErrNotExist)) {
		if _, err := os.Lstat(filepath.Join(home, id, "diff")); err != nil {
			return nil // no layer
		}
		if known := shortName(home, id); known != "" {
			return storage.ReplaceFile(file, []byte(known))
		}
		if err == nil {
			return os.Remove(file)
		}
	}
	if err != nil {
		return nil // one that has no name yet
	}
	link := filepath.Join(home, "l", filepath.Base(string(name)))
	if _, err := os.Lstat(link); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return err
	}
	return os.Symlink(filepath.Join("..", id, "diff"), link)
}
