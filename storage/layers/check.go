package layers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	cstorage "go.podman.io/storage"
	"golang.org/x/sys/unix"

	"containers/rl/storage"
)

// recordFiles are the files of containers/storage that must be JSON: without
// one of them it opens no store.
var recordFiles = []string{imagesFile, layersFile, containersFile}

const containersFile = "overlay-containers/containers.json"

// BrokenRecords are those that cannot be read, with the reason, or are not there
// although the index has images.
func BrokenRecords(d storage.Dirs) map[string]error {
	broken := map[string]error{}
	for _, file := range recordFiles {
		text, err := os.ReadFile(filepath.Join(d.Graph(), file))
		var list []json.RawMessage
		if err == nil {
			err = json.Unmarshal(text, &list)
		}
		if err == nil && list == nil {
			err = errNull
		}
		if (errors.Is(err, os.ErrNotExist) || errors.Is(err, errNull)) && (file == containersFile || !hasLayers(d)) {
			continue
		}
		if err != nil {
			broken[file] = err
		}
	}
	return broken
}

var errNull = errors.New("it is null")

// hasLayers says whether the index has an image with layers of our own.
func hasLayers(d storage.Dirs) bool {
	images, _, _ := d.CheckIndex()
	return slices.ContainsFunc(images, func(img *storage.Image) bool { return img.Store == "" && len(img.Layers) > 0 })
}

// checkRecords refuses what the library would take for a list of nothing: layers
// would be made again, under other names than those that images are mounted by.
func checkRecords(d storage.Dirs) error {
	for _, file := range recordFiles {
		info, err := os.Stat(filepath.Join(d.Graph(), file))
		if err == nil && info.Size() > int64(len("null\n")) || err != nil && file == containersFile {
			continue
		}
		if damage := BrokenRecords(d)[file]; damage != nil {
			return damage
		}
	}
	return nil
}

// CheckImage compares what the index, the store's records and its directories
// say of an image: all but what is in the layers' files.
func (r Records) CheckImage(d storage.Dirs, img *storage.Image, diffs []digest.Digest) error {
	record, ok := r.Images[img.ID]
	if !ok {
		return errors.New("the store has no record of it")
	}
	if got := digest.FromBytes(img.Config); got.Encoded() != img.ID {
		return fmt.Errorf("its configuration has the digest %s", got)
	}
	if err := checkManifest(d, record); err != nil {
		return err
	}
	if len(diffs) != len(img.Layers) {
		return fmt.Errorf("the index has %d layers, its configuration %d", len(img.Layers), len(diffs))
	}
	top := ""
	for i, diff := range diffs {
		id := ChainID(chainOf(top), diff).Encoded()
		if err := r.checkLayer(d, id, top, img.Layers[len(diffs)-1-i]); err != nil {
			return fmt.Errorf("layer %s: %w", id, err)
		}
		top = id
	}
	if record.TopLayer != top {
		return fmt.Errorf("the store says that its topmost layer is %q, its configuration %q", record.TopLayer, top)
	}
	return nil
}

func chainOf(id string) digest.Digest {
	if id == "" {
		return ""
	}
	return digest.NewDigestFromEncoded(digest.SHA256, id)
}

// checkManifest: the store has written down which digest it had.
func checkManifest(d storage.Dirs, record cstorage.Image) error {
	manifest, err := Manifest(d, record.ID)
	if err != nil {
		return err
	}
	want := record.BigDataDigests[cstorage.ImageDigestBigDataKey]
	if got := digest.FromBytes(manifest); got != want {
		return fmt.Errorf("its manifest has the digest %s, and had %s", got, want)
	}
	return nil
}

// checkLayer: short is the name in overlay/l that the index has for it.
func (r Records) checkLayer(d storage.Dirs, id, parent, short string) error {
	record, ok := r.Layers[id]
	if !ok {
		return errors.New("the store has no record of it")
	}
	if record.Parent != parent {
		return fmt.Errorf("the store says that %q is below it, the configuration %q", record.Parent, parent)
	}
	var st, own unix.Stat_t
	if err := unix.Lstat(Diff(d, id), &own); err != nil {
		return fmt.Errorf("looking at %s: %w", Diff(d, id), err)
	}
	if own.Mode&unix.S_IFMT != unix.S_IFDIR {
		return fmt.Errorf("%s is no directory", Diff(d, id))
	}
	if err := unix.Stat(short, &st); err != nil {
		return fmt.Errorf("looking at %s: %w", short, err)
	}
	if st.Ino != own.Ino || st.Dev != own.Dev {
		return fmt.Errorf("%s does not lead to it", short)
	}
	return nil
}

// Strays are directories of layers that no record of the store knows. Commands that
// are killed leave none; a store that was copied, or whose records were lost, may
// have some. The records are read last: a layer has its record before its directory.
func Strays(d storage.Dirs) (ids []string, err error) {
	entries, err := os.ReadDir(filepath.Join(d.Graph(), "overlay"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	r, err := ReadRecords(d)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if _, known := r.Layers[e.Name()]; !known && len(e.Name()) == digest.SHA256.Size()*2 && strings.Trim(e.Name(), "0123456789abcdef") == "" {
			ids = append(ids, e.Name())
		}
	}
	return ids, nil
}

// RemoveStray removes a directory that Strays has told, if it still is one.
func (s *Store) RemoveStray(ctx context.Context, id string) error {
	release, err := s.Claim(ctx, chainOf(id))
	if err != nil {
		return err
	}
	defer release()
	if s.HasLayer(chainOf(id)) {
		return nil
	}
	return storage.RemoveTree(unix.AT_FDCWD, filepath.Join(s.dirs.Graph(), "overlay", id))
}
