package image

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"containers/rl/storage"
	"containers/rl/storage/layers"
	"containers/rl/storage/shared"
)

// stored is an image of the store, to be written elsewhere. Its reader is root
// of the user namespace that the store has.
type stored struct {
	id       digest.Digest // of the configuration
	names    []string
	config   []byte
	manifest []byte // as it came; nil when the image had to be changed
	layers   []storedLayer
	image    *storage.Image // held
}

type storedLayer struct{ layers.Layer }

// openStored finds an image. Layers that cannot be written as they came get
// another digest, and the image with them another id.
func openStored(ctx context.Context, d storage.Dirs, ref string) (_ *stored, err error) {
	img, err := d.Lookup(ref)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			img.Close()
		}
	}()
	s := &stored{id: digest.NewDigestFromEncoded(digest.SHA256, img.ID), config: img.Config, image: img}
	if full, err := d.FullName(ref); err == nil {
		s.names = []string{full}
	}
	list, err := s.find(d)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", ref, err)
	}
	for _, l := range list {
		s.layers = append(s.layers, storedLayer{l})
	}
	return s, s.settle(ctx)
}

// find gives the layers and the manifest, of our store or of another's.
func (s *stored) find(d storage.Dirs) (list []layers.Layer, err error) {
	if s.image.Store != "" {
		there, err := shared.Read(s.image.Store, s.image.ID)
		if err != nil {
			return nil, err
		}
		s.manifest, err = there.Manifest()
		return there.Layers, err
	}
	diffs, err := parseDiffs(s.config)
	if err != nil {
		return nil, err
	}
	records, err := layers.ReadRecords(d)
	if err != nil {
		return nil, err
	}
	if list, err = records.LayersOf(d, diffs); err != nil {
		return nil, err
	}
	s.manifest, err = layers.Manifest(d, s.image.ID)
	return list, err
}

// Close lets go of the image.
func (s *stored) Close() { s.image.Close() }

// parseDiffs gives the digests of an image's layers, for whatever platform it is.
func parseDiffs(config []byte) ([]digest.Digest, error) {
	var c imagespec.Image
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	for _, d := range c.RootFS.DiffIDs {
		if err := d.Validate(); err != nil {
			return nil, fmt.Errorf("reading the configuration: diff id %q: %w", d, err)
		}
	}
	return c.RootFS.DiffIDs, nil
}

// settle finds the digests of layers without a frame.
func (s *stored) settle(ctx context.Context) error {
	changed := false
	for i := range s.layers {
		l := &s.layers[i]
		if l.whole() {
			continue
		}
		sum := sha256.New()
		n := &counter{r: readerOf(ctx, l.pack), sum: sum}
		if _, err := io.Copy(io.Discard, n); err != nil {
			return err
		}
		changed = true
		l.DiffID, l.Size, l.Blob = digest.NewDigest(digest.SHA256, sum), n.n, ""
	}
	if !changed {
		return nil
	}
	var whole map[string]json.RawMessage
	var rootfs imagespec.RootFS
	if err := json.Unmarshal(s.config, &whole); err != nil {
		return err
	}
	rootfs.Type = "layers"
	for _, l := range s.layers {
		rootfs.DiffIDs = append(rootfs.DiffIDs, l.DiffID)
	}
	text, err := json.Marshal(rootfs)
	if err != nil {
		return err
	}
	whole["rootfs"] = text
	if s.config, err = json.Marshal(whole); err != nil {
		return err
	}
	s.id, s.manifest = digest.FromBytes(s.config), nil
	return nil
}

// readerOf gives what a function writes.
func readerOf(ctx context.Context, write func(context.Context, io.Writer) error) io.ReadCloser {
	r, w := io.Pipe()
	go func() { w.CloseWithError(write(ctx, w)) }()
	return r
}

// open gives the layer's archive. What is not what the digest says is an error
// at its end.
func (l storedLayer) open(ctx context.Context) io.ReadCloser {
	return readerOf(ctx, func(ctx context.Context, w io.Writer) error {
		sum := sha256.New()
		write := l.rebuild
		if !l.whole() {
			write = l.pack
		}
		if err := write(ctx, io.MultiWriter(w, sum)); err != nil {
			return fmt.Errorf("layer %s: %w", l.DiffID, err)
		}
		if got := digest.NewDigest(digest.SHA256, sum); got != l.DiffID {
			return fmt.Errorf("layer %s in the store was changed: its digest is %s: rl system check --repair", l.DiffID, got)
		}
		return nil
	})
}

// whole says that the layer can be written as the archive that it came as.
func (l storedLayer) whole() bool { return l.Frame != "" || l.Split != "" }

func (l storedLayer) rebuild(ctx context.Context, w io.Writer) error {
	return l.within(func(root int) error { return l.assemble(ctx, w, filesOf(root)) })
}

// assemble writes the archive with files of this content.
func (l storedLayer) assemble(ctx context.Context, w io.Writer, files fileContent) error {
	name, write := l.Frame, rebuildFrame
	if name == "" {
		name, write = l.Split, rebuildSplit
	}
	frame, err := os.Open(name)
	if err != nil {
		return err
	}
	defer frame.Close()
	return write(ctx, w, frame, files)
}

// pack makes an archive of the layer's files anew.
func (l storedLayer) pack(_ context.Context, w io.Writer) error {
	return l.within(func(root int) error {
		t := tar.NewWriter(w)
		return errors.Join(Pack(t, root, ".", PackOptions{Name: ".", Layer: true}), t.Close())
	})
}

func (l storedLayer) within(do func(root int) error) error {
	root, err := unix.Open(l.Dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening %s: %w", l.Dir, err)
	}
	defer unix.Close(root)
	return do(root)
}
