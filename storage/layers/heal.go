package layers

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	cstorage "go.podman.io/storage"
	"golang.org/x/sys/unix"

	"containers/rl/storage"
)

// Kept is an image of which the index and the directories tell what a record
// must say.
type Kept struct {
	*storage.Image
	Manifest []byte
	Chain    []Layer // the lowest first, with Size and Blob
}

// Heal puts records that cannot be read in order again, by what the index and
// the directories say: those of layers and images are written anew. An image
// that is not among kept is then without a record. broken is of BrokenRecords.
func Heal(d storage.Dirs, broken map[string]error, kept []Kept) error {
	unlock, err := lockAlone(d)
	if err != nil {
		return err
	}
	if _, ok := broken[layersFile]; ok {
		err = writeLayers(d, kept)
	}
	for file := range broken {
		if file != layersFile {
			err = errors.Join(err, os.Remove(filepath.Join(d.Graph(), file)))
		}
	}
	unlock()
	if _, ok := broken[imagesFile]; err != nil || !ok {
		return err
	}
	return enterAll(d, kept)
}

// lockAlone waits for those that have the store open. As it cannot be opened,
// there are none for long.
func lockAlone(d storage.Dirs) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(d.Data, "pulls.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the store: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		file.Close()
		return nil, fmt.Errorf("locking the store: %w", err)
	}
	return func() { file.Close() }, nil
}

func writeLayers(d storage.Dirs, kept []Kept) error {
	list := []cstorage.Layer{}
	known := map[string]bool{}
	for _, img := range kept {
		parent := ""
		for _, l := range img.Chain {
			if !known[l.ID] {
				list = append(list, cstorage.Layer{ID: l.ID, Parent: parent, Created: img.Created, UncompressedDigest: l.DiffID, UncompressedSize: l.Size, CompressedDigest: l.Blob})
			}
			known[l.ID], parent = true, l.ID
		}
	}
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	if err := storage.ReplaceFile(filepath.Join(d.Graph(), layersFile), text); err != nil {
		return fmt.Errorf("writing the records of layers: %w", err)
	}
	return nil
}

// enterAll records all images in the store. None of them is swept meanwhile:
// the index has them.
func enterAll(d storage.Dirs, kept []Kept) error {
	s, err := Open(d)
	if err != nil {
		return err
	}
	var failed []error
	for _, k := range kept {
		img := Image{Names: k.Names, Config: k.Config, Manifest: k.Manifest, Digest: digest.Digest(k.Digest)}
		if n := len(k.Chain); n > 0 {
			img.Layer = chainOf(k.Chain[n-1].ID)
		}
		failed = append(failed, s.enter(img, k.Image))
	}
	return errors.Join(append(failed, s.Close())...)
}
