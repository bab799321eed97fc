package layers

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	cstorage "go.podman.io/storage"
	"golang.org/x/sys/unix"

	"containers/rl/storage"
)

// Image is what PutImage records.
type Image struct {
	Names    []string      // full names with tag or digest: docker.io/library/alpine:latest
	Aliases  []string      // what the user typed instead of Names[0]: alpine
	Config   []byte        // as it came from the registry; its digest is the image's id
	Manifest []byte        // as it came from the registry
	Digest   digest.Digest // by which the image was found: of the manifest, or of its index
	Layer    digest.Digest // chain id of the topmost layer, "" for none
}

// change serialises what is written to the two indexes, ours and the store's.
func (s *Store) change() (unlock func(), err error) { return Lock(s.dirs) }

// Lock is for who writes to our index alone.
func Lock(d storage.Dirs) (unlock func(), err error) {
	file, err := openLock(d, "index.lock")
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != nil {
		file.Close()
		return nil, fmt.Errorf("locking the index: %w", err)
	}
	return func() { file.Close() }, nil
}

// PutImage records an image whose layers are all in the store. The result
// holds the image until it is closed.
func (s *Store) PutImage(img Image) (*storage.Image, error) {
	unlock, err := s.change()
	if err != nil {
		return nil, err
	}
	defer unlock()
	entry, err := NewEntry(img.Config, img.Digest)
	if err != nil {
		return nil, err
	}
	if err := s.chain(entry, img.Layer); err != nil {
		return nil, err
	}
	if err := s.enter(img, entry); err != nil {
		return nil, fmt.Errorf("storing image %s: %w", entry.ID, err)
	}
	// Once for all layers, and before the entry: what that names is on the disk.
	if err := syncFileSystem(s.dirs.Graph()); err != nil {
		return nil, fmt.Errorf("storing image %s: %w", entry.ID, err)
	}
	old := s.retagged(img.Names, entry.ID)
	if err := s.dirs.KeepDigest(entry); err != nil {
		return nil, err
	}
	if err := s.record(entry, img); err != nil {
		return nil, err
	}
	s.dropUnnamed(old)
	return s.dirs.Lookup(entry.ID)
}

// record enters an image in the index, or, when that fails, leaves no new one there.
func (s *Store) record(entry *storage.Image, img Image) error {
	known, err := s.dirs.IDs()
	if err != nil {
		return err
	}
	err = s.dirs.Record(entry, img.Names, img.Aliases)
	if err != nil && !slices.Contains(known, entry.ID) {
		_ = s.remove(entry.ID) // what has failed is told, not what failed for it
	}
	return err
}

// syncFileSystem brings all that was written below dir to the disk, and tells
// of what could not be written since (Linux 5.8).
func syncFileSystem(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := unix.Syncfs(int(file.Fd())); err != nil {
		return &os.PathError{Op: "syncfs", Path: dir, Err: err}
	}
	return nil
}

// NewEntry makes the entry of an image, but for its layers, of its configuration.
func NewEntry(text []byte, d digest.Digest) (*storage.Image, error) {
	entry := &storage.Image{ID: digest.FromBytes(text).Encoded(), Digest: d.String(), Config: text}
	var config imagespec.Image
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, fmt.Errorf("reading the image configuration: %w", err)
	}
	if config.Created != nil {
		entry.Created = *config.Created
	}
	entry.Settings = settings(config.Config)
	return entry, nil
}

// settings copies what a start needs, so that it need not read the rest.
func settings(c imagespec.ImageConfig) storage.Settings {
	s := storage.Settings{User: c.User, Env: c.Env, Entrypoint: c.Entrypoint, Cmd: c.Cmd, WorkingDir: c.WorkingDir}
	for _, name := range slices.Sorted(maps.Keys(c.Labels)) {
		s.Labels = append(s.Labels, name+"="+c.Labels[name])
	}
	s.Volumes = slices.Sorted(maps.Keys(c.Volumes))
	return s
}

// chain fills in the directories of the layers, by their short links.
func (s *Store) chain(entry *storage.Image, top digest.Digest) error {
	if top == "" {
		return nil
	}
	for id := top.Encoded(); id != ""; {
		layer, err := s.store.Layer(id)
		if err != nil {
			return fmt.Errorf("looking for layer %s: %w: %w", id, ErrGone, err)
		}
		link, err := os.ReadFile(filepath.Join(s.dirs.Graph(), "overlay", id, "link"))
		if err != nil {
			return fmt.Errorf("looking for layer %s: %w", id, err)
		}
		entry.Layers = append(entry.Layers, filepath.Join(s.dirs.Graph(), "overlay", "l", strings.TrimSpace(string(link))))
		entry.Size += layer.UncompressedSize
		id = layer.Parent
	}
	return nil
}

