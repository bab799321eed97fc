package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"

	"containers/rl/storage"
	"containers/rl/storage/layers"
)

// LoadOptions describe the loading of an archive.
type LoadOptions struct {
	File     *os.File // docker-archive or oci-archive, compressed or not; it need not be seekable
	Dir      string   // an OCI layout, or the form of the transport dir, instead
	Only     string   // name of the one image that is wanted, or @INDEX of a docker-archive; "" is all
	Name     string   // full name for an image without one
	Dirs     storage.Dirs
	Progress Progress
	SingleID bool
	Path     string // of the file or directory, absolute and without links: the policy may tell by it; "" for what has none
	Policy   string // signature policy instead of the usual ones
}

// Loaded is an image of an archive.
type Loaded struct {
	ID       string
	Names    []string // none when the archive gives none
	Squashed bool
}

// errNoFormat is podman's.
var errNoFormat = errors.New("payload does not match any of the supported image formats: docker-archive, oci-archive, oci-dir, docker-dir")

// Load brings all images of an archive into the store: what `docker save`
// writes, or an OCI image layout in a tar. Every blob is checked against the
// digest that leads to it.
func Load(ctx context.Context, o LoadOptions) (list []Loaded, err error) {
	a, err := openSource(o)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoFormat, err)
	}
	defer a.close()
	images, err := a.images()
	if err != nil {
		return nil, fmt.Errorf("reading the archive: %w", err)
	}
	if images, err = o.wanted(a.transport(), images); err != nil {
		return nil, err
	}
	if err := trustedFile(o.Policy, a.transport(), o.Path); err != nil {
		return nil, err
	}
	store, err := layers.Open(o.Dirs)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	for _, img := range images {
		p := &pull{o: PullOptions{Progress: o.Progress, SingleID: o.SingleID}, img: img, store: store, layers: img.layers, diffs: img.diffs}
		stored, err := p.into(ctx, layers.Image{Names: img.names, Config: img.config, Manifest: img.manifest, Digest: digest.FromBytes(img.manifest)})
		if err != nil {
			return list, err
		}
		list = append(list, Loaded{stored.ID, img.names, p.squashed.Load()})
		stored.Close()
	}
	return list, nil
}

// wanted leaves out what was not asked for.
func (o LoadOptions) wanted(transport string, images []*archived) ([]*archived, error) {
	index, indexed := strings.CutPrefix(o.Only, "@")
	switch {
	case indexed && transport == "docker-archive":
		n, err := strconv.Atoi(index)
		if err != nil || n < 0 || n >= len(images) {
			return nil, fmt.Errorf("invalid source index %s: the archive has %d images, counted from @0", o.Only, len(images))
		}
		images = images[n : n+1]
	case o.Only != "":
		images = slices.DeleteFunc(images, func(img *archived) bool { return !img.called(o.Only) })
		if len(images) == 0 {
			return nil, fmt.Errorf("the archive has no image %s", o.Only)
		}
	}
	for _, img := range images {
		if len(img.names) == 0 && o.Name != "" {
			img.names = []string{o.Name}
		}
	}
	return images, nil
}

// called: an OCI layout's name may be a tag alone.
func (img *archived) called(name string) bool {
	if img.tag == name || slices.Contains(img.names, name) {
		return true
	}
	ref, err := ParseReference(name)
	return err == nil && slices.Contains(img.names, ref.String())
}

// archived is one image of an archive.
type archived struct {
	a        *archiveFile
	tag      string // of an OCI layout, when that is no name
	names    []string
	config   []byte
	manifest []byte
	layers   []v1.Descriptor
	diffs    []digest.Digest
	files    map[v1.Hash]string
}

func (a *archiveFile) images() ([]*archived, error) {
	switch {
	case a.flat():
		return a.dirImages()
	case a.has("manifest.json"):
		return a.dockerImages()
	case a.has("index.json"):
		return a.ociImages()
	}
	return nil, fmt.Errorf("%w: neither manifest.json nor index.json is in it: it is no archive of images", errNoFormat)
}

