package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"containers/rl/container"
	"containers/rl/image"
	"containers/rl/storage"
	"containers/rl/storage/layers"
	"containers/rl/storage/shared"
)

// Images of stores that others write (package shared). A command that only shows
// one takes it from there; one that mounts it, or reads its files, makes it known
// to our index first, which is for our second self to do: it sees the files'
// owners as a container would.

// lookup is lookupEntry, and gives for a list its image for this machine.
func lookup(host container.Host, ref string) (*storage.Image, error) {
	return lookupFor(host, ref, "")
}

// lookupFor is lookup for the platform OS/ARCH[/VARIANT], which only a list minds.
func lookupFor(host container.Host, ref, platform string) (*storage.Image, error) {
	img, err := lookupEntry(host, ref)
	if err != nil || !img.IsList() {
		return img, err
	}
	defer img.Close()
	var want storage.ListPlatform
	if want.OS, want.Architecture, want.Variant, err = image.Platform(platform); err != nil {
		return nil, err
	}
	return host.Dirs.Instance(img, ref, want)
}

// lookupEntry is Dirs.Lookup, and looks into the stores of others for what is not here.
// The image is not removed by us until it is closed.
func lookupEntry(host container.Host, ref string) (*storage.Image, error) {
	img, err := host.Dirs.Lookup(ref)
	if !errors.Is(err, storage.ErrNoImage) {
		return img, err
	}
	others, failed := shared.Open(os.Getenv, host.Dirs.Data)
	there, name, notThere := others.Find(ref)
	if notThere != nil && !errors.Is(notThere, storage.ErrNoImage) {
		failed = append(failed, notThere)
	}
	warn(Streams{Err: os.Stderr}, failed)
	if notThere != nil {
		return nil, err
	}
	if failed := (imageRequest{Share: &image.ShareOptions{Dirs: host.Dirs, Ref: ref}}).run(host, nil, nil); failed != nil {
		return nil, fmt.Errorf("%w: %w", err, failed)
	}
	if img, err = host.Dirs.Lookup(there.ID); err == nil && name != "" {
		img.Names = []string{name}
	}
	return img, err
}

// refOf names an image that was looked up for our second self, which finds no part
// of a name in another's store.
func refOf(img *storage.Image, ref string) string {
	if len(img.Names) == 0 {
		return img.ID
	}
	return ref
}

// shareInside is the second self.
func (r imageRequest) shareInside(ctx context.Context, s Streams) error {
	o := *r.Share
	o.Set, _ = shared.Open(os.Getenv, o.Dirs.Data) // the first self has said what is wrong
	printer := newProgress(s.Err, r.Quiet)
	defer printer.Close()
	o.SingleID, o.Progress = r.SingleID, printer
	o.Tell = func(text string) { fmt.Fprintln(s.Err, "rl: "+text) }
	return image.Share(ctx, o)
}

func warn(s Streams, failed []error) {
	for _, err := range failed {
		fmt.Fprintf(s.Err, "rl: %v\n", err)
	}
}

// foreign gives an image that only another store has; nil when none does.
func foreign(host container.Host, ref string) *storage.Image {
	others, _ := shared.Open(os.Getenv, host.Dirs.Data)
	if there, _, err := others.Find(ref); err == nil {
		return there.Image
	}
	return nil
}

// warn says once what keeps stores of others out.
func (all *imageViews) warn(s Streams) { warn(s, all.failed) }

// withShared adds what other stores have. What is here goes before what is there:
// the image of an id, and what a name stands for. Of what our index knows of them,
// that is left out which no store that is configured has, and nobody uses.
func (all *imageViews) withShared(images []*storage.Image, containers []*container.Info) []*storage.Image {
	all.there = map[string]*shared.Image{}
	all.others, all.failed = shared.Open(os.Getenv, all.dirs.Data)
	known, taken := map[string]*storage.Image{}, map[string]bool{}
	for _, img := range images {
		known[img.ID] = img
		for _, name := range img.Names {
			taken[name] = true
		}
	}
	for _, store := range all.others {
		for _, there := range store.Images {
			if there.Damaged != nil {
				all.failed = append(all.failed, fmt.Errorf("image %s in the store %s is damaged: %w", there.ID, store.Root, there.Damaged))
				continue
			}
			img := known[there.ID]
			if img == nil {
				img = new(storage.Image)
				*img = *there.Image
				img.Names = nil
				known[img.ID], images = img, append(images, img)
			}
			if all.there[img.ID] == nil {
				all.there[img.ID] = there
			}
			for _, name := range there.Names {
				if !taken[name] {
					taken[name], img.Names = true, append(img.Names, name)
				}
			}
		}
	}
	return slices.DeleteFunc(images, func(img *storage.Image) bool {
		used := slices.ContainsFunc(containers, func(i *container.Info) bool { return i.ImageID == img.ID })
		return img.Store != "" && all.there[img.ID] == nil && len(img.Names) == 0 && !used
	})
}

// readOnly says that the image is in the store of others, and not in ours.
func (v *imageView) readOnly() bool { return v.Store != "" }

// manifestText is the manifest as it came.
func (v *imageView) manifestText(host container.Host) ([]byte, error) {
	if v.there != nil {
		return v.there.Manifest()
	}
	return layers.Manifest(host.Dirs, v.ID)
}
