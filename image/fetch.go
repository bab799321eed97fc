package image

import (
	"compress/bzip2"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/klauspost/compress/zstd"
	"github.com/klauspost/pgzip"
	"github.com/opencontainers/go-digest"
	"github.com/ulikunitz/xz"
	"golang.org/x/sync/errgroup"

	"containers/rl/storage"
	"containers/rl/storage/layers"
)

const (
	layersAtOnce = 4
	maxMetadata  = 4 << 20 // of a manifest or a configuration
)

func insecureTLS() *tls.Config { return &tls.Config{InsecureSkipVerify: true} } // as asked for

func removeAt(dirfd int, base string) error { return storage.RemoveTree(dirfd, base) }

// fetch brings what the descriptor names into the store.
func fetch(ctx context.Context, o PullOptions, e Endpoint, ref Reference, desc *remote.Descriptor) (_ *Result, err error) {
	img, err := choose(desc, o.Platform)
	if err != nil {
		return nil, err
	}
	raw, err := img.RawManifest()
	if err == nil {
		err = checkManifest(raw)
	}
	if err != nil {
		return nil, err
	}
	if err := o.trusted(ctx, e, ref, desc, img); err != nil {
		return nil, err
	}
	manifest, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	config, diffs, err := configuration(img, o.Platform)
	if err != nil {
		return nil, err
	}
	if len(diffs) != len(manifest.Layers) {
		return nil, fmt.Errorf("the manifest has %d layers, the configuration %d", len(manifest.Layers), len(diffs))
	}
	record := layers.Image{Names: []string{ref.String()}, Config: config, Manifest: raw, Digest: digest.Digest(desc.Digest.String())}
	if o.Ref != ref.String() {
		record.Aliases = []string{o.Ref}
	}
	if stored, err := o.adopt(ctx, record); stored != nil || err != nil {
		return &Result{Image: stored, Digest: record.Digest.String()}, err
	}
	store, err := layers.Open(o.Dirs)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	p := &pull{o: o, img: img, store: store, layers: manifest.Layers, diffs: diffs}
	stored, err := p.into(ctx, record)
	if err != nil {
		return nil, err
	}
	return &Result{stored, p.squashed.Load(), record.Digest.String()}, nil
}

// choose picks the platform's image of an index.
func choose(desc *remote.Descriptor, platform string) (v1.Image, error) {
	if isSchema1(desc.MediaType) {
		return nil, errSchema1
	}
	if desc.MediaType.IsIndex() {
		if err := checkIndex(desc.Manifest); err != nil {
			return nil, err
		}
	}
	img, err := desc.Image()
	if err == nil || !desc.MediaType.IsIndex() {
		return img, err
	}
	index, indexErr := desc.ImageIndex()
	if indexErr != nil {
		return nil, err
	}
	list, indexErr := index.IndexManifest()
	if indexErr != nil {
		return nil, err
	}
	var have []string
	for _, m := range list.Manifests {
		if m.Platform != nil && m.Platform.OS != "unknown" {
			have = append(have, m.Platform.String())
		}
	}
	want, _ := parsePlatform(platform)
	return nil, fmt.Errorf("no image for platform %s; there are: %s", want.String(), strings.Join(have, ", "))
}

func configuration(img v1.Image, platform string) (raw []byte, diffs []digest.Digest, err error) {
	if raw, err = img.RawConfigFile(); err != nil {
		return nil, nil, err
	}
	other, err := OtherPlatform(raw, platform)
	if err != nil {
		return nil, nil, err
	}
	if other != "" {
		want, _ := parsePlatform(platform)
		return nil, nil, fmt.Errorf("the image is for platform %s, not %s", other, want.String())
	}
	diffs, err = parseDiffs(raw)
	return raw, diffs, err
}

// blobs are the layers of an image in a registry, an archive or another store.
type blobs interface {
	LayerByDigest(v1.Hash) (v1.Layer, error)
}

type pull struct {
	o        PullOptions
	img      blobs
	store    *layers.Store
	layers   []v1.Descriptor
	diffs    []digest.Digest
	slots    chan struct{} // as many as layers are fetched at once
	squashed atomic.Bool
}

