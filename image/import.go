package image

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"os"
	"time"

	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"

	"containers/rl/storage"
	"containers/rl/storage/layers"
)

// ImportOptions describe an image that is made of an archive of files.
type ImportOptions struct {
	Dirs              storage.Dirs
	Name              string // full; "" for none
	Changes           []string
	Message           string
	OS, Arch, Variant string
	SingleID          bool
	From              string // the archive, as it was given
	Policy            string // signature policy instead of the usual ones
}

// Import makes an image of one layer, the archive, which may be compressed. It
// gives its id.
func Import(ctx context.Context, o ImportOptions, file io.Reader) (id string, squashed bool, err error) {
	if err := trustedFile(o.Policy, "tarball", o.From); err != nil {
		return "", false, err
	}
	config, err := o.configuration()
	if err != nil {
		return "", false, err
	}
	plain, err := inflate(file, "")
	if err != nil {
		return "", false, err
	}
	defer plain.Close()
	store, err := layers.Open(o.Dirs)
	if err != nil {
		return "", false, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	staged, err := store.StageLayer()
	if err != nil {
		return "", false, err
	}
	defer func() { err = errors.Join(err, staged.Abort()) }()
	sum := &counter{r: plain, sum: sha256.New()}
	_, squashed, err = Unpack(ctx, int(staged.Dir.Fd()), sum, UnpackOptions{SingleID: o.SingleID, Frame: staged.Frame, Framed: &staged.Framed, Marked: &staged.Marked})
	if err == nil {
		_, err = io.Copy(io.Discard, sum)
	}
	if err != nil {
		return "", false, err
	}
	if sum.n == 0 {
		return "", false, errors.New("the archive is empty")
	}
	diff := digest.NewDigest(digest.SHA256, sum.sum)
	top, err := staged.Commit("", diff, sum.n, layers.Blob{Digest: diff, Size: sum.n, MediaType: imagespec.MediaTypeImageLayer})
	if err != nil {
		return "", false, err
	}
	now := time.Now().UTC()
	config.Created, config.RootFS = &now, imagespec.RootFS{Type: "layers", DiffIDs: []digest.Digest{diff}}
	config.History = []imagespec.History{{Created: &now, CreatedBy: "/bin/sh -c #(nop) ADD file:" + diff.Encoded() + " in /", Comment: o.Message}}
	raw, err := json.Marshal(config)
	if err != nil {
		return "", false, err
	}
	manifest, err := committedManifest(raw, config.RootFS.DiffIDs, sum.n)
	if err != nil {
		return "", false, err
	}
	var names []string
	if o.Name != "" {
		names = []string{o.Name}
	}
	img, err := store.PutImage(layers.Image{Names: names, Config: raw, Manifest: manifest, Digest: digest.FromBytes(manifest), Layer: top})
	if err != nil {
		return "", false, err
	}
	return img.ID, squashed, img.Close()
}

// configuration is the image's but for its files.
func (o ImportOptions) configuration() (config fullConfig, err error) {
	host := hostPlatform()
	config.Platform = imagespec.Platform{OS: or(o.OS, host.OS), Architecture: or(o.Arch, host.Architecture), Variant: o.Variant}
	return config, applyChanges(&config.Config, o.Changes)
}

func or(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// CheckChanges says what is wrong with lines of a Dockerfile before anything is read.
func CheckChanges(changes []string) error {
	return applyChanges(&runConfig{}, changes)
}

// Fetched opens what is at a URL, or a file; the caller closes it.
func Fetched(ctx context.Context, from string) (io.ReadCloser, error) {
	if !IsURL(from) {
		return os.Open(from)
	}
	return download(ctx, from)
}
