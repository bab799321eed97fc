package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"

	"containers/rl/storage"
	"containers/rl/storage/layers"
)

// CheckOptions say how closely the store is looked at, and what is to go.
type CheckOptions struct {
	Dirs   storage.Dirs
	Quick  bool            // do not read what is in the layers
	Repair bool            // put records in order, and remove images that are damaged
	Used   map[string]bool // ids of images that containers have: they stay
}

// Kinds of damage.
const (
	DamagedLayer  = "layer"
	DamagedImage  = "image"
	DamagedRecord = "record" // a file of containers/storage
	StrayLayer    = "stray layer"
)

// Damage is what is wrong with one thing of the store.
type Damage struct {
	Kind    string // one of the above
	ID      string
	Names   []string // of an image
	Errors  []string
	Removed bool // or put in order: a record
}

// check is one run.
type check struct {
	CheckOptions
	found  []Damage
	layers map[string]error    // by id: each is looked at once, whatever number of images has it
	having map[string][]string // images that have a damaged layer
	read   layers.Records
}

// Check looks at all images. Quick, that is: the index can be read, configurations
// and manifests have their digests, and records and directories of the layers are
// there and belong together. Else also: each
// layer, as the archive that it came as, has its digest, and its directory holds
// what the archive says and nothing else. A layer whose archive had two files of
// one name cannot be compared so, and only its directory must be there.
func Check(ctx context.Context, o CheckOptions) (found []Damage, err error) {
	c := &check{CheckOptions: o, layers: map[string]error{}, having: map[string][]string{}}
	sound, broken, err := o.Dirs.CheckIndex()
	if err != nil {
		return nil, err
	}
	for id, err := range broken {
		c.image(id, nil, err)
	}
	if opens, err := c.records(ctx, sound); err != nil || !opens {
		return c.found, err
	}
	store, err := layers.Open(o.Dirs) // mends what a killed process left
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	for _, img := range sound {
		if err := c.look(ctx, img.ID); err != nil {
			c.image(img.ID, img.Names, err)
		}
	}
	if err := errors.Join(ctx.Err(), c.strays()); err != nil {
		return nil, err
	}
	if o.Repair {
		c.repair(ctx, store)
	}
	return c.found, nil
}

func (c *check) image(id string, names []string, err error) {
	c.found = append(c.found, Damage{Kind: DamagedImage, ID: id, Names: names, Errors: strings.Split(err.Error(), "\n")})
}

// records says whether the store can be opened: those of its records that
// cannot be read are in the way until they are written anew.
func (c *check) records(ctx context.Context, images []*storage.Image) (opens bool, err error) {
	broken := layers.BrokenRecords(c.Dirs)
	if len(broken) == 0 {
		return true, nil
	}
	if c.Repair {
		if err := c.heal(ctx, broken, images); err != nil {
			return false, fmt.Errorf("writing the store's records anew: %w", err)
		}
	}
	for file, err := range broken {
		c.found = append(c.found, Damage{Kind: DamagedRecord, ID: file, Errors: []string{err.Error()}, Removed: c.Repair})
	}
	return c.Repair, nil
}

// heal finds what the records must say. An image of which that cannot be found
// gets none, and is damaged then.
func (c *check) heal(ctx context.Context, broken map[string]error, images []*storage.Image) error {
	var kept []layers.Kept
	sizes := layers.NeedsSizes(broken)
	for _, img := range images {
		k := layers.Kept{Image: img}
		diffs, err := parseDiffs(img.Config)
		if err == nil {
			k.Manifest, err = layers.Manifest(c.Dirs, img.ID)
		}
		if err != nil || img.IsList() || img.Store != "" {
			continue
		}
		var manifest imagespec.Manifest
		_ = json.Unmarshal(k.Manifest, &manifest) // without it the layers have no digests as blobs, which only save time
		k.Chain = layers.Chain(c.Dirs, diffs)
		for i := range k.Chain {
			l := &k.Chain[i]
			if len(manifest.Layers) == len(diffs) {
				l.Blob = manifest.Layers[i].Digest
			}
			if l.Frame != "" && sizes {
				if l.Size, err = archiveSize(ctx, *l); err != nil {
					break
				}
			}
		}
		restSize(k)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			kept = append(kept, k)
		}
	}
	return layers.Heal(ctx, c.Dirs, broken, kept)
}

