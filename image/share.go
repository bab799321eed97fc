package image

import (
	"context"
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"

	"containers/rl/storage"
	"containers/rl/storage/layers"
	"containers/rl/storage/shared"
)

// ShareOptions say which image of the stores of others is wanted.
type ShareOptions struct {
	Dirs     storage.Dirs
	Ref      string
	SingleID bool
	Set      shared.Set        `json:"-"`
	Progress Progress          `json:"-"`
	Tell     func(text string) `json:"-"` // hears that an image is copied, and why
}

// Share makes an image of another store one that can be looked up and mounted: in
// place where its layers allow that, or else by copying them, which needs no
// registry. ErrNoImage: no store has it.
func Share(ctx context.Context, o ShareOptions) error {
	img, name, err := o.Set.Find(o.Ref)
	if err != nil {
		return err
	}
	own, err := o.Dirs.Lookup(img.ID)
	own.Close()
	if err != nil || own.Store != "" {
		if err := o.bring(ctx, img); err != nil {
			return err
		}
	}
	if name == "" {
		return nil
	}
	return o.alone(func() error { return o.Dirs.Remember(o.Ref, img.ID, name, img.In.Stamp) })
}

// alone changes the index.
func (o ShareOptions) alone(change func() error) error {
	unlock, err := layers.Lock(o.Dirs)
	if err != nil {
		return err
	}
	defer unlock()
	return change()
}

func (o ShareOptions) bring(ctx context.Context, img *shared.Image) (err error) {
	different := inPlace(ctx, img, o.SingleID)
	if different == nil {
		img.Image.Layers = img.Dirs()
		return o.alone(func() error { return o.Dirs.Adopt(img.Image) })
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	o.Tell(fmt.Sprintf("%v: it is copied", different))
	store, err := layers.Open(o.Dirs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	stored, err := copyShared(ctx, store, img, PullOptions{Progress: o.Progress, SingleID: o.SingleID})
	if err != nil {
		return fmt.Errorf("copying image %s from the store %s: %w", img.ID, img.In.Root, err)
	}
	return stored.Close()
}

// copyShared brings the layers and the image into our store, without a name.
func copyShared(ctx context.Context, store *layers.Store, img *shared.Image, o PullOptions) (*storage.Image, error) {
	manifest, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	from := sharedLayers{}
	p := &pull{o: o, img: from, store: store, diffs: img.Spec.RootFS.DiffIDs}
	for _, l := range img.Layers {
		if !(storedLayer{l}).whole() {
			return nil, fmt.Errorf("layer %s: how its archive was is not known", l.DiffID)
		}
		blob := l.Blob // by which a registry knows it
		if blob.Validate() != nil {
			blob = l.DiffID
		}
		from[hashOf(blob)] = storedLayer{l}
		p.layers = append(p.layers, v1.Descriptor{MediaType: types.OCIUncompressedLayer, Size: l.Size, Digest: hashOf(blob)})
	}
	return p.into(ctx, layers.Image{Config: img.Config, Manifest: manifest, Digest: digest.Digest(img.Digest)})
}

func hashOf(d digest.Digest) v1.Hash {
	return v1.Hash{Algorithm: string(d.Algorithm()), Hex: d.Encoded()}
}

// sharedLayers gives layers of stores of others, by what they hold.
type sharedLayers map[v1.Hash]storedLayer

func (s sharedLayers) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	l, ok := s[h]
	if !ok {
		return nil, errors.New("not in the store")
	}
	return sharedLayer{h, l}, nil
}

// sharedLayer is one of them, uncompressed. Its content is checked by its diff id.
type sharedLayer struct {
	hash  v1.Hash
	layer storedLayer
}

func (l sharedLayer) Digest() (v1.Hash, error)           { return l.hash, nil }
func (l sharedLayer) DiffID() (v1.Hash, error)           { return hashOf(l.layer.DiffID), nil }
func (l sharedLayer) Compressed() (io.ReadCloser, error) { return l.Uncompressed() }
func (l sharedLayer) Uncompressed() (io.ReadCloser, error) {
	return l.layer.open(context.Background()), nil
}
func (l sharedLayer) Size() (int64, error)                { return l.layer.Size, nil }
func (l sharedLayer) MediaType() (types.MediaType, error) { return types.OCIUncompressedLayer, nil }

// adopt makes a pulled image one of another store that has it whole, in place; nil
// when there is none. The names are ours.
func (o PullOptions) adopt(ctx context.Context, record layers.Image) (*storage.Image, error) {
	img := o.Shared.ByID(digest.FromBytes(record.Config).Encoded())
	if img == nil {
		return nil, nil
	}
	own, err := o.Dirs.Lookup(img.ID)
	own.Close()
	if err == nil && own.Store == "" || inPlace(ctx, img, o.SingleID) != nil {
		return nil, ctx.Err()
	}
	unlock, err := layers.Lock(o.Dirs)
	if err != nil {
		return nil, err
	}
	defer unlock()
	img.Image.Layers, img.Image.Digest = img.Dirs(), record.Digest.String()
	if err := o.Dirs.KeepDigest(img.Image); err != nil {
		return nil, err
	}
	if err := o.Dirs.Record(img.Image, record.Names, record.Aliases); err != nil {
		return nil, err
	}
	for _, l := range img.Layers {
		o.Progress.Done(l.Blob.String(), true)
	}
	return o.Dirs.Lookup(img.ID)
}

// ownLayers copies an image of another store: what is put on top of it is ours,
// and needs all that is below in our store.
func ownLayers(ctx context.Context, store *layers.Store, base *storage.Image, single bool) error {
	img, err := shared.Read(base.Store, base.ID)
	if err == nil {
		var stored *storage.Image
		stored, err = copyShared(ctx, store, img, PullOptions{Progress: silent{}, SingleID: single})
		stored.Close()
	}
	if err != nil {
		return fmt.Errorf("copying image %s from the store %s: %w", base.ID, base.Store, err)
	}
	return nil
}

// silent is progress that nobody hears of.
type silent struct{}

func (silent) Start(string, int64)   {}
func (silent) Advance(string, int64) {}
func (silent) Done(string, bool)     {}
