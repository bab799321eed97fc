package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"containers/rl/storage"
	"containers/rl/storage/layers"
)

// CheckOptions say how closely the store is looked at.
type CheckOptions struct {
	Dirs   storage.Dirs
	Quick  bool // do not read what is in the layers
	Repair bool // remove the images that are damaged
	Force  bool // and those that containers have
	Used   map[string]bool
}

// Damage is what is wrong with an image.
type Damage struct {
	ID      string
	Names   []string
	Err     error
	Removed bool
}

// Check looks at all images: that their layers are there, and that these still
// are what the images' digests say.
func Check(ctx context.Context, o CheckOptions) (list []Damage, err error) {
	images, err := o.Dirs.Images()
	if err != nil {
		return nil, err
	}
	store, err := layers.Open(o.Dirs) // mends what a killed process left
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	records, err := layers.ReadRecords(o.Dirs)
	if err != nil {
		return nil, err
	}
	checked := map[string]error{}
	for _, img := range images {
		if err := checkImage(ctx, o, img, records, checked); err != nil {
			list = append(list, Damage{ID: img.ID, Names: img.Names, Err: err})
		}
	}
	for i := range list {
		if d := &list[i]; o.Repair && (o.Force || !o.Used[d.ID]) {
			if err := store.Drop(d.ID); err != nil {
				d.Err = errors.Join(d.Err, err)
				continue
			}
			d.Removed = true
		}
	}
	return list, ctx.Err()
}

// checkImage looks at each layer once, whatever number of images has it.
func checkImage(ctx context.Context, o CheckOptions, img *storage.Image, records layers.Records, checked map[string]error) error {
	for _, dir := range img.Layers {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return fmt.Errorf("layer %s is not there", dir)
		}
	}
	if img.Digest == "sha256:"+img.ID || len(img.Layers) == 0 || img.Store != "" {
		return nil // made here, of no archive: the built-in one, or a list of manifests; or not ours to check
	}
	diffs, err := parseDiffs(img.Config)
	if err != nil {
		return err
	}
	list, err := records.LayersOf(o.Dirs, diffs)
	if err != nil {
		return err
	}
	if _, err := layers.Manifest(o.Dirs, img.ID); err != nil {
		return err
	}
	for _, l := range list {
		err, known := checked[l.ID]
		if !known && !o.Quick && l.Frame != "" {
			err = readWhole(ctx, storedLayer{l})
			checked[l.ID] = err
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func readWhole(ctx context.Context, l storedLayer) error {
	r := l.open(ctx)
	defer r.Close()
	_, err := io.Copy(io.Discard, r)
	return err
}
