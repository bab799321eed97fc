package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
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
	Dirs     storage.Dirs
	Progress Progress
	SingleID bool
}

// Loaded is an image of an archive.
type Loaded struct {
	ID, Name string // Name is "" when the archive gives none
	Squashed bool
}

// Load brings all images of an archive into the store: what `docker save`
// writes, or an OCI image layout in a tar. Every blob is checked against the
// digest that leads to it.
func Load(ctx context.Context, o LoadOptions) (list []Loaded, err error) {
	a, err := openArchive(o.File, o.Dirs)
	if err != nil {
		return nil, fmt.Errorf("reading the archive: %w", err)
	}
	defer a.file.Close()
	images, err := a.images()
	if err != nil {
		return nil, fmt.Errorf("reading the archive: %w", err)
	}
	store, err := layers.Open(o.Dirs)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	for _, img := range images {
		p := &pull{o: PullOptions{Progress: o.Progress, SingleID: o.SingleID}, img: img, store: store, layers: img.layers, diffs: img.diffs}
		top, err := p.run(ctx)
		if err != nil {
			return list, err
		}
		stored, err := store.PutImage(layers.Image{Names: img.names, Config: img.config, Manifest: img.manifest, Digest: digest.FromBytes(img.manifest), Layer: top})
		if err != nil {
			return list, err
		}
		name := ""
		if len(img.names) > 0 {
			name = img.names[0]
		}
		list = append(list, Loaded{stored.ID, name, p.squashed.Load()})
		stored.Close()
	}
	return list, nil
}

// archiveFile is a tar whose entries can be read in any order.
type archiveFile struct {
	file    *os.File
	entries map[string]archiveEntry
}

type archiveEntry struct {
	offset, size int64
	link         string // of another entry
}

// openArchive copies what cannot be sought in, or is compressed, to a file that
// has no name.
func openArchive(file *os.File, d storage.Dirs) (*archiveFile, error) {
	head := make([]byte, 4)
	n, err := file.ReadAt(head, 0)
	compressed := n == 4 && (head[0] == 0x1f && head[1] == 0x8b || string(head) == "\x28\xb5\x2f\xfd")
	if (err != nil && !errors.Is(err, io.EOF)) || compressed {
		if file, err = spool(file, d.Data); err != nil {
			return nil, err
		}
	}
	a := &archiveFile{file: file, entries: map[string]archiveEntry{}}
	counted := &offsetReader{r: file}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	for r := tar.NewReader(counted); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		name := path.Clean("/" + h.Name)[1:]
		switch h.Typeflag {
		case tar.TypeReg:
			a.entries[name] = archiveEntry{offset: counted.n, size: h.Size}
		case tar.TypeSymlink:
			a.entries[name] = archiveEntry{link: path.Clean("/" + path.Dir(name) + "/" + h.Linkname)[1:]}
		case tar.TypeLink:
			a.entries[name] = archiveEntry{link: path.Clean("/" + h.Linkname)[1:]}
		}
	}
	if len(a.entries) == 0 {
		return nil, errors.New("it is empty, or no archive of images")
	}
	return a, nil
}

// offsetReader tells how far a reader has come, and lets tar skip by seeking.
type offsetReader struct {
	r *os.File
	n int64
}

func (o *offsetReader) Read(b []byte) (int, error) {
	n, err := o.r.Read(b)
	o.n += int64(n)
	return n, err
}

// Seek is what tar.Reader uses to skip an entry.
func (o *offsetReader) Seek(offset int64, whence int) (int64, error) {
	n, err := o.r.Seek(offset, whence)
	if err == nil {
		o.n = n
	}
	return n, err
}

func spool(file *os.File, dir string) (*os.File, error) {
	plain, err := inflate(file, "")
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	tmp, err := os.CreateTemp(dir, ".load-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(tmp.Name()); err != nil {
		tmp.Close()
		return nil, err
	}
	if _, err := io.Copy(tmp, plain); err != nil {
		tmp.Close()
		return nil, err
	}
	return tmp, nil
}

// open gives an entry, by its links.
func (a *archiveFile) open(name string) (*io.SectionReader, error) {
	for range maxLinks {
		e, ok := a.entries[path.Clean("/" + name)[1:]]
		if !ok {
			return nil, fmt.Errorf("%s: %w", name, os.ErrNotExist)
		}
		if e.link == "" {
			return io.NewSectionReader(a.file, e.offset, e.size), nil
		}
		name = e.link
	}
	return nil, fmt.Errorf("%s: too many links", name)
}