// mostRounds: a removal beside a pull may take layers that the pull has found.
const mostRounds = 3

// into brings the layers and then the image that is made of them into the
// store. The result holds the image until it is closed.
func (p *pull) into(ctx context.Context, record layers.Image) (stored *storage.Image, err error) {
	p.slots = make(chan struct{}, layersAtOnce)
	for range mostRounds {
		if record.Layer, err = p.round(ctx); err == nil {
			stored, err = p.store.PutImage(record)
		}
		if !errors.Is(err, layers.ErrGone) {
			break
		}
	}
	return stored, err
}

// step is one layer on its way into the store.
type step struct {
	index         int
	parent, chain digest.Digest
	below, done   chan struct{} // closed when the layer below, this layer is in the store
}

// round unpacks missing layers side by side, and commits each as soon as what
// is below it is there: others may wait for it.
func (p *pull) round(ctx context.Context) (top digest.Digest, err error) {
	group, ctx := errgroup.WithContext(ctx)
	below := make(chan struct{})
	close(below)
	for i := range p.layers {
		at := step{index: i, parent: top, chain: layers.ChainID(top, p.diffs[i]), below: below, done: make(chan struct{})}
		top, below = at.chain, at.done
		if p.store.HasLayer(at.chain) {
			p.o.Progress.Done(p.layers[i].Digest.String(), true)
			close(at.done)
			continue
		}
		p.o.Progress.Start(p.layers[i].Digest.String(), p.layers[i].Size)
		group.Go(func() error {
			if err := p.bring(ctx, at); err != nil {
				return fmt.Errorf("layer %s: %w", p.layers[i].Digest, err)
			}
			close(at.done)
			return nil
		})
	}
	return top, group.Wait()
}

// bring has the layer in the store when it returns, by its own work or another's.
func (p *pull) bring(ctx context.Context, at step) error {
	release, err := p.store.Claim(ctx, at.chain)
	if err != nil {
		return err
	}
	defer release()
	desc := p.layers[at.index]
	if p.store.HasLayer(at.chain) {
		p.o.Progress.Done(desc.Digest.String(), true)
		return nil
	}
	staged, size, err := p.stage(ctx, at.index)
	if err != nil {
		return err
	}
	select {
	case <-at.below:
	case <-ctx.Done():
		return errors.Join(ctx.Err(), staged.Abort())
	}
	blob := layers.Blob{Digest: digest.Digest(desc.Digest.String()), Size: desc.Size, MediaType: string(desc.MediaType)}
	if _, err := staged.Commit(at.parent, p.diffs[at.index], size, blob); err != nil {
		return errors.Join(err, staged.Abort())
	}
	p.o.Progress.Done(desc.Digest.String(), false)
	return nil
}

// stage fetches and unpacks a layer when it is its turn.
func (p *pull) stage(ctx context.Context, i int) (staged *layers.Staging, size int64, err error) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
	if l, ok := p.o.Shared.Layer(p.diffs[i].String()); ok { // what cannot be read there, or was changed, is fetched
		if staged, size, err = p.unpack(ctx, i, sharedLayers{p.layers[i].Digest: storedLayer{l}}); err == nil || ctx.Err() != nil {
			return staged, size, err
		}
	}
	return p.unpack(ctx, i, p.img)
}

// unpack unpacks a layer from where it is.
func (p *pull) unpack(ctx context.Context, i int, from blobs) (staged *layers.Staging, size int64, err error) {
	if staged, err = p.store.StageLayer(); err != nil {
		return nil, 0, err
	}
	if size, err = p.layer(ctx, i, from, staged); err != nil {
		return nil, 0, errors.Join(err, staged.Abort())
	}
	return staged, size, nil
}

