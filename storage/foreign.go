package storage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// An image of a read-only store (package shared) has an entry like any other,
// whose layers lie there and which says so by a line "store". An id stands for
// one image for ever, but a name is the other store's: what it stood for is kept
// as a link index/shared/AS-TYPED that leads nowhere, but reads
//
//	ID NAME INODE SIZE MODIFIED FILE
//
// where NAME is the full name there, FILE is the other store's list of images, which is replaced with each
// change, and the numbers are stat(2)'s. So the second start of a shared image
// reads as much as that of any other, and a link; what is typed is looked for in
// the stores again when their lists have changed.

// Adopt enters an image of a read-only store. An entry of our own layers stays.
func (d Dirs) Adopt(img *Image) error {
	if err := os.MkdirAll(d.images(), 0o700); err != nil {
		return fmt.Errorf("making the image index: %w", err)
	}
	if there, err := os.ReadFile(path.Join(d.images(), img.ID+suffix)); err == nil && !isForeign(there) {
		return nil
	}
	if err := d.enter(img.ID, img.encode()); err != nil {
		return fmt.Errorf("recording image %s: %w", img.ID, err)
	}
	return nil
}

// Remember keeps what was found in a read-only store: that ref is the image id,
// which has the full name there, as long as the store's list of images is what it
// was at the time of a stamp, which was before it was read.
func (d Dirs) Remember(ref, id, name, stamp string) error {
	if stamp == "" {
		return nil
	}
	if err := os.MkdirAll(d.shared(), 0o700); err != nil {
		return fmt.Errorf("making the image index: %w", err)
	}
	err := d.link(d.shared(), ref, id+" "+name+" "+stamp)
	if errors.Is(err, unix.ENAMETOOLONG) { // it is found again then
		return nil
	}
	return err
}

// ListStamp tells a store's list of images from the one before. It is "" for a file
// that cannot be looked at.
func ListStamp(file string) string {
	var st unix.Stat_t
	if unix.Stat(file, &st) != nil {
		return ""
	}
	return fmt.Sprintf("%d %d %d %s", st.Ino, st.Size, st.Mtim.Nano(), file)
}

// adopted gives what ref was found to be in a read-only store, unless the store
// has changed since, or lacks a layer now. Both is for who can search it again.
// surely wants it found by a full name: the end of one is for when we have none.
func (d Dirs) adopted(ref string, surely bool) *Image {
	text, err := os.Readlink(path.Join(d.shared(), escape(ref)))
	if err != nil {
		return nil
	}
	id, rest, _ := strings.Cut(text, " ")
	name, stamp, _ := strings.Cut(rest, " ")
	if surely && !slices.Contains(FullNames(ref), name) {
		return nil
	}
	if words := strings.SplitN(stamp, " ", 4); len(words) != 4 || ListStamp(words[3]) != stamp || !isHex(id) {
		return nil
	}
	img, err := open(path.Join(d.images(), id+suffix))
	if err != nil {
		return nil
	}
	if img.present() != nil {
		img.Close()
		return nil
	}
	img.Names = []string{name}
	return img
}

// present looks whether the layers are there: others may remove them.
func (img *Image) present() error {
	if img.Store == "" {
		return nil
	}
	for _, dir := range img.Layers {
		err := unix.Access(dir, unix.F_OK)
		if errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("image %s: its layer %s is gone from the read-only store %s: bring the store back, or get the image anew: rl pull IMAGE", img.ID, dir, img.Store)
		}
		if err != nil {
			return fmt.Errorf("image %s: looking at the read-only store %s: %w", img.ID, img.Store, &os.PathError{Op: "access", Path: dir, Err: err})
		}
	}
	return nil
}

// isForeign says whether an entry is of an image in another's store.
func isForeign(entry []byte) bool {
	head, _, _ := bytes.Cut(entry, []byte("\n\n"))
	return bytes.Contains(head, []byte("\nstore \""))
}
