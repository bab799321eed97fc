package shared

import (
	"fmt"
	"slices"
	"strings"

	"containers/rl/storage"
	"containers/rl/storage/layers"
)

// Find looks for an image as storage.Dirs.Lookup does: by the full names that ref
// may stand for, each in all stores, then by an id or its beginning, by a digest,
// and by the end of a name. name is the full name that was found, "" for an id.
// The error is ErrNoImage, or why what was found cannot be used.
func (set Set) Find(ref string) (img *Image, name string, err error) {
	for _, name := range storage.FullNames(ref) {
		if img := set.first(func(img *Image) bool { return slices.Contains(img.Names, name) }); img != nil {
			return img, name, img.damage()
		}
	}
	if id := strings.TrimPrefix(ref, "sha256:"); len(id) >= 3 && strings.Trim(id, "0123456789abcdef") == "" {
		if img := set.first(func(img *Image) bool { return strings.HasPrefix(img.ID, id) }); img != nil {
			return img, "", img.damage()
		}
	}
	match := storage.PartOf(ref)
	img = set.first(func(img *Image) bool {
		at := slices.IndexFunc(img.Names, func(full string) bool { return match(full, img.HasDigest) })
		if at >= 0 {
			name = img.Names[at]
		}
		return at >= 0
	})
	if img == nil {
		return nil, "", fmt.Errorf("%s: %w: No such image: %[1]s", ref, storage.ErrNoImage)
	}
	return img, name, img.damage()
}

func (img *Image) damage() error {
	if img.Damaged == nil {
		return nil
	}
	return fmt.Errorf("image %s in the store %s is damaged: %w", img.ID, img.In.Root, img.Damaged)
}

func (set Set) first(match func(*Image) bool) *Image {
	for _, s := range set {
		if at := slices.IndexFunc(s.Images, match); at >= 0 {
			return s.Images[at]
		}
	}
	return nil
}

// ByID gives an image by its whole id, or nil.
func (set Set) ByID(id string) *Image {
	return set.first(func(img *Image) bool { return img.ID == id && img.Damaged == nil })
}

// Layer gives a layer with this content, of any image, that says how its archive
// was; ok is false when there is none.
func (set Set) Layer(diff string) (l layers.Layer, ok bool) {
	set.first(func(img *Image) bool {
		for _, have := range img.Layers {
			if img.Damaged == nil && have.DiffID.String() == diff && (have.Frame != "" || have.Split != "") {
				l, ok = have, true
			}
		}
		return ok
	})
	return l, ok
}