// enter makes the record of containers/storage. Names are moved to it from
// whatever image had them.
func (s *Store) enter(img Image, entry *storage.Image) error {
	top := ""
	if img.Layer != "" {
		top = img.Layer.Encoded()
	}
	options := &cstorage.ImageOptions{CreationDate: created(entry), Digest: img.Digest, BigData: []cstorage.ImageBigDataOption{
		{Key: cstorage.ImageDigestBigDataKey, Data: img.Manifest, Digest: digest.FromBytes(img.Manifest)},
		{Key: digest.FromBytes(img.Config).String(), Data: img.Config, Digest: digest.FromBytes(img.Config)},
	}}
	_, err := s.store.CreateImage(entry.ID, nil, top, "", options)
	if errors.Is(err, cstorage.ErrDuplicateID) { // by another manifest, perhaps
		err = s.store.SetImageBigData(entry.ID, cstorage.ImageDigestBigDataKey, img.Manifest, func(b []byte) (digest.Digest, error) { return digest.FromBytes(b), nil })
	}
	if err != nil {
		return err
	}
	return s.addNames(entry.ID, img.Names)
}

// created is the time that the store has for an image.
func created(entry *storage.Image) time.Time {
	if entry.Created.IsZero() {
		return time.Unix(0, 0).UTC()
	}
	return entry.Created
}

// addNames keeps the order in which an image got its names, and so that of
// their history. A list of manifests is no image of the store.
func (s *Store) addNames(id string, names []string) error {
	for _, name := range names {
		img, err := s.store.Image(id)
		if unknown(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if slices.Contains(img.Names, name) {
			continue
		}
		if err := s.store.SetNames(id, append(img.Names, name)); err != nil { //nolint:staticcheck // AddNames turns the order round
			return err
		}
	}
	return nil
}

// retagged are the images that lose a name to id.
func (s *Store) retagged(names []string, id string) (old []string) {
	known, err := s.dirs.Names()
	if err != nil {
		return nil
	}
	for other, list := range known {
		for _, name := range list {
			for _, new := range names {
				if name == new && other != id {
					old = append(old, other)
				}
			}
		}
	}
	return old
}

// dropUnnamed leaves untagged images where they are, as docker does, but for
// those of the built-in name: no one asked for them.
func (s *Store) dropUnnamed(ids []string) {
	known, err := s.dirs.Names()
	if err != nil {
		return
	}
	for _, id := range ids {
		img, err := s.dirs.Lookup(id)
		if err != nil {
			continue
		}
		builtin := img.Digest == "sha256:"+img.ID && len(known[id]) == 0
		img.Close()
		if builtin {
			_ = s.remove(id)
		}
	}
}

// Tag gives an image more full names; whatever had them loses them.
func (s *Store) Tag(ref string, names []string) error {
	unlock, err := s.change()
	if err != nil {
		return err
	}
	defer unlock()
	img, err := s.dirs.Lookup(ref)
	if err != nil {
		return err
	}
	defer img.Close()
	if err := s.addNames(img.ID, names); err != nil {
		return fmt.Errorf("tagging image %s: %w", ref, err)
	}
	return s.dirs.Record(img, names, nil)
}

// Untag takes names from an image, or all it has. The image stays.
func (s *Store) Untag(ref string, names []string) error {
	unlock, err := s.change()
	if err != nil {
		return err
	}
	defer unlock()
	img, err := s.dirs.Lookup(ref)
	if err != nil {
		return err
	}
	img.Close()
	known, err := s.dirs.Names()
	if err != nil {
		return err
	}
	has := known[img.ID]
	if len(names) == 0 {
		names = has
	}
	for _, name := range names {
		full, err := s.dirs.FullName(name)
		if err != nil || !slices.Contains(has, full) {
			return fmt.Errorf("untagging image %s: %s: tag not known", ref, name)
		}
		if err := s.untag(img.ID, full); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) untag(id, name string) error {
	if err := s.dirs.Untag(name); err != nil {
		return err
	}
	if err := s.store.RemoveNames(id, []string{name}); !unknown(err) {
		return err
	}
	return nil
}

// unknown: the store has many words for an id that is none of its own.
func unknown(err error) bool {
	return errors.Is(err, cstorage.ErrImageUnknown) || errors.Is(err, cstorage.ErrNotAnImage) || errors.Is(err, cstorage.ErrLayerUnknown) || errors.Is(err, cstorage.ErrNotAnID)
}

// remove: first our entry, whose lock tells whether someone uses the image;
// what a kill leaves of the rest is swept by the next Close.
func (s *Store) remove(id string) error {
	known, err := s.dirs.Names()
	if err != nil {
		return err
	}
	if err := s.dirs.Forget(id); err != nil {
		return err
	}
	for _, name := range known[id] {
		if err := s.dirs.Untag(name); err != nil {
			return err
		}
	}
	if _, err = s.store.DeleteImage(id, true); unknown(err) {
		return nil
	}
	return err
}
