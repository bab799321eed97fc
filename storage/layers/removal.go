package layers

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	imagespec "github.com/opencontainers/image-spec/specs-go/v1"

	"containers/rl/storage"
)

// ErrChildren says that other images are made of one that is to be removed.
var ErrChildren = errors.New("image has dependent child images")

// ReadOnly refuses to remove an image of a store of others, in podman's words.
func ReadOnly(id, store string) error {
	return fmt.Errorf("cannot remove read-only image %q: it is in the image store %s", id, store)
}

// RemovalOptions say which images go.
type RemovalOptions struct {
	Dirs    storage.Dirs
	Refs    []string
	Force   bool            // an image given by its id goes with all its names
	NoPrune bool            // images without a name stay of which one that goes was made
	Used    map[string]bool // ids of images that containers have
	IDsOnly bool            // of the caller: print ids alone
}

// Removed is what a removal did.
type Removed struct{ Untagged, Deleted []string }

// RemoveImage removes the name ref, and the image with its last name. An image
// of several names needs force when ref is its id; one of which others are
// made only loses its name, and goes with the last of these.
func (s *Store) RemoveImage(ref string, o RemovalOptions) (r Removed, err error) {
	unlock, err := s.change()
	if err != nil {
		return r, err
	}
	defer unlock()
	img, err := s.dirs.Lookup(ref)
	if err != nil {
		return r, err
	}
	img.Close()
	known, err := s.dirs.Names()
	if err != nil {
		return r, err
	}
	names := known[img.ID]
	full, nameErr := s.dirs.FullName(ref)
	switch {
	case img.Store != "" && nameErr == nil && slices.Contains(names, full): // the name alone is ours
		return Removed{Untagged: []string{full}}, s.untag(img.ID, full)
	case img.Store != "":
		return r, ReadOnly(img.ID, img.Store)
	case nameErr == nil && len(names) > 1:
		return Removed{Untagged: []string{full}}, s.untag(img.ID, full)
	case nameErr != nil && len(names) > 1 && !o.Force:
		return r, fmt.Errorf("unable to delete image %q by ID with more than one tag (%s): please force removal: rl rmi --force %[1]s", img.ID, names)
	}
	family, err := s.family()
	if err != nil {
		return r, err
	}
	if family.hasChildren(img.ID) {
		if len(names) == 0 {
			return r, fmt.Errorf("removing image %s: %w", ref, ErrChildren)
		}
		for _, name := range names {
			if err := s.untag(img.ID, name); err != nil {
				return r, err
			}
		}
		return Removed{Untagged: names}, nil
	}
	if err := s.remove(img.ID); err != nil {
		return r, fmt.Errorf("removing image %s: %w", ref, err)
	}
	r = Removed{names, []string{img.ID}}
	if !o.NoPrune {
		r.Deleted = append(r.Deleted, s.removeParents(family, img.ID, known, o.Used)...)
	}
	return r, nil
}

// removeParents removes those that only the image that has gone was made of.
func (s *Store) removeParents(f family, id string, names map[string][]string, used map[string]bool) (gone []string) {
	for parent := f.parent(id); parent != ""; parent = f.parent(parent) {
		delete(f, id)
		if len(names[parent]) > 0 || used[parent] || f.hasChildren(parent) || s.remove(parent) != nil {
			break
		}
		gone, id = append(gone, parent), parent
	}
	return gone
}

// family are the configurations of all images, which say what is made of what.
type family map[string]*imagespec.Image

func (s *Store) family() (family, error) {
	images, err := s.dirs.Images()
	if err != nil {
		return nil, err
	}
	f := family{}
	for _, img := range images {
		var config imagespec.Image
		if json.Unmarshal(img.Config, &config) == nil {
			f[img.ID] = &config
		}
	}
	return f, nil
}

// hasChildren: an image whose layers and history are another's too has none,
// when the other is the parent.
func (f family) hasChildren(id string) bool {
	for other, config := range f {
		if other != id && f[id] != nil && MadeOf(config, f[id]) && f.parent(other) == id {
			return true
		}
	}
	return false
}

// parent is the nearest image that id is made of; of several the first by id,
// as in the list of images.
func (f family) parent(id string) (found string) {
	for _, other := range slices.Sorted(maps.Keys(f)) {
		config := f[other]
		if other != id && f[id] != nil && MadeOf(f[id], config) && (found == "" || MadeOf(config, f[found])) {
			found = other
		}
	}
	return found
}

// MadeOf says whether an image is made of another: its layers and its history
// begin with the other's, and its history goes on.
func MadeOf(child, other *imagespec.Image) bool {
	mine, its := child.RootFS.DiffIDs, other.RootFS.DiffIDs
	if len(its) == 0 || len(its) > len(mine) || !slices.Equal(mine[:len(its)], its) || len(other.History) >= len(child.History) {
		return false
	}
	for i, h := range other.History {
		if h.CreatedBy != child.History[i].CreatedBy {
			return false
		}
	}
	return true
}

// Drop removes an image with all its names, whatever is made of it. Its layers
// go with the store's next Close, unless others need them.
func (s *Store) Drop(id string) error {
	unlock, err := s.change()
	if err != nil {
		return err
	}
	defer unlock()
	return s.remove(id)
}
