package layers

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	cstorage "go.podman.io/storage"

	"containers/rl/storage"
)

// Records are what containers/storage has written of images and layers. They
// are read without opening the store: it replaces its files as a whole.
type Records struct {
	Images map[string]cstorage.Image
	Layers map[string]cstorage.Layer
}

// The files of Records, below the graph root.
const (
	imagesFile = "overlay-images/images.json"
	layersFile = "overlay-layers/layers.json"
)

// ReadRecords reads them. A store that was never opened has none.
func ReadRecords(d storage.Dirs) (Records, error) {
	r := Records{map[string]cstorage.Image{}, map[string]cstorage.Layer{}}
	images, layers, err := ReadLists(d.Graph(), os.ReadFile)
	if err != nil {
		return r, fmt.Errorf("%w: rl system check --repair", err)
	}
	for _, img := range images {
		r.Images[img.ID] = img
	}
	for _, l := range layers {
		r.Layers[l.ID] = l
	}
	return r, nil
}

// ReadLists reads the records below a graph root, those of images first: an image
// is recorded after its layers.
func ReadLists(graph string, read func(file string) ([]byte, error)) (images []cstorage.Image, layers []cstorage.Layer, err error) {
	for _, list := range []struct {
		file string
		into any
	}{{imagesFile, &images}, {layersFile, &layers}} {
		file := filepath.Join(graph, list.file)
		text, err := read(file)
		if errors.Is(err, os.ErrNotExist) {
			continue // nothing was pulled yet
		}
		if err == nil {
			err = json.Unmarshal(text, list.into)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("reading %s: %w", file, err)
		}
	}
	return images, layers, nil
}

// Manifest gives an image's manifest as it came.
func Manifest(d storage.Dirs, id string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(d.Graph(), "overlay-images", id, cstorage.ImageDigestBigDataKey))
	if err != nil {
		return nil, fmt.Errorf("reading the manifest of image %s: %w", id, err)
	}
	return text, nil
}

// ConfigName is the file, beside the manifest, of an image's configuration.
func ConfigName(id string) string {
	return "=" + base64.StdEncoding.EncodeToString([]byte("sha256:"+id))
}

// Diff is a layer's directory.
func Diff(d storage.Dirs, id string) string { return filepath.Join(d.Graph(), "overlay", id, "diff") }

// Layer is a layer as it is in the store.
type Layer struct {
	ID     string // hex of its chain id
	DiffID digest.Digest
	Dir    string // what is in it
	Frame  string // file that makes the archive whole; "" when there is none
	Split  string // the same as containers/storage has it, of a store that is not ours; or ""
	Size   int64  // of the archive
	Blob   digest.Digest
}

// LayersOf gives the layers of an image, the lowest first.
func (r Records) LayersOf(d storage.Dirs, diffs []digest.Digest) (list []Layer, err error) {
	chain := digest.Digest("")
	for _, diff := range diffs {
		chain = ChainID(chain, diff)
		id := chain.Encoded()
		record, ok := r.Layers[id]
		if !ok {
			return nil, fmt.Errorf("layer %s is not in the store: rl system check", id)
		}
		l := layerOf(d, id, diff)
		l.Size, l.Blob = record.UncompressedSize, record.CompressedDigest
		list = append(list, l)
	}
	return list, nil
}

// Chain gives the layers of an image by its configuration alone: without Size
// and Blob, and whether they are in the store or not.
func Chain(d storage.Dirs, diffs []digest.Digest) (list []Layer) {
	chain := digest.Digest("")
	for _, diff := range diffs {
		chain = ChainID(chain, diff)
		list = append(list, layerOf(d, chain.Encoded(), diff))
	}
	return list
}

func layerOf(d storage.Dirs, id string, diff digest.Digest) Layer {
	l := Layer{ID: id, DiffID: diff, Dir: Diff(d, id)}
	if _, err := os.Stat(frameFile(d, id)); err == nil {
		l.Frame = frameFile(d, id)
	}
	return l
}