// transport is what containers-transports(5) calls the form.
func (a *archiveFile) transport() string {
	switch {
	case a.flat():
		return "dir"
	case a.has("manifest.json"):
		return "docker-archive"
	case a.dir != nil:
		return "oci"
	}
	return "oci-archive"
}

// dirImages reads the form of the transport dir (containers-transports(5)).
func (a *archiveFile) dirImages() ([]*archived, error) {
	text, err := a.read("manifest.json")
	if err != nil {
		return nil, err
	}
	img, err := a.manifestImage(digest.FromBytes(text), text)
	if err != nil {
		return nil, err
	}
	return []*archived{img}, nil
}

// dockerImages reads manifest.json (docker's image specification 1.2).
func (a *archiveFile) dockerImages() (list []*archived, err error) {
	text, err := a.read("manifest.json")
	if err != nil {
		return nil, err
	}
	var manifests []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(text, &manifests); err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	for _, m := range manifests {
		img := &archived{a: a, files: map[v1.Hash]string{}}
		if img.config, err = a.read(m.Config); err != nil {
			return nil, err
		}
		if img.diffs, err = parseDiffs(img.config); err != nil {
			return nil, err
		}
		if len(img.diffs) != len(m.Layers) {
			return nil, fmt.Errorf("manifest.json has %d layers, the configuration %d", len(m.Layers), len(img.diffs))
		}
		if len(m.Layers) > maxLayers {
			return nil, fmt.Errorf("manifest.json has %d layers, at most %d are taken", len(m.Layers), maxLayers)
		}
		for i, file := range m.Layers {
			r, err := a.open(file)
			if err != nil {
				return nil, err
			}
			hash := v1.Hash{Algorithm: string(img.diffs[i].Algorithm()), Hex: img.diffs[i].Encoded()}
			img.files[hash] = file
			img.layers = append(img.layers, v1.Descriptor{MediaType: types.OCIUncompressedLayer, Size: r.Size(), Digest: hash})
		}
		if err := img.named(m.RepoTags); err != nil {
			return nil, err
		}
		if img.manifest, err = img.makeManifest(); err != nil {
			return nil, err
		}
		list = append(list, img)
	}
	return list, nil
}

// named takes names as they are, in full.
func (img *archived) named(names []string) error {
	for _, name := range names {
		ref, err := ParseReference(name)
		if err != nil {
			return err
		}
		img.names = append(img.names, ref.String())
	}
	return nil
}

// makeManifest describes the layers as they lie in the archive: uncompressed.
func (img *archived) makeManifest() ([]byte, error) {
	m := imagespec.Manifest{MediaType: imagespec.MediaTypeImageManifest,
		Config: imagespec.Descriptor{MediaType: imagespec.MediaTypeImageConfig, Digest: digest.FromBytes(img.config), Size: int64(len(img.config))}}
	m.SchemaVersion = 2
	for _, l := range img.layers {
		m.Layers = append(m.Layers, imagespec.Descriptor{MediaType: string(l.MediaType), Digest: digest.Digest(l.Digest.String()), Size: l.Size})
	}
	return json.Marshal(m)
}

// containerdName annotates an entry of index.json with a full name.
const containerdName = "io.containerd.image.name"

// ociImages reads an OCI image layout (image-spec, image-layout.md).
func (a *archiveFile) ociImages() (list []*archived, err error) {
	text, err := a.read("index.json")
	if err != nil {
		return nil, err
	}
	var index imagespec.Index
	if err := json.Unmarshal(text, &index); err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	for _, d := range index.Manifests {
		img, err := a.ociImage(d, 0)
		if err != nil {
			return nil, err
		}
		img.tag = d.Annotations[imagespec.AnnotationRefName]
		for _, key := range []string{containerdName, imagespec.AnnotationRefName} {
			name := d.Annotations[key]
			if name == "" || len(img.names) > 0 || key == imagespec.AnnotationRefName && !strings.ContainsAny(name, ":/") {
				continue
			}
			ref, short, err := parse(name)
			if err != nil {
				return nil, err
			}
			if short { // podman wrote it; containerd writes names in full
				ref = ref.at("localhost")
			}
			img.names = []string{ref.String()}
		}
		list = append(list, img)
	}
	return list, nil
}

