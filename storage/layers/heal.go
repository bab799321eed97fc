package layers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	cstorage "go.podman.io/storage"

	"containers/rl/storage"
)

// Kept is an image of which the index and the directories tell what a record
// must say.
type Kept struct {
	*storage.Image
	Manifest []byte
	Chain    []Layer // the lowest first, with Size and Blob
}

// NeedsSizes says whether Heal needs the Size of layers, which takes reading them.
func NeedsSizes(broken map[string]error) bool { return broken[layersFile] != nil }

// Heal puts records that cannot be read in order again, by what the index and
// the directories say: those of layers and images are written anew. An image
// that is not among kept is then without a record. broken is of BrokenRecords.
// Who has the store open is waited for; as it cannot be opened, there are none
// for long.
func Heal(ctx context.Context, d storage.Dirs, broken map[string]error, kept []Kept) error {
	users, err := openLock(d, usersLock)
	if err != nil {
		return err
	}
	defer users.Close()
	if err := lockAlone(ctx, users); err != nil {
		return fmt.Errorf("locking the store: %w", err)
	}
	var failed []error
	for file := range broken {
		switch file {
		case layersFile:
			failed = append(failed, writeLayers(d, kept))
		case imagesFile:
			failed = append(failed, writeImages(d, kept))
		default:
			failed = append(failed, os.Remove(filepath.Join(d.Graph(), file)))
		}
	}
	return errors.Join(failed...)
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
	return writeRecords(d, layersFile, list)
}

// writeImages also writes the configurations, which podman looks for beside the
// manifests: the index has them.
func writeImages(d storage.Dirs, kept []Kept) error {
	list := []cstorage.Image{}
	for _, k := range kept {
		const manifest = cstorage.ImageDigestBigDataKey
		config := chainOf(k.ID).String()
		record := cstorage.Image{ID: k.ID, Digest: digest.Digest(k.Digest), Names: k.Names, NamesHistory: k.Names, Created: created(k.Image),
			BigDataNames:   []string{manifest, config},
			BigDataSizes:   map[string]int64{manifest: int64(len(k.Manifest)), config: int64(len(k.Config))},
			BigDataDigests: map[string]digest.Digest{manifest: digest.FromBytes(k.Manifest), config: digest.FromBytes(k.Config)}}
		if record.Digest.Validate() != nil { // with which the store could not be opened
			record.Digest = ""
		}
		if n := len(k.Chain); n > 0 {
			record.TopLayer = k.Chain[n-1].ID
		}
		if err := storage.ReplaceFile(filepath.Join(d.Graph(), "overlay-images", k.ID, ConfigName(k.ID)), k.Config); err != nil {
			return fmt.Errorf("writing the configuration of image %s: %w", k.ID, err)
		}
		list = append(list, record)
	}
	return writeRecords(d, imagesFile, list)
}

func writeRecords(d storage.Dirs, file string, list any) error {
	text, err := json.Marshal(list)
	if err == nil {
		err = storage.ReplaceFile(filepath.Join(d.Graph(), file), text)
	}
	if err != nil {
		return fmt.Errorf("writing the records %s: %w", file, err)
	}
	return nil
}
