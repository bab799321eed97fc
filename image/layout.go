package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"

	"containers/rl/storage"
)

// layout writes an OCI image layout (image-spec, image-layout.md). A directory
// that is one keeps the images that it has.
func (o SaveOptions) layout(ctx context.Context, s sink, images []*stored) (digest.Digest, error) {
	if _, err := o.layoutThere(); err != nil {
		return "", err // before anything is written
	}
	compression := o.layoutCompression()
	format, err := o.format(FormatOCI, compression)
	if err != nil {
		return "", err
	}
	written := map[digest.Digest]bool{}
	put := func(b blob) error {
		if written[b.desc.Digest] {
			return nil
		}
		written[b.desc.Digest] = true
		return putBlob(s, "blobs/"+b.desc.Digest.Algorithm().String()+"/"+b.desc.Digest.Encoded(), b)
	}
	var added []imagespec.Descriptor
	for _, img := range images {
		manifest, err := o.blobs(ctx, img, format, compression, put)
		if err != nil {
			return "", err
		}
		b := textBlob(manifestType(format), manifest)
		if err := put(b); err != nil {
			return "", err
		}
		if len(img.names) == 0 {
			added = append(added, b.desc)
		}
		for _, name := range img.names {
			d := b.desc
			d.Annotations = map[string]string{imagespec.AnnotationRefName: name}
			added = append(added, d)
		}
	}
	o.tell("Writing manifest to image destination")
	return added[len(added)-1].Digest, o.putIndex(s, added)
}

func (o SaveOptions) layoutCompression() string {
	switch {
	case o.Uncompressed:
		return None
	case o.Compression == "":
		return Gzip
	}
	return o.Compression
}

// putIndex adds images to what is there.
func (o SaveOptions) putIndex(s sink, added []imagespec.Descriptor) error {
	if o.Form == OCIDir { // others may add to it at the same time
		dir, err := os.Open(o.Output)
		if err != nil {
			return err
		}
		defer dir.Close()
		if err := storage.Lock(dir); err != nil {
			return fmt.Errorf("locking %s: %w", o.Output, err)
		}
	}
	index, err := o.layoutThere()
	if err != nil {
		return err
	}
	for _, d := range added {
		if err := index.add(d); err != nil {
			return err
		}
	}
	text, err := json.Marshal(index.Manifests)
	if err != nil {
		return err
	}
	index.fields["manifests"] = text
	return errors.Join(putJSON(s, imagespec.ImageLayoutFile, imagespec.ImageLayout{Version: imagespec.ImageLayoutVersion}), putJSON(s, "index.json", index.fields))
}

// layoutIndex is index.json with all that we do not know of it.
type layoutIndex struct {
	fields        map[string]json.RawMessage
	SchemaVersion int
	Manifests     []layoutEntry
}

// layoutEntry is a descriptor with all that we do not know of it.
type layoutEntry map[string]json.RawMessage

// layoutThere reads the index of the directory that is written to, or gives an empty one.
func (o SaveOptions) layoutThere() (*layoutIndex, error) {
	index := &layoutIndex{fields: map[string]json.RawMessage{"schemaVersion": []byte("2"), "mediaType": []byte(`"` + imagespec.MediaTypeImageIndex + `"`)}}
	if o.Form != OCIDir {
		return index, nil
	}
	path := filepath.Join(o.Output, "index.json")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return index, nil
	}
	if err != nil {
		return nil, err
	}
	clear(index.fields)
	if err = json.Unmarshal(text, &index.fields); err == nil {
		err = json.Unmarshal(text, index)
	}
	if err == nil && index.SchemaVersion != 2 {
		err = errors.New("it has no schemaVersion 2")
	}
	if err != nil {
		return nil, fmt.Errorf("%s is no index of an OCI layout, it is not overwritten: %w", path, err)
	}
	return index, nil
}

// add gives an image its name, which no other has then.
func (x *layoutIndex) add(d imagespec.Descriptor) error {
	name := d.Annotations[imagespec.AnnotationRefName]
	if name != "" {
		if err := x.free(name, d.Digest); err != nil {
			return err
		}
	}
	for _, e := range x.Manifests {
		annotations := e.annotations()
		was := annotations[imagespec.AnnotationRefName]
		switch {
		case e.digest() != d.Digest || was != "" && was != name:
			continue
		case was == name:
			return nil
		case annotations == nil:
			annotations = map[string]string{}
		}
		annotations[imagespec.AnnotationRefName] = name
		return e.set("annotations", annotations)
	}
	e := layoutEntry{}
	x.Manifests = append(x.Manifests, e)
	return e.describe(d)
}

// free takes a name from all images but one. One that has containerd's name beside keeps that.
func (x *layoutIndex) free(name string, but digest.Digest) error {
	var kept []layoutEntry
	for _, e := range x.Manifests {
		annotations := e.annotations()
		if annotations[imagespec.AnnotationRefName] == name && e.digest() != but {
			if full := annotations[containerdName]; full == "" || full == name {
				continue
			}
			delete(annotations, imagespec.AnnotationRefName)
			if err := e.set("annotations", annotations); err != nil {
				return err
			}
		}
		kept = append(kept, e)
	}
	x.Manifests = kept
	return nil
}

func (e layoutEntry) describe(d imagespec.Descriptor) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, &e)
}

func (e layoutEntry) set(field string, value any) error {
	text, err := json.Marshal(value)
	if err == nil {
		e[field] = text
	}
	return err
}

// What has another form is not ours.
func (e layoutEntry) annotations() (a map[string]string) {
	_ = json.Unmarshal(e["annotations"], &a)
	return a
}

func (e layoutEntry) digest() (d digest.Digest) {
	_ = json.Unmarshal(e["digest"], &d)
	return d
}
