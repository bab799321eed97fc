package image

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"containers/rl/storage"
	"containers/rl/storage/flat"
	"containers/rl/storage/layers"
)

// CommitOptions describe an image that is made of another and a container's
// changes.
type CommitOptions struct {
	Dirs     storage.Dirs
	ImageID  string
	Upper    string          // the container's directory of changes; or
	Copy     *storage.Copy   // its copy of the image
	Hidden   map[string]bool // paths in it that only hold a place to mount on, when they are empty
	Name     string          // "" for none
	Settings storage.Settings
	Exposed  []string        // PORT/PROTOCOL, beside the image's
	Signal   string          // that stops it; "": the image's
	Health   json.RawMessage // in docker's form; none: the image's
	Changes  []string        // lines of a Dockerfile
	Author   string
	Message  string
	By       string // the command that made the changes
	SingleID bool
	Kept     *[2]uint32 // with --userns keep-id: the user's uid and gid in the container
}

// Commit makes the image and gives its id. It runs as root of the user namespace
// that containers have, but for those with Kept.
func Commit(ctx context.Context, o CommitOptions) (id string, err error) {
	base, err := o.Dirs.Lookup(o.ImageID)
	if err != nil {
		return "", err
	}
	defer base.Close()
	var config fullConfig
	if err := json.Unmarshal(base.Config, &config); err != nil {
		return "", fmt.Errorf("reading the configuration of image %s: %w", o.ImageID, err)
	}
	config.Config.of(o)
	if err := applyChanges(&config.Config, o.Changes); err != nil {
		return "", err
	}
	var names []string
	if o.Name != "" {
		name, err := LocalName(o.Name)
		if err != nil {
			return "", err
		}
		names = []string{name}
	}
	store, err := layers.Open(o.Dirs)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if base.Store != "" {
		if err := ownLayers(ctx, store, base, o.SingleID); err != nil {
			return "", err
		}
	}
	parent := digest.Digest("")
	for _, d := range config.RootFS.DiffIDs {
		parent = layers.ChainID(parent, d)
	}
	diff, size, top, err := commitLayer(ctx, store, o, base.Layers, parent)
	if err != nil {
		return "", err
	}
	now := time.Now().UTC()
	config.Created, config.Author = &now, o.Author
	config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, diff)
	config.History = append(config.History, imagespec.History{Created: &now, CreatedBy: o.By, Author: o.Author, Comment: o.Message})
	raw, err := json.Marshal(config)
	if err != nil {
		return "", err
	}
	manifest, err := committedManifest(raw, config.RootFS.DiffIDs, size)
	if err != nil {
		return "", err
	}
	img, err := store.PutImage(layers.Image{Names: names, Config: raw, Manifest: manifest, Digest: digest.FromBytes(manifest), Layer: top})
	if err != nil {
		return "", err
	}
	defer img.Close()
	return img.ID, nil
}

// committedManifest names the layers by what they hold: nothing is compressed
// here.
func committedManifest(config []byte, diffs []digest.Digest, last int64) ([]byte, error) {
	m := imagespec.Manifest{MediaType: imagespec.MediaTypeImageManifest,
		Config: imagespec.Descriptor{MediaType: imagespec.MediaTypeImageConfig, Digest: digest.FromBytes(config), Size: int64(len(config))}}
	m.SchemaVersion = 2
	for i, d := range diffs {
		l := imagespec.Descriptor{MediaType: imagespec.MediaTypeImageLayer, Digest: d}
		if i == len(diffs)-1 {
			l.Size = last
		}
		m.Layers = append(m.Layers, l)
	}
	return json.Marshal(m)
}

// changesFor says what goes into the layer: all of an overlay's upper directory, or
// what a copy has and the image has not.
func changesFor(o CommitOptions, layers []string) (PackOptions, error) {
	opts := PackOptions{Name: ".", Layer: true, Hidden: o.Hidden}
	if o.Copy == nil {
		return opts, nil
	}
	list, err := flat.ChangesOf(o.Copy.Root, layers, flat.Copied{Since: o.Copy.Since, Hidden: o.Hidden})
	opts.Only, opts.Gone = map[string]bool{}, map[string][]string{}
	for _, c := range list {
		if c.Kind == flat.Deleted {
			opts.Gone[path.Dir(c.Path)] = append(opts.Gone[path.Dir(c.Path)], path.Base(c.Path))
		} else {
			opts.Only[c.Path] = true
		}
	}
	return opts, err
}

// commitLayer writes the changes as a layer's archive, and unpacks that into
// the store at once: what is in the store has the digest that the image says.
func commitLayer(ctx context.Context, store *layers.Store, o CommitOptions, lower []string, parent digest.Digest) (diff digest.Digest, size int64, top digest.Digest, err error) {
	dir := o.Upper
	if o.Copy != nil {
		dir = o.Copy.Root
	}
	upper, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", 0, "", fmt.Errorf("opening %s: %w", dir, err)
	}
	defer unix.Close(upper)
	changes, err := changesFor(o, lower)
	if err != nil {
		return "", 0, "", err
	}
	if o.Kept != nil {
		whose, err := openOwners(*o.Kept, lower)
		if err != nil {
			return "", 0, "", err
		}
		defer whose.close() // when the packing has ended
		changes.Owner = whose.of
	}
	staged, err := store.StageLayer()
	if err != nil {
		return "", 0, "", err
	}
	defer func() { err = errors.Join(err, staged.Abort()) }()
	reader, writer := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		w := tar.NewWriter(writer)
		err := Pack(w, upper, ".", changes)
		err = errors.Join(err, w.Close())
		writer.CloseWithError(err)
		packed <- err
	}()
	sum := &counter{r: reader, sum: sha256.New()}
	_, _, err = Unpack(ctx, int(staged.Dir.Fd()), sum, UnpackOptions{SingleID: o.SingleID, Frame: staged.Frame, Framed: &staged.Framed, Marked: &staged.Marked})
	if err == nil {
		_, err = io.Copy(io.Discard, sum)
	}
	reader.CloseWithError(err)
	if err = errors.Join(err, <-packed); err != nil {
		return "", 0, "", err
	}
	diff = digest.NewDigest(digest.SHA256, sum.sum)
	top, err = staged.Commit(parent, diff, sum.n, layers.Blob{Digest: diff, Size: sum.n, MediaType: imagespec.MediaTypeImageLayer})
	return diff, sum.n, top, err
}