// archiveSize is that of the layer's archive, which is compared with its digest.
func archiveSize(ctx context.Context, l layers.Layer) (int64, error) {
	r := storedLayer{l}.open(ctx)
	defer r.Close()
	return io.Copy(io.Discard, r)
}

// restSize: the size of an image is that of its layers; so one of which the
// archive cannot be made again has what the others leave.
func restSize(k layers.Kept) {
	rest := k.Size
	for _, l := range k.Chain {
		rest -= l.Size
	}
	for i, l := range k.Chain {
		if l.Frame == "" {
			k.Chain[i].Size = max(rest, 0)
			return
		}
	}
}

// look holds the image, so that it does not go meanwhile.
func (c *check) look(ctx context.Context, id string) error {
	img, err := c.Dirs.Lookup(id)
	if errors.Is(err, storage.ErrNoImage) {
		return nil
	}
	if err != nil {
		return err
	}
	defer img.Close()
	if img.IsList() || img.Store != "" { // a list has no layers; or they are not ours to check
		return nil
	}
	diffs, err := parseDiffs(img.Config)
	if err != nil {
		return err
	}
	if err := c.compare(img, diffs); err != nil || c.Quick {
		return err
	}
	var failed []error
	for _, l := range layers.Chain(c.Dirs, diffs) {
		err, known := c.layers[l.ID]
		if !known {
			if err = verify(ctx, l); err != nil && ctx.Err() == nil {
				c.found = append(c.found, Damage{Kind: DamagedLayer, ID: l.ID, Errors: strings.Split(err.Error(), "\n")})
			}
			c.layers[l.ID] = err
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("layer %s is damaged", l.ID))
			c.having[l.ID] = append(c.having[l.ID], img.ID)
		}
	}
	return errors.Join(failed...)
}

// compare reads the records again for what is not as they say: it may be newer.
func (c *check) compare(img *storage.Image, diffs []digest.Digest) (err error) {
	if c.read.CheckImage(c.Dirs, img, diffs) == nil {
		return nil
	}
	if c.read, err = layers.ReadRecords(c.Dirs); err != nil {
		return err
	}
	return c.read.CheckImage(c.Dirs, img, diffs)
}

// strays are directories that belong to nothing.
func (c *check) strays() error {
	ids, err := layers.Strays(c.Dirs)
	if err != nil {
		return err
	}
	for _, id := range ids {
		c.found = append(c.found, Damage{Kind: StrayLayer, ID: id, Errors: []string{"the store has no record of it"}})
	}
	return nil
}

// repair removes images first. Layers that only these had go with the store's
// Close; one without a record stays while an image in use may be mounted from it.
func (c *check) repair(ctx context.Context, store *layers.Store) {
	stay := map[string]bool{}
	c.remove(DamagedImage, func(d *Damage) error {
		if c.Used[d.ID] {
			stay[d.ID] = true
			return errUsed
		}
		err := store.Drop(d.ID)
		stay[d.ID] = err != nil
		return err
	})
	held := func(id string) bool { return stay[id] }
	c.remove(DamagedLayer, func(d *Damage) error {
		if slices.ContainsFunc(c.having[d.ID], held) {
			return errUsed
		}
		return nil
	})
	if !slices.Contains(slices.Collect(maps.Values(stay)), true) {
		c.remove(StrayLayer, func(d *Damage) error { return store.RemoveStray(ctx, d.ID) })
	}
}

// errUsed is not said: who asks for the repair knows what is in use.
var errUsed = errors.New("in use")

// remove calls do for each damage of a kind.
func (c *check) remove(kind string, do func(*Damage) error) {
	for i := range c.found {
		d := &c.found[i]
		if d.Kind != kind {
			continue
		}
		err := do(d)
		d.Removed = err == nil
		if err != nil && !errors.Is(err, errUsed) {
			d.Errors = append(d.Errors, err.Error())
		}
	}
}
