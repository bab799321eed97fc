package storage

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
)

// IDs are the ids of all images, also of those whose entries cannot be read.
func (d Dirs) IDs() (ids []string, err error) {
	entries, err := os.ReadDir(d.images())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading the image index: %w", err)
	}
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), suffix); ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// CheckIndex reads all entries of the index: what can be read comes back as
// from Images, and for the rest the reason by the id.
func (d Dirs) CheckIndex() (sound []*Image, broken map[string]error, err error) {
	ids, err := d.IDs()
	if err != nil {
		return nil, nil, err
	}
	names, err := d.Names()
	if err != nil {
		return nil, nil, err
	}
	further, err := d.furtherDigests()
	if err != nil {
		return nil, nil, err
	}
	broken = map[string]error{}
	for _, id := range ids {
		img, err := open(path.Join(d.images(), id+suffix))
		switch {
		case errors.Is(err, ErrNoImage):
			continue // removed meanwhile
		case err == nil && img.ID != id:
			err = fmt.Errorf("the entry is of image %s", img.ID)
			fallthrough
		case err != nil:
			img.Close()
			broken[id] = err
			continue
		}
		img.Close()
		img.Names, img.Digests = names[id], further[id]
		sound = append(sound, img)
	}
	return sound, broken, nil
}

// ClearNames removes full names and digests that lead to no image: what a removal that was
// killed leaves. Aliases may lead nowhere: what a short name once stood for stays
// known. Who calls it holds the lock of those who write.
func (d Dirs) ClearNames() error {
	names, err := d.Names()
	if err != nil {
		return err
	}
	further, err := d.furtherDigests()
	if err != nil {
		return err
	}
	gone := func(id string) bool {
		_, err := os.Lstat(path.Join(d.images(), id+suffix))
		return errors.Is(err, os.ErrNotExist)
	}
	var failed []error
	for id, list := range names {
		if !gone(id) {
			continue
		}
		for _, name := range list {
			failed = append(failed, d.Untag(name))
		}
	}
	for id := range further {
		if gone(id) {
			failed = append(failed, d.forgetDigests(id))
		}
	}
	return errors.Join(failed...)
}