// layer downloads, checks, inflates and unpacks at once. The digest of the
// blob is checked by the reader of the registry, that of the archive here.
func (p *pull) layer(ctx context.Context, i int, from blobs, staged *layers.Staging) (int64, error) {
	dir := int(staged.Dir.Fd())
	if size, most := p.layers[i].Size, room(dir); size > most {
		return 0, fmt.Errorf("it has %d bytes, more than the %d that are taken", size, most)
	}
	layer, err := from.LayerByDigest(p.layers[i].Digest)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	kind, err := layer.MediaType() // as it lies there: a layer of another store is not compressed as the registry's is
	if err != nil {
		return 0, err
	}
	body, err := layer.Compressed()
	if err != nil {
		return 0, err
	}
	var once sync.Once
	shut := func() { once.Do(func() { body.Close() }) }
	defer shut()
	defer context.AfterFunc(ctx, shut)()
	watched := newWatch(body, cancel, func(n int64) { p.o.Progress.Advance(p.layers[i].Digest.String(), n) })
	defer watched.stop()
	plain, err := inflate(watched, string(kind))
	if err != nil {
		return 0, cause(ctx, err)
	}
	var closing sync.Once // pgzip cannot be closed twice
	end := func() { closing.Do(func() { plain.Close() }) }
	defer end()
	checked := &counter{r: plain, sum: sha256.New()}
	_, squashed, err := Unpack(ctx, dir, checked, UnpackOptions{SingleID: p.o.SingleID, Frame: staged.Frame, Framed: &staged.Framed, Marked: &staged.Marked})
	if err == nil { // what follows the archive's end belongs to both digests
		_, err = io.Copy(io.Discard, checked)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, watched)
	}
	if err != nil {
		end()
		return 0, blame(ctx, err, watched)
	}
	if got := fmt.Sprintf("sha256:%x", checked.sum.Sum(nil)); got != p.diffs[i].String() {
		return 0, fmt.Errorf("the unpacked layer has the digest %s, the configuration says %s", got, p.diffs[i])
	}
	if squashed {
		p.squashed.Store(true)
	}
	return checked.n, nil
}

// blame reads the rest of the blob: when its digest is wrong, that is why the
// content made no sense.
func blame(ctx context.Context, err error, rest io.Reader) error {
	if ctx.Err() == nil {
		if _, wrong := io.Copy(io.Discard, io.LimitReader(rest, maxBlame)); wrong != nil && ctx.Err() == nil {
			return fmt.Errorf("%w (%w)", wrong, err)
		}
	}
	return cause(ctx, err)
}

func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}

// inflate by what the data begin with: media types lie now and then.
func inflate(r io.Reader, mediaType string) (io.ReadCloser, error) {
	head := make([]byte, 6)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	all := io.MultiReader(strings.NewReader(string(head[:n])), r)
	switch {
	case n >= 2 && head[0] == 0x1f && head[1] == 0x8b:
		return pgzip.NewReaderN(all, 1<<20, 4)
	case n >= 4 && head[0] == 0x28 && head[1] == 0xb5 && head[2] == 0x2f && head[3] == 0xfd:
		z, err := zstd.NewReader(all, zstd.WithDecoderConcurrency(2), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	case n >= 3 && string(head[:3]) == "BZh":
		return io.NopCloser(bzip2.NewReader(all)), nil
	case n == 6 && string(head) == "\xfd7zXZ\x00":
		x, err := xz.NewReader(all)
		if err != nil {
			return nil, err
		}
		return io.NopCloser(x), nil
	case strings.HasSuffix(mediaType, "gzip"), strings.HasSuffix(mediaType, "zstd"):
		return nil, fmt.Errorf("the layer is not what its media type %s says, or is cut off", mediaType)
	}
	return io.NopCloser(all), nil
}

// counter hashes and counts what is read.
type counter struct {
	r   io.Reader
	sum hash.Hash
	n   int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.sum.Write(b[:n])
	c.n += int64(n)
	return n, err
}

// watch ends a pull whose registry falls silent.
type watch struct {
	mu    sync.Mutex // an inflater that was given up may still read ahead
	r     io.Reader
	tell  func(int64)
	timer *time.Timer
}

func newWatch(r io.Reader, cancel context.CancelCauseFunc, tell func(int64)) *watch {
	return &watch{r: r, tell: tell, timer: time.AfterFunc(stall, func() {
		cancel(fmt.Errorf("the registry sent nothing for %s", stall))
	})}
}

func (w *watch) Read(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.r.Read(b)
	if n > 0 {
		w.timer.Reset(stall)
		w.tell(int64(n))
	}
	return n, err
}

func (w *watch) stop() { w.timer.Stop() }
