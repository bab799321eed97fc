package image

import (
	"archive/tar"
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/opencontainers/go-digest"

	"containers/rl/storage"
)

// The forms in which images are saved, by podman's names.
const (
	DockerArchive = "docker-archive"
	OCIArchive    = "oci-archive"
	OCIDir        = "oci-dir"
	DockerDir     = "docker-dir"
)

// SaveOptions say what to write where.
type SaveOptions struct {
	Dirs         storage.Dirs
	Form         string
	Images       []SavedImage
	Output       string       // path; "" is the stream
	New          bool         // a file that is there is not overwritten
	Compress     bool         // layers of docker-dir
	Uncompressed bool         // layers of the OCI forms
	Compression  string       // of layers that are compressed; "" is gzip
	Manifest     string       // FormatDocker or FormatOCI; "" is the one that is usual in the form
	Tell         func(string) `json:"-"`
}

// SavedImage is an image and the names to write with it.
type SavedImage struct {
	Ref   string
	Names []string
}

// Save writes images. A file or directory of the output is there at its end, or
// is what it was.
func Save(ctx context.Context, o SaveOptions, stream io.Writer) (digest.Digest, error) {
	var images []*stored
	for _, wanted := range o.Images {
		img, err := openStored(ctx, o.Dirs, wanted.Ref)
		if err != nil {
			return "", err
		}
		defer img.Close()
		if wanted.Names != nil {
			img.names = wanted.Names
		}
		images = append(images, img)
	}
	if o.Form == OCIDir || o.Form == DockerDir {
		return o.into(ctx, dirSink(o.Output), images)
	}
	return o.archive(ctx, images, stream)
}

func (o SaveOptions) archive(ctx context.Context, images []*stored, stream io.Writer) (d digest.Digest, err error) {
	info, err := os.Stat(o.Output)
	if o.Output == "" || err == nil && !info.Mode().IsRegular() {
		if o.Output != "" {
			file, err := os.OpenFile(o.Output, os.O_WRONLY, 0)
			if err != nil {
				return "", err
			}
			defer file.Close()
			stream = file
		}
		return o.tar(ctx, images, stream)
	}
	if o.New && err == nil && info.Size() > 0 {
		return "", fmt.Errorf("%s:%s: %[1]s doesn't support modifying existing images", o.Form, o.Output)
	}
	tmp, target, err := Beside(o.Output, ".rl-save-")
	if err != nil {
		return "", err
	}
	d, err = o.tar(ctx, images, tmp)
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), target)
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
	return d, err
}

func (o SaveOptions) tar(ctx context.Context, images []*stored, w io.Writer) (digest.Digest, error) {
	out := bufio.NewWriterSize(w, 256<<10)
	d, err := o.into(ctx, tarSink{tar.NewWriter(out)}, images)
	if err != nil {
		return "", err
	}
	return d, out.Flush()
}

func (o SaveOptions) into(ctx context.Context, s sink, images []*stored) (d digest.Digest, err error) {
	switch o.Form {
	case DockerArchive:
		d, err = o.dockerArchive(ctx, s, images)
	case OCIArchive, OCIDir:
		d, err = o.layout(ctx, s, images)
	case DockerDir:
		d, err = o.directory(ctx, s, images[0])
	default:
		err = fmt.Errorf("form %q is not known", o.Form)
	}
	if err != nil {
		return "", err
	}
	return d, s.close()
}

// format is that of the manifests.
func (o SaveOptions) format(usual, compression string) (string, error) {
	switch {
	case o.Manifest == FormatDocker && compression == Zstd:
		return "", errors.New("manifests of the format v2s2 know no zstd: --format oci does")
	case o.Manifest == "" && compression == Zstd:
		return FormatOCI, nil
	}
	return or(o.Manifest, usual), nil
}

func (o SaveOptions) tell(format string, args ...any) {
	if o.Tell != nil {
		o.Tell(fmt.Sprintf(format, args...))
	}
}

// archiveEntryJSON is an image in manifest.json of docker's archives.
type archiveEntryJSON struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// dockerArchive writes what docker-load(1) reads; each layer once.
func (o SaveOptions) dockerArchive(ctx context.Context, s sink, images []*stored) (digest.Digest, error) {
	written := map[string]bool{}
	var list []archiveEntryJSON
	repositories := map[string]map[string]string{}
	var last digest.Digest
	for _, img := range images {
		entry := archiveEntryJSON{Config: img.id.Encoded() + ".json", RepoTags: []string{}, Layers: []string{}}
		top := ""
		for _, l := range img.layers {
			file := l.DiffID.Encoded() + ".tar"
			entry.Layers, top = append(entry.Layers, file), l.DiffID.Encoded()
			if written[file] {
				continue
			}
			written[file] = true
			o.tell("Copying blob %s", l.DiffID)
			if err := putBlob(s, file, l.plainBlob(ctx, "")); err != nil {
				return "", err
			}
		}
		for _, name := range img.names {
			if repository, tag, ok := cutTag(name); ok {
				entry.RepoTags = append(entry.RepoTags, name)
				if repositories[repository] == nil {
					repositories[repository] = map[string]string{}
				}
				repositories[repository][tag] = top
			}
		}
		o.tell("Copying config %s", img.id)
		if !written[entry.Config] {
			written[entry.Config] = true
			if err := s.put(entry.Config, int64(len(img.config)), bytesReader(img.config)); err != nil {
				return "", err
			}
		}
		if at := slices.IndexFunc(list, func(e archiveEntryJSON) bool { return e.Config == entry.Config }); at >= 0 {
			list[at].RepoTags = append(list[at].RepoTags, entry.RepoTags...)
		} else {
			list = append(list, entry)
		}
		last = img.id
	}
	o.tell("Writing manifest to image destination")
	return last, errors.Join(putJSON(s, "manifest.json", list), putJSON(s, "repositories", repositories))
}

// cutTag: a name with a digest has no tag.
func cutTag(name string) (repository, tag string, ok bool) {
	ref, err := ParseReference(name)
	return ref.Registry + "/" + ref.Repository, ref.Tag, err == nil && ref.Digest == ""
}

func putJSON(s sink, name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.put(name, int64(len(text)), bytesReader(text))
}

func putBlob(s sink, name string, b blob) error {
	r, err := b.open()
	if err != nil {
		return err
	}
	defer r.Close()
	return s.put(name, b.desc.Size, r)
}

// blobs writes layers and configuration, and gives the manifest.
func (o SaveOptions) blobs(ctx context.Context, img *stored, format, compression string, put func(blob) error) ([]byte, error) {
	var list []blob
	for _, l := range img.layers {
		o.tell("Copying blob %s", l.DiffID)
		kind := layerType(format, compression)
		b := l.plainBlob(ctx, kind)
		if compression != None {
			var err error
			if b, err = l.compressed(ctx, o.Dirs, kind, compression); err != nil {
				return nil, err
			}
		}
		if err := put(b); err != nil {
			return nil, err
		}
		list = append(list, b)
	}
	o.tell("Copying config %s", img.id)
	config := textBlob(configType(format), img.config)
	if err := put(config); err != nil {
		return nil, err
	}
	return makeManifest(format, config.desc, list, img.manifest)
}
