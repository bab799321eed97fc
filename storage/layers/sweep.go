package layers

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	cstorage "go.podman.io/storage"
	"golang.org/x/sys/unix"

	"containers/rl/storage"
)

// afterBoot sweeps a store that nobody has opened since the machine's start:
// its records may name layers of which the files are not on the disk. Who finds
// it swept holds the lock shared; who waits for that holds none, so that no pull
// is waited for, but for one of another machine.
func afterBoot(d storage.Dirs, store cstorage.Store, users *os.File) error {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil //nolint:nilerr // without /proc nothing is known, and nothing lost
	}
	for {
		if known, _ := os.ReadFile(bootFile(d)); bytes.Equal(known, boot) {
			return unix.Flock(int(users.Fd()), unix.LOCK_SH)
		}
		err := unix.Flock(int(users.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("locking the store: %w", err)
		}
		time.Sleep(claimPoll)
	}
	s := &Store{dirs: d, store: store}
	if err := s.sweep(); err != nil {
		return err
	}
	_ = os.WriteFile(bootFile(d), boot, 0o600) // on a full disk the next one sweeps again
	return unix.Flock(int(users.Fd()), unix.LOCK_SH)
}

// bootFile says for which start of this machine the store was swept. Machines may
// share a home.
func bootFile(d storage.Dirs) string {
	host, _ := os.Hostname()
	return filepath.Join(d.Data, "boot."+filepath.Base(host))
}

// sweep removes images that the index does not know, then layers that no image
// needs, then stagings of the dead.
func (s *Store) sweep() error {
	images, err := s.store.Images()
	if err != nil {
		return err
	}
	sound, broken, err := s.dirs.CheckIndex()
	if err != nil {
		return err
	}
	needed := map[string]bool{}
	index := map[string]bool{}
	for id := range broken { // one that cannot be read is a matter of Check
		index[id] = true
	}
	for _, img := range sound {
		index[img.ID] = true
		needLayers(needed, img)
	}
	var failed []error
	for _, img := range images {
		if !index[img.ID] {
			_, err := s.store.DeleteImage(img.ID, true)
			failed = append(failed, err)
			continue
		}
		for id := img.TopLayer; id != "" && !needed[id]; {
			needed[id] = true
			layer, err := s.store.Layer(id)
			if err != nil {
				break
			}
			id = layer.Parent
		}
	}
	return errors.Join(append(failed, s.dropLayers(needed), s.clearFrames(needed), s.clearStaging(), s.clearUnfinished())...)
}

// needLayers adds what the index has for an image, which stays whatever has
// become of the store's record of it.
func needLayers(needed map[string]bool, img *storage.Image) {
	if img.Store != "" {
		return
	}
	for _, short := range img.Layers {
		if target, err := os.Readlink(short); err == nil {
			needed[filepath.Base(filepath.Dir(target))] = true
		}
	}
}

// dropLayers: a parent goes only after its children, so rounds are made until
// one changes nothing.
func (s *Store) dropLayers(needed map[string]bool) error {
	for {
		layers, err := s.store.Layers()
		if err != nil {
			return err
		}
		removed := false
		for _, layer := range layers {
			if !needed[layer.ID] && s.store.DeleteLayer(layer.ID) == nil {
				removed = true
			}
		}
		if !removed {
			return nil
		}
	}
}

// clearFrames removes what was beside layers that are not there, and that no image needs.
func (s *Store) clearFrames(needed map[string]bool) error {
	entries, err := os.ReadDir(s.dirs.Frames())
	if err != nil {
		return err
	}
	var failed []error
	for _, e := range entries {
		id := strings.TrimSuffix(e.Name(), storage.MarksSuffix)
		if _, err := s.store.Layer(id); errors.Is(err, cstorage.ErrLayerUnknown) && !needed[id] {
			failed = append(failed, os.Remove(frameFile(s.dirs, e.Name())))
		}
	}
	return errors.Join(failed...)
}

// clearStaging removes what killed pulls left. It runs with the store to
// itself, so none is alive.
func (s *Store) clearStaging() error {
	entries, err := os.ReadDir(stagingRoot(s.dirs))
	if err != nil {
		return err
	}
	var failed []error
	for _, e := range entries {
		failed = append(failed, storage.RemoveTree(unix.AT_FDCWD, filepath.Join(stagingRoot(s.dirs), e.Name())))
	}
	return errors.Join(failed...)
}

// clearUnfinished removes files that were to replace others when their writer
// was killed, ours of the index and those of containers/storage, and names whose
// image has gone before them.
func (s *Store) clearUnfinished() error {
	unlock, err := s.change() // lists of manifests are written by who does not open the store
	if err != nil {
		return err
	}
	defer unlock()
	failed := []error{s.dirs.ClearUnfinished(), s.dirs.ClearNames()}
	for _, pattern := range []string{"overlay-images/.tmp-*", "overlay-images/*/.tmp-*", "overlay-layers/.tmp-*", "overlay-layers/.[0-9]*"} {
		files, err := filepath.Glob(filepath.Join(s.dirs.Graph(), pattern))
		failed = append(failed, err)
		for _, file := range files {
			failed = append(failed, os.Remove(file))
		}
	}
	return errors.Join(failed...)
}
