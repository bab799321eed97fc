package image

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"

	"containers/rl/storage"
	"containers/rl/storage/layers"
)

// List is a list of manifests that is made here: an entry of the index whose
// configuration is the list itself, and which has no layers.
type List struct {
	ID    string
	Names []string
	Index Index
}

// Index is what a registry gets, and where its images come from.
type Index struct {
	SchemaVersion int                   `json:"schemaVersion"`
	MediaType     string                `json:"mediaType"`
	Manifests     []ListEntry           `json:"manifests"`
	Annotations   map[string]string     `json:"annotations,omitempty"`
	Sources       map[string]ListSource `json:"sources,omitempty"` // by digest; ours alone
}

// ListEntry is a descriptor; docker's lists have features beside OCI's fields.
type ListEntry struct {
	MediaType   string            `json:"mediaType"`
	Size        int64             `json:"size"`
	Digest      digest.Digest     `json:"digest"`
	Platform    *ListPlatform     `json:"platform,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// What lists have of package storage, which finds their images.
type (
	ListPlatform = storage.ListPlatform
	ListSource   = storage.ListSource
)

// NewList makes an empty list of a name that no image has.
func NewList(d storage.Dirs, full string) (*List, error) {
	id := make([]byte, 32)
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	l := &List{ID: hex.EncodeToString(id), Names: []string{full}, Index: Index{SchemaVersion: 2, MediaType: dockerList}}
	return l, l.write(d, l.Names)
}

// FindList finds a list by its name or id.
func FindList(d storage.Dirs, ref string) (*List, error) {
	img, err := d.Lookup(ref)
	if err != nil {
		return nil, err
	}
	defer img.Close()
	if !img.IsList() {
		return nil, fmt.Errorf("%s: image is not a manifest list", ref)
	}
	l := &List{ID: img.ID}
	return l, json.Unmarshal(img.Config, &l.Index)
}

// Change does something to a list, alone.
func Change(d storage.Dirs, ref string, do func(*List) error) (*List, error) {
	unlock, err := layers.Lock(d)
	if err != nil {
		return nil, err
	}
	defer unlock()
	l, err := FindList(d, ref)
	if err != nil {
		return nil, err
	}
	if err := do(l); err != nil {
		return nil, err
	}
	return l, l.write(d, nil)
}

// write replaces the entry. One that is being read is left as it is by the
// index, so that is tried again.
func (l *List) write(d storage.Dirs, names []string) error {
	text, err := json.Marshal(l.Index)
	if err != nil {
		return err
	}
	public, err := l.Index.Public("")
	if err != nil {
		return err
	}
	img := &storage.Image{ID: l.ID, Config: text, Created: time.Now().UTC(), Digest: digest.FromBytes(public).String()}
	for range 200 {
		if err := d.Record(img, names, nil); err != nil {
			return err
		}
		now, err := d.Lookup(l.ID)
		if err != nil {
			return err
		}
		now.Close()
		if bytes.Equal(now.Config, text) {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("changing list %s: it is in use all the time", l.ID)
}

// Public is the list as others see it, of the format or its own.
func (i Index) Public(format string) ([]byte, error) {
	i.Sources = nil
	switch format {
	case FormatOCI:
		i.MediaType = imagespec.MediaTypeImageIndex
	case FormatDocker:
		i.MediaType = dockerList
	}
	return json.Marshal(i)
}

// Add adds the image, or with all those of the list that it names.
func (l *List) Add(ctx context.Context, d storage.Dirs, ref, platform string, all bool, a Access) ([]digest.Digest, error) {
	local := strings.TrimPrefix(ref, "containers-storage:")
	if !strings.HasPrefix(ref, "docker://") {
		img, err := d.Lookup(local)
		if err == nil {
			defer img.Close()
			return l.addLocal(d, img)
		}
		if !errors.Is(err, storage.ErrNoImage) || local != ref {
			return nil, err
		}
	}
	return l.addRemote(ctx, strings.TrimPrefix(ref, "docker://"), platform, all, a)
}

func (l *List) addLocal(d storage.Dirs, img *storage.Image) ([]digest.Digest, error) {
	if img.IsList() {
		var other Index
		if err := json.Unmarshal(img.Config, &other); err != nil {
			return nil, err
		}
		var added []digest.Digest
		for _, e := range other.Manifests {
			l.put(e, other.Sources[e.Digest.String()])
			added = append(added, e.Digest)
		}
		return added, nil
	}
	manifest, err := layers.Manifest(d, img.ID)
	if err != nil {
		return nil, err
	}
	var config imagespec.Image
	if err := json.Unmarshal(img.Config, &config); err != nil {
		return nil, err
	}
	e := ListEntry{MediaType: manifestType(formatOf(manifest)), Size: int64(len(manifest)), Digest: digest.FromBytes(manifest),
		Platform: &ListPlatform{Architecture: config.Architecture, OS: config.OS, Variant: config.Variant, OSVersion: config.OSVersion}}
	l.put(e, ListSource{Local: img.ID})
	return []digest.Digest{e.Digest}, nil
}

func (l *List) addRemote(ctx context.Context, ref, platform string, all bool, a Access) (added []digest.Digest, err error) {
	registries, err := LoadRegistries(a.getenv)
	if err != nil {
		return nil, err
	}
	candidates, err := registries.Candidates(ref)
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, full := range candidates {
		if added, err = l.addFrom(ctx, full, platform, all, a); err == nil {
			return added, nil
		}
		failed = append(failed, fmt.Errorf("reading manifest of %s: %w", full, explain(err)))
	}
	return nil, errors.Join(failed...)
}

func (l *List) addFrom(ctx context.Context, full Reference, platform string, all bool, a Access) (added []digest.Digest, err error) {
	target, options, err := a.reference(ctx, full)
	if err != nil {
		return nil, err
	}
	p, err := parsePlatform(platform)
	if err != nil {
		return nil, err
	}
	desc, err := remote.Get(target, append(options, remote.WithPlatform(p))...)
	if err != nil {
		return nil, err
	}
	source := func(d digest.Digest) ListSource {
		return ListSource{Remote: full.Registry + "/" + full.Repository + "@" + d.String()}
	}
	if desc.MediaType.IsIndex() && all {
		var index Index
		if err := json.Unmarshal(desc.Manifest, &index); err != nil {
			return nil, err
		}
		for _, e := range index.Manifests {
			l.put(e, source(e.Digest))
			added = append(added, e.Digest)
		}
		return added, nil
	}
	img, err := choose(desc, platform)
	if err != nil {
		return nil, err
	}
	e, err := entryOf(img)
	if err != nil {
		return nil, err
	}
	l.put(e, source(e.Digest))
	return []digest.Digest{e.Digest}, nil
}

func entryOf(img v1.Image) (e ListEntry, err error) {
	raw, err := img.RawManifest()
	if err != nil {
		return e, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return e, err
	}
	kind, err := img.MediaType()
	return ListEntry{MediaType: string(kind), Size: int64(len(raw)), Digest: digest.FromBytes(raw),
		Platform: &ListPlatform{Architecture: config.Architecture, OS: config.OS, Variant: config.Variant, OSVersion: config.OSVersion, OSFeatures: config.OSFeatures}}, err
}

// put replaces an entry of the same digest.
func (l *List) put(e ListEntry, from ListSource) {
	if l.Index.Sources == nil {
		l.Index.Sources = map[string]ListSource{}
	}
	l.Index.Sources[e.Digest.String()] = from
	if at := l.at(e.Digest); at >= 0 {
		l.Index.Manifests[at] = e
		return
	}
	l.Index.Manifests = append(l.Index.Manifests, e)
}

func (l *List) at(d digest.Digest) int {
	return slices.IndexFunc(l.Index.Manifests, func(e ListEntry) bool { return e.Digest == d })
}

// Entry finds an entry by its digest.
func (l *List) Entry(text string) (*ListEntry, error) {
	if at := l.at(digest.Digest(text)); at >= 0 {
		return &l.Index.Manifests[at], nil
	}
	return nil, fmt.Errorf("no manifest %s in list %s", text, l.ID)
}

// Remove takes an entry out.
func (l *List) Remove(text string) error {
	at := l.at(digest.Digest(text))
	if at < 0 {
		return fmt.Errorf("no manifest %s in list %s", text, l.ID)
	}
	l.Index.Manifests = slices.Delete(l.Index.Manifests, at, at+1)
	delete(l.Index.Sources, text)
	return nil
}

// PushListOptions describe a push of a list.
type PushListOptions struct {
	PushOptions
	All bool // the images that it names, too
}

// PushList sends a list. An image of this store that had to be compressed anew
// is in the registry's list by the digest that it got.
func PushList(ctx context.Context, o PushListOptions) (Pushed, error) {
	l, err := FindList(o.Dirs, o.Ref)
	if err != nil {
		return Pushed{}, err
	}
	target, options, err := o.target(ctx)
	if err != nil {
		return Pushed{}, err
	}
	index := l.Index
	index.Manifests = slices.Clone(index.Manifests)
	for n := range index.Manifests {
		if !o.All {
			break
		}
		if err := o.pushEntry(ctx, target.Context(), options, &index.Manifests[n], l.Index.Sources); err != nil {
			return Pushed{}, fmt.Errorf("pushing %s of %s: %w", l.Index.Manifests[n].Digest, o.Ref, explain(err))
		}
	}
	text, err := index.Public(or(o.Format, FormatOCI))
	if err != nil {
		return Pushed{}, err
	}
	kind := imagespec.MediaTypeImageIndex
	if o.Format == FormatDocker {
		kind = dockerList
	}
	o.tell("Writing manifest list to image destination")
	if err := remote.Put(target, rawManifest{text, kind}, options...); err != nil {
		return Pushed{}, fmt.Errorf("pushing %s: %w", o.To, explain(err))
	}
	return Pushed{digest.FromBytes(text), len(text)}, nil
}

func (o PushListOptions) pushEntry(ctx context.Context, to name.Repository, options []remote.Option, e *ListEntry, sources map[string]ListSource) error {
	source := sources[e.Digest.String()]
	if source.Local != "" {
		p := o.PushOptions
		p.Ref, p.Format = source.Local, ""
		pushed, kind, err := p.untagged(ctx, to, options)
		e.Digest, e.Size, e.MediaType = pushed.Digest, int64(pushed.Size), kind
		return err
	}
	if source.Remote == "" {
		return nil // it is in the registry, or the push of the list fails
	}
	full, err := ParseReference(source.Remote)
	if err != nil {
		return err
	}
	from, fromOptions, err := o.Access.reference(ctx, full)
	if err != nil {
		return err
	}
	o.tell("Copying image %s", e.Digest)
	img, err := remote.Image(from, fromOptions...)
	if err != nil {
		return err
	}
	return remote.Write(to.Digest(e.Digest.String()), img, options...)
}

// untagged sends an image that is known by its digest alone there.
func (o PushOptions) untagged(ctx context.Context, to name.Repository, options []remote.Option) (Pushed, string, error) {
	img, err := openStored(ctx, o.Dirs, o.Ref)
	if err != nil {
		return Pushed{}, "", err
	}
	defer img.Close()
	manifest, format, err := (&pusher{o: o, img: img, repository: to, options: options}).blobs(ctx)
	if err != nil {
		return Pushed{}, "", err
	}
	d := digest.FromBytes(manifest)
	return Pushed{d, len(manifest)}, manifestType(format), remote.Put(to.Digest(d.String()), rawManifest{manifest, manifestType(format)}, options...)
}

// RemoteManifest gives what a registry has under a name.
func RemoteManifest(ctx context.Context, ref string, a Access) ([]byte, error) {
	registries, err := LoadRegistries(a.getenv)
	if err != nil {
		return nil, err
	}
	candidates, err := registries.Candidates(strings.TrimPrefix(ref, "docker://"))
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, full := range candidates {
		target, options, err := a.reference(ctx, full)
		if err != nil {
			return nil, err
		}
		desc, err := remote.Get(target, options...)
		if err == nil {
			return desc.Manifest, nil
		}
		failed = append(failed, fmt.Errorf("reading manifest of %s: %w", full, explain(err)))
	}
	return nil, errors.Join(failed...)
}
