package image

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
	"github.com/klauspost/pgzip"
	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"

	"containers/rl/storage"
)

// The kinds of manifests that can be written, by podman's names.
const (
	FormatOCI    = "oci"
	FormatDocker = "v2s2"
)

// Compression of layers that are written.
const (
	Gzip = "gzip"
	Zstd = "zstd"
	None = ""
)

const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	dockerLayer    = "application/vnd.docker.image.rootfs.diff.tar"
)

// layerType is the media type of a layer. Docker has none for what is not
// compressed by gzip; podman writes its name for gzip then, too.
func layerType(format, compression string) string {
	switch {
	case format == FormatDocker && compression == Zstd:
		return dockerLayer + ".zstd"
	case format == FormatDocker:
		return dockerLayer + ".gzip"
	case compression == None:
		return imagespec.MediaTypeImageLayer
	}
	return imagespec.MediaTypeImageLayer + "+" + compression
}

// blob is content with its digest.
type blob struct {
	desc imagespec.Descriptor
	open func() (io.ReadCloser, error)
}

func textBlob(kind string, text []byte) blob {
	return blob{imagespec.Descriptor{MediaType: kind, Digest: digest.FromBytes(text), Size: int64(len(text))},
		func() (io.ReadCloser, error) { return io.NopCloser(bytesReader(text)), nil }}
}

// plainBlob is a layer's archive as it is.
func (l storedLayer) plainBlob(ctx context.Context, kind string) blob {
	return blob{imagespec.Descriptor{MediaType: kind, Digest: l.DiffID, Size: l.Size}, func() (io.ReadCloser, error) { return l.open(ctx), nil }}
}

// compressed writes a layer's archive to a file without a name, as its digest
// must be known before it is sent. The file goes with its descriptor.
func (l storedLayer) compressed(ctx context.Context, d storage.Dirs, kind, compression string) (_ blob, err error) {
	tmp, err := unnamed(d)
	if err != nil {
		return blob{}, err
	}
	defer func() {
		if err != nil {
			tmp.Close()
		}
	}()
	sum := &countedSum{w: tmp, sum: sha256.New()}
	z, err := compressor(sum, compression)
	if err != nil {
		return blob{}, err
	}
	archive := l.open(ctx)
	defer archive.Close()
	if _, err = io.Copy(z, archive); err != nil {
		return blob{}, err
	}
	if err = z.Close(); err != nil {
		return blob{}, fmt.Errorf("compressing layer %s: %w", l.DiffID, err)
	}
	desc := imagespec.Descriptor{MediaType: kind, Digest: digest.NewDigest(digest.SHA256, sum.sum), Size: sum.n}
	return blob{desc, func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(tmp, 0, desc.Size)), nil }}, nil
}

// unnamed makes a file on the store's disk that nobody can find.
func unnamed(d storage.Dirs) (*os.File, error) {
	tmp, err := os.CreateTemp(d.Data, ".blob-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(tmp.Name()); err != nil {
		tmp.Close()
		return nil, err
	}
	return tmp, nil
}

func compressor(w io.Writer, kind string) (io.WriteCloser, error) {
	switch kind {
	case Zstd:
		return zstd.NewWriter(w)
	case Gzip:
		z := pgzip.NewWriter(w)
		return z, z.SetConcurrency(1<<20, 4)
	}
	return nil, fmt.Errorf("unsupported compression format %q: gzip or zstd", kind)
}

// makeManifest describes an image of a format. What the manifest that it came with
// says of the image, and not of blobs, is kept where the format has a place for it.
func makeManifest(format string, config imagespec.Descriptor, layers []blob, came []byte) ([]byte, error) {
	m := imagespec.Manifest{MediaType: imagespec.MediaTypeImageManifest, Config: config, Layers: []imagespec.Descriptor{}}
	if format == FormatDocker {
		m.MediaType = dockerManifest
	} else if was, err := parseManifest(came); err == nil {
		m.Annotations, m.Subject, m.ArtifactType = was.Annotations, was.Subject, was.ArtifactType
	}
	m.SchemaVersion = 2
	for _, l := range layers {
		m.Layers = append(m.Layers, l.desc)
	}
	return json.Marshal(m)
}

func configType(format string) string {
	if format == FormatDocker {
		return dockerConfig
	}
	return imagespec.MediaTypeImageConfig
}

func parseManifest(text []byte) (m imagespec.Manifest, err error) {
	err = json.Unmarshal(text, &m)
	return m, err
}

// formatOf is the format that a manifest has.
func formatOf(manifest []byte) string {
	var m struct {
		MediaType string `json:"mediaType"`
		Config    struct {
			MediaType string `json:"mediaType"`
		} `json:"config"`
	}
	if json.Unmarshal(manifest, &m) == nil && (m.MediaType == dockerManifest || m.MediaType == "" && m.Config.MediaType == dockerConfig) {
		return FormatDocker
	}
	return FormatOCI
}