// ociImage follows an index to the image of this machine.
func (a *archiveFile) ociImage(d imagespec.Descriptor, depth int) (*archived, error) {
	text, err := a.blob(d.Digest)
	if err != nil {
		return nil, err
	}
	if d.MediaType == imagespec.MediaTypeImageIndex || d.MediaType == string(types.DockerManifestList) {
		var index imagespec.Index
		if err = checkIndex(text); err == nil {
			err = json.Unmarshal(text, &index)
		}
		if err != nil {
			return nil, fmt.Errorf("index %s: %w", d.Digest, err)
		}
		for _, m := range index.Manifests {
			if depth < 2 && (m.Platform == nil || m.Platform.OS == hostPlatform().OS && m.Platform.Architecture == hostPlatform().Architecture) {
				return a.ociImage(m, depth+1)
			}
		}
		return nil, fmt.Errorf("index %s has no image for this machine", d.Digest)
	}
	return a.manifestImage(d.Digest, text)
}

// manifestImage reads a manifest and the configuration that it names.
func (a *archiveFile) manifestImage(d digest.Digest, text []byte) (_ *archived, err error) {
	if err := checkManifest(text); err != nil {
		return nil, fmt.Errorf("manifest %s: %w", d, err)
	}
	var m imagespec.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("manifest %s: %w", d, err)
	}
	img := &archived{a: a, manifest: text, files: map[v1.Hash]string{}}
	if img.config, err = a.blob(m.Config.Digest); err != nil {
		return nil, err
	}
	if img.diffs, err = parseDiffs(img.config); err != nil {
		return nil, err
	}
	if len(img.diffs) != len(m.Layers) {
		return nil, fmt.Errorf("manifest %s has %d layers, its configuration %d", d, len(m.Layers), len(img.diffs))
	}
	for _, l := range m.Layers {
		if err := l.Digest.Validate(); err != nil {
			return nil, err
		}
		hash := v1.Hash{Algorithm: string(l.Digest.Algorithm()), Hex: l.Digest.Encoded()}
		img.files[hash] = a.blobName(l.Digest)
		kind := types.MediaType(l.MediaType)
		if a.flat() { // podman writes gzip's type there, and no gzip
			kind = types.OCIUncompressedLayer
		}
		img.layers = append(img.layers, v1.Descriptor{MediaType: kind, Size: l.Size, Digest: hash})
	}
	return img, nil
}

// LayerByDigest gives a layer as it lies in the archive. Its content is checked
// by its diff id; a compressed one that was changed does not have it.
func (img *archived) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	r, err := img.a.open(img.files[h])
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(img.layers, func(l v1.Descriptor) bool { return l.Digest == h })
	return archivedLayer{hash: h, kind: img.layers[i].MediaType, r: r}, nil
}

type archivedLayer struct {
	hash v1.Hash
	kind types.MediaType
	r    *io.SectionReader
}

func (l archivedLayer) Digest() (v1.Hash, error)             { return l.hash, nil }
func (l archivedLayer) DiffID() (v1.Hash, error)             { return l.hash, nil }
func (l archivedLayer) Compressed() (io.ReadCloser, error)   { return io.NopCloser(l.r), nil }
func (l archivedLayer) Uncompressed() (io.ReadCloser, error) { return inflate(l.r, "") }
func (l archivedLayer) Size() (int64, error)                 { return l.r.Size(), nil }
func (l archivedLayer) MediaType() (types.MediaType, error)  { return l.kind, nil }
