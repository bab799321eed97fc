package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"

	"containers/rl/container"
	"containers/rl/storage"
	"containers/rl/storage/layers"
	"containers/rl/storage/shared"
)

// imageView is an image with what is known of it from elsewhere.
type imageView struct {
	*storage.Image
	Spec         imagespec.Image
	List         bool // of manifests, not an image
	NamesHistory []string
	Layers       []layers.Layer // the lowest first; without sizes when the store has them no more
	Containers   []*container.Info
	Parent       *imageView
	Children     int

	manifest digest.Digest
	there    *shared.Image // in a store of others that has it
}

// imageViews are all images there are.
type imageViews struct {
	dirs    storage.Dirs
	records layers.Records
	list    []*imageView
	byID    map[string]*imageView
	others  shared.Set
	there   map[string]*shared.Image
	unread  error   // of containers
	failed  []error // what keeps stores of others, or images in them, out
}

// viewImages looks at all images, and at the containers that use them.
func viewImages(host container.Host) (*imageViews, error) {
	images, err := host.Dirs.Images()
	if err != nil {
		return nil, err
	}
	containers, unread := container.List(host.Dirs)
	all := &imageViews{dirs: host.Dirs, byID: map[string]*imageView{}, unread: unread}
	if all.records, err = layers.ReadRecords(host.Dirs); err != nil {
		return nil, err
	}
	for _, img := range all.withShared(images, containers) {
		v, err := all.view(img)
		if err != nil {
			return nil, err
		}
		all.list, all.byID[img.ID] = append(all.list, v), v
	}
	for _, i := range containers {
		if v := all.byID[i.ImageID]; v != nil {
			v.Containers = append(v.Containers, i)
		}
	}
	all.findParents()
	return all, nil
}

func (all *imageViews) view(img *storage.Image) (*imageView, error) {
	v := &imageView{Image: img, List: img.IsList()}
	if err := json.Unmarshal(img.Config, &v.Spec); err != nil && !v.List {
		return nil, fmt.Errorf("reading the configuration of image %s: %w", img.ID, err)
	}
	record := all.records.Images[img.ID]
	if there := all.there[img.ID]; there != nil && v.readOnly() {
		v.there, v.Layers, record = there, there.Layers, there.Record
	}
	v.NamesHistory = record.NamesHistory
	v.manifest = record.BigDataDigests["manifest"]
	sort.SliceStable(img.Names, func(i, j int) bool {
		return slices.Index(record.Names, img.Names[i]) < slices.Index(record.Names, img.Names[j])
	})
	if v.there != nil {
		return v, nil
	}
	if v.Layers, _ = all.records.LayersOf(all.dirs, v.Spec.RootFS.DiffIDs); v.Layers == nil { // damaged: it can still be listed and removed
		for _, d := range v.Spec.RootFS.DiffIDs {
			v.Layers = append(v.Layers, layers.Layer{DiffID: d})
		}
	}
	return v, nil
}

// findParents: an image is made of another when its layers and its history
// begin with the other's. The longest such is its parent.
func (all *imageViews) findParents() {
	for _, child := range all.list {
		for _, other := range all.list {
			if child.madeOf(other) && (child.Parent == nil || other.madeOf(child.Parent)) {
				child.Parent = other
			}
		}
		if child.Parent != nil {
			child.Parent.Children++
		}
	}
}

func (v *imageView) madeOf(other *imageView) bool {
	return v != other && layers.MadeOf(&v.Spec, &other.Spec)
}

// find gives an image by what the user typed, and the full name that was meant.
func (all *imageViews) find(ref string) (*imageView, error) {
	img, err := all.dirs.Lookup(ref)
	img.Close()
	if errors.Is(err, storage.ErrNoImage) {
		if there, _, other := all.others.Find(ref); other == nil {
			img, err = there.Image, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if v := all.byID[img.ID]; v != nil {
		return v, nil
	}
	return nil, fmt.Errorf("%s: %w", ref, storage.ErrNoImage) // gone meanwhile
}

// findImage is find, and gives for a list its image for this machine.
func (all *imageViews) findImage(ref string) (*imageView, error) {
	v, err := all.find(ref)
	if err != nil || !v.List {
		return v, err
	}
	img, err := all.dirs.LookupImage(ref)
	if err != nil {
		return nil, err
	}
	defer img.Close()
	return all.find(img.ID)
}

// dangling: without a name, and no other image is made of it.
func (v *imageView) dangling() bool { return len(v.Names) == 0 && v.Children == 0 }

// intermediate: without a name, and another image is made of it.
func (v *imageView) intermediate() bool { return len(v.Names) == 0 && v.Children > 0 }

// repoTags are the names with a tag.
func (v *imageView) repoTags() []string {
	list := []string{}
	for _, name := range v.Names {
		if _, tag := splitTag(name); tag != "<none>" {
			list = append(list, name)
		}
	}
	return list
}

// repoDigests name the image in each of its repositories by the digests of its
// manifest and of all that it was found by.
func (v *imageView) repoDigests() []string {
	list := []string{}
	for _, name := range v.Names {
		repository, _ := splitTag(name)
		for _, d := range append([]string{v.Digest, v.manifest.String()}, v.Digests...) {
			if full := repository + "@" + d; d != "" && !slices.Contains(list, full) {
				list = append(list, full)
			}
		}
	}
	return list
}

func (v *imageView) labels() map[string]string {
	labels := map[string]string{}
	for _, label := range v.Settings.Labels {
		name, value, _ := strings.Cut(label, "=")
		labels[name] = value
	}
	return labels
}
