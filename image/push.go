package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"

	"containers/rl/storage"
)

// PushOptions describe one push to a registry.
type PushOptions struct {
	Dirs        storage.Dirs
	Ref         string // of the image here
	To          string // full name there
	Format      string // FormatOCI, FormatDocker, or "" for the one that the image has
	Compression string
	Access
	Tell func(string) `json:"-"`
}

// Pushed is what a registry has got.
type Pushed struct {
	Digest digest.Digest
	Size   int
}

// Push sends an image to a registry. Layers that are there are not sent; when
// all are, and nothing else was asked for, the manifest is the one that the
// image came with.
func Push(ctx context.Context, o PushOptions) (Pushed, error) {
	img, err := openStored(ctx, o.Dirs, o.Ref)
	if err != nil {
		return Pushed{}, err
	}
	defer img.Close()
	target, options, err := o.target(ctx)
	if err != nil {
		return Pushed{}, err
	}
	p := &pusher{o: o, img: img, repository: target.Context(), options: options}
	manifest, format, err := p.blobs(ctx)
	if err != nil {
		return Pushed{}, fmt.Errorf("pushing %s: %w", o.To, explain(err))
	}
	o.tell("Writing manifest to image destination")
	if err := remote.Put(target, rawManifest{manifest, manifestType(format)}, options...); err != nil {
		return Pushed{}, fmt.Errorf("pushing %s: %w", o.To, explain(err))
	}
	return Pushed{digest.FromBytes(manifest), len(manifest)}, nil
}

func (o PushOptions) tell(format string, args ...any) {
	if o.Tell != nil {
		o.Tell(fmt.Sprintf(format, args...))
	}
}

// target is where registries.conf says that the name is, without the mirrors.
func (o PushOptions) target(ctx context.Context) (name.Reference, []remote.Option, error) {
	ref, err := ParseReference(o.To)
	if err != nil {
		return nil, nil, err
	}
	return o.Access.reference(ctx, ref)
}

func (a Access) reference(ctx context.Context, ref Reference) (name.Reference, []remote.Option, error) {
	registries, err := LoadRegistries(a.getenv)
	if err != nil {
		return nil, nil, err
	}
	endpoints, err := registries.Endpoints(ref)
	if err != nil {
		return nil, nil, err
	}
	e := endpoints[len(endpoints)-1]
	options, names, err := a.options(ctx, e)
	if err != nil {
		return nil, nil, err
	}
	target, err := name.ParseReference(e.Name+ref.suffix(), names...)
	return target, options, err
}

func (r Reference) suffix() string {
	if r.Digest != "" {
		return "@" + r.Digest
	}
	return ":" + r.Tag
}

// rawManifest is what a registry is given under a name.
type rawManifest struct {
	text []byte
	kind string
}

func (m rawManifest) RawManifest() ([]byte, error)        { return m.text, nil }
func (m rawManifest) MediaType() (types.MediaType, error) { return types.MediaType(m.kind), nil }

func manifestType(format string) string {
	if format == FormatDocker {
		return dockerManifest
	}
	return imagespec.MediaTypeImageManifest
}

type pusher struct {
	o          PushOptions
	img        *stored
	repository name.Repository
	options    []remote.Option
}

// blobs sends what is not there, and gives the manifest.
func (p *pusher) blobs(ctx context.Context) (manifest []byte, format string, err error) {
	format = formatOf(p.img.manifest)
	own := p.img.manifest != nil && (p.o.Format == "" || p.o.Format == format) && p.o.Compression == ""
	if p.o.Format != "" {
		format = p.o.Format
	}
	compression := or(p.o.Compression, Gzip)
	original := p.img.original()
	var list []blob
	for i, l := range p.img.layers {
		if own && original != nil && p.has(original[i]) {
			p.o.tell("Copying blob %s skipped: already exists", original[i].Digest)
			list = append(list, blob{desc: original[i]})
			continue
		}
		own = false
		p.o.tell("Copying blob %s", l.DiffID)
		b, err := l.compressed(ctx, p.o.Dirs, layerType(format, compression), compression)
		if err == nil {
			err = p.send(b)
		}
		if err != nil {
			return nil, "", err
		}
		list = append(list, b)
	}
	p.o.tell("Copying config %s", p.img.id)
	config := textBlob(configType(format), p.img.config)
	if err := p.send(config); err != nil {
		return nil, "", err
	}
	if own && original != nil {
		return p.img.manifest, format, nil
	}
	manifest, err = makeManifest(format, config.desc, list, p.img.manifest)
	return manifest, format, err
}

// original are the layers as the image's own manifest has them; nil when it has none
// that a registry takes.
func (s *stored) original() []imagespec.Descriptor {
	m, err := parseManifest(s.manifest)
	if err != nil || len(m.Layers) != len(s.layers) || m.Config.Digest != s.id {
		return nil
	}
	return m.Layers
}

// has asks whether a blob is in the repository.
func (p *pusher) has(d imagespec.Descriptor) bool {
	l, err := remote.Layer(p.repository.Digest(d.Digest.String()), p.options...)
	if err != nil {
		return false
	}
	ok, err := partialExists(l)
	return err == nil && ok
}

func partialExists(l v1.Layer) (bool, error) {
	if e, ok := l.(interface{ Exists() (bool, error) }); ok {
		return e.Exists()
	}
	_, err := l.Size()
	return err == nil, err
}

func (p *pusher) send(b blob) error {
	return remote.WriteLayer(p.repository, blobLayer{b}, p.options...)
}

// blobLayer is a blob as the registry's client sees a layer.
type blobLayer struct{ blob }

func (l blobLayer) Digest() (v1.Hash, error) { return v1.NewHash(l.desc.Digest.String()) }
func (l blobLayer) DiffID() (v1.Hash, error) {
	return v1.Hash{}, errors.New("the diff id of a blob is not known")
}
func (l blobLayer) Compressed() (io.ReadCloser, error) { return l.open() }
func (l blobLayer) Uncompressed() (io.ReadCloser, error) {
	return nil, errors.New("a blob is sent as it is")
}
func (l blobLayer) Size() (int64, error) { return l.desc.Size, nil }
func (l blobLayer) MediaType() (types.MediaType, error) {
	return types.MediaType(l.desc.MediaType), nil
}

// Transports of containers-transports(5) that are files or directories.
var fileTransports = map[string]string{"dir": DockerDir, "oci": OCIDir, "oci-archive": OCIArchive, "docker-archive": DockerArchive}

// Transport splits TRANSPORT:PATH[:NAME]. form is "" for a registry.
func Transport(text string) (form, path, ref string, err error) {
	kind, rest, ok := strings.Cut(text, ":")
	if form = fileTransports[kind]; ok && form != "" {
		if path = rest; form != DockerDir {
			path, ref, _ = strings.Cut(rest, ":")
		}
		if path == "" {
			return "", "", "", fmt.Errorf("%s: a path is needed", text)
		}
		return form, path, ref, nil
	}
	for _, other := range []string{"docker-daemon", "containers-storage", "ostree", "sif", "tarball"} {
		if ok && kind == other {
			return "", "", "", fmt.Errorf("%s: the transport %s is not supported: docker://, dir:, oci:, oci-archive: and docker-archive: are", text, other)
		}
	}
	return "", "", strings.TrimPrefix(text, "docker://"), nil
}
