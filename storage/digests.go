package storage

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
)

// KeepDigest is for an image that is to be recorded and may be there already, found
// by another manifest then: the digest of its entry stays, and this one is
// remembered beside it. Not in the entry: that of an image in use is not written
// anew. Who calls it holds the lock of those who write.
func (d Dirs) KeepDigest(img *Image) error {
	old, err := open(path.Join(d.images(), img.ID+suffix))
	if err != nil { // none, or a broken one, whose place the new takes
		return nil
	}
	old.Close()
	if img.Digest == old.Digest || d.hasLink(img.ID, img.Digest) {
		img.Digest = old.Digest
		return nil
	}
	if err := os.MkdirAll(d.digests(), 0o700); err != nil {
		return fmt.Errorf("making the image index: %w", err)
	}
	if err := d.link(d.digests(), img.Digest+"@"+img.ID, "../images/"+img.ID+suffix); err != nil {
		return err
	}
	img.Digest = old.Digest
	return d.sync(d.digests())
}

func (d Dirs) hasLink(id, digest string) bool {
	_, err := os.Lstat(path.Join(d.digests(), escape(digest+"@"+id)))
	return err == nil
}

// furtherDigests gives those of each image id that its entry does not have.
func (d Dirs) furtherDigests() (map[string][]string, error) {
	entries, err := os.ReadDir(d.digests())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading the image index: %w", err)
	}
	further := map[string][]string{}
	for _, e := range entries {
		if digest, id, ok := strings.Cut(unescape(e.Name()), "@"); ok {
			further[id] = append(further[id], digest)
		}
	}
	return further, nil
}

// forgetDigests is for an image whose entry is gone.
func (d Dirs) forgetDigests(id string) error {
	further, err := d.furtherDigests()
	failed := []error{err}
	for _, digest := range further[id] {
		if err := os.Remove(path.Join(d.digests(), escape(digest+"@"+id))); !errors.Is(err, os.ErrNotExist) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// HasDigest says whether a digest led to the image; of one from Lookup it knows
// that of the entry alone.
func (img *Image) HasDigest(digest string) bool {
	return img.Digest == digest || "sha256:"+img.ID == digest || slices.Contains(img.Digests, digest)
}