// read gives a small entry.
func (a *archiveFile) read(name string) ([]byte, error) {
	r, err := a.open(name)
	if err != nil {
		return nil, err
	}
	if r.Size() > maxMetadata {
		return nil, fmt.Errorf("%s has %d bytes, at most %d are taken", name, r.Size(), maxMetadata)
	}
	return io.ReadAll(r)
}

// blob gives a small blob of an OCI layout, which must be what its digest says.
func (a *archiveFile) blob(d digest.Digest) ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	text, err := a.read("blobs/" + d.Algorithm().String() + "/" + d.Encoded())
	if err == nil && d.Algorithm().FromBytes(text) != d {
		err = fmt.Errorf("blob %s has another digest", d)
	}
	return text, err
}

// archived is one image of an archive.
type archived struct {
	a        *archiveFile
	names    []string
	config   []byte
	manifest []byte
	layers   []v1.Descriptor
	diffs    []digest.Digest
	files    map[v1.Hash]string
}

func (a *archiveFile) images() ([]*archived, error) {
	if _, ok := a.entries["manifest.json"]; ok {
		return a.dockerImages()
	}
	if _, ok := a.entries["index.json"]; ok {
		return a.ociImages()
	}
	return nil, errors.New("neither manifest.json nor index.json is in it: it is no archive of images")
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
		if img.diffs, err = parseConfiguration(img.config, ""); err != nil {
			return nil, err
		}
		if len(img.diffs) != len(m.Layers) {
			return nil, fmt.Errorf("manifest.json has %d layers, the configuration %d", len(m.Layers), len(img.diffs))
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
		for _, key := range []string{"io.containerd.image.name", imagespec.AnnotationRefName} {
			if name := d.Annotations[key]; name != "" && len(img.names) == 0 && (strings.ContainsAny(name, ":/") || key != imagespec.AnnotationRefName) {
				if err := img.named([]string{name}); err != nil {
					return nil, err
				}
			}
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
		if err := json.Unmarshal(text, &index); err != nil {
			return nil, fmt.Errorf("index %s: %w", d.Digest, err)
		}
		for _, m := range index.Manifests {
			if depth < 2 && (m.Platform == nil || m.Platform.OS == hostPlatform().OS && m.Platform.Architecture == hostPlatform().Architecture) {
				return a.ociImage(m, depth+1)
			}
		}
		return nil, fmt.Errorf("index %s has no image for this machine", d.Digest)
	}
	var m imagespec.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("manifest %s: %w", d.Digest, err)
	}
	img := &archived{a: a, manifest: text, files: map[v1.Hash]string{}}
	if img.config, err = a.blob(m.Config.Digest); err != nil {
		return nil, err
	}
	if img.diffs, err = parseConfiguration(img.config, ""); err != nil {
		return nil, err
	}
	if len(img.diffs) != len(m.Layers) {
		return nil, fmt.Errorf("manifest %s has %d layers, its configuration %d", d.Digest, len(m.Layers), len(img.diffs))
	}
	for _, l := range m.Layers {
		if err := l.Digest.Validate(); err != nil {
			return nil, err
		}
		hash := v1.Hash{Algorithm: string(l.Digest.Algorithm()), Hex: l.Digest.Encoded()}
		img.files[hash] = "blobs/" + l.Digest.Algorithm().String() + "/" + l.Digest.Encoded()
		img.layers = append(img.layers, v1.Descriptor{MediaType: types.MediaType(l.MediaType), Size: l.Size, Digest: hash})
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
	return archivedLayer{hash: h, r: r}, nil
}

type archivedLayer struct {
	hash v1.Hash
	r    *io.SectionReader
}

func (l archivedLayer) Digest() (v1.Hash, error)             { return l.hash, nil }
func (l archivedLayer) DiffID() (v1.Hash, error)             { return l.hash, nil }
func (l archivedLayer) Compressed() (io.ReadCloser, error)   { return io.NopCloser(l.r), nil }
func (l archivedLayer) Uncompressed() (io.ReadCloser, error) { return inflate(l.r, "") }
func (l archivedLayer) Size() (int64, error)                 { return l.r.Size(), nil }
func (l archivedLayer) MediaType() (types.MediaType, error)  { return types.OCIUncompressedLayer, nil }
