package shared

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	cstorage "go.podman.io/storage"
	"golang.org/x/sys/unix"

	"containers/rl/storage"
	"containers/rl/storage/layers"
)

const (
	maxList   = 64 << 20 // bytes of a list
	maxText   = 4 << 20  // of a manifest or a configuration
	maxLayers = 500      // of an image: as many as overlay takes
)

// Store is a store of others, as it was when it was opened.
type Store struct {
	Root   string // as it is configured
	Images []*Image
	Stamp  string // of its list of images (storage.ListStamp)

	graph, frames string
	layers        map[string]cstorage.Layer
}

// Image is an image there. Its Names are those that it has there.
type Image struct {
	*storage.Image
	In      *Store
	Spec    imagespec.Image
	Record  cstorage.Image
	Layers  []layers.Layer // the lowest first
	Damaged error          // why it cannot be used

	ids []string // the layers' in the store
}

// Set are the stores that could be opened, in their order.
type Set []*Store

// Open opens the stores that are configured. One that cannot be used, and a file
// that cannot be read, is an error among failed, and hinders no other. own is the
// data directory of the caller, which is none of others.
func Open(getenv func(string) string, own string) (set Set, failed []error) {
	roots, err := Roots(getenv)
	if err != nil {
		return nil, []error{fmt.Errorf("looking for additional image stores: %w", err)}
	}
	for _, root := range roots {
		if root == own || root == path.Join(own, "storage") {
			continue
		}
		s, err := read(root)
		if err != nil {
			failed = append(failed, fmt.Errorf("the image store %s is passed over: %w", root, err))
			continue
		}
		set = append(set, s)
	}
	return set, failed
}

// Read gives one image of a store, by its id.
func Read(root, id string) (*Image, error) {
	s, err := read(root)
	if err != nil {
		return nil, fmt.Errorf("reading the image store %s: %w", root, err)
	}
	if img := (Set{s}).ByID(id); img != nil {
		return img, nil
	}
	return nil, fmt.Errorf("%w: it is gone from the image store %s, or damaged there", storage.ErrNoImage, root)
}

func read(root string) (*Store, error) {
	s := &Store{Root: root, layers: map[string]cstorage.Layer{}}
	if err := s.locate(); err != nil {
		return nil, err
	}
	s.Stamp = storage.ListStamp(s.list())
	images, list, err := layers.ReadLists(s.graph, func(file string) ([]byte, error) { return readAtMost(file, maxList) })
	if err != nil {
		return nil, err
	}
	for _, l := range list {
		s.layers[l.ID] = l
	}
	seen := map[string]bool{}
	for _, record := range images {
		if seen[record.ID] { // or a list of one image over and over would have it read as often
			continue
		}
		seen[record.ID] = true
		if img := s.image(record); img != nil {
			s.Images = append(s.Images, img)
		}
	}
	return s, nil
}

// locate finds the graph root: the directory itself, or that of rl within its
// data directory.
func (s *Store) locate() error {
	for _, graph := range []string{s.Root, path.Join(s.Root, "storage")} {
		switch _, err := os.Stat(path.Join(graph, "overlay-images")); {
		case err == nil:
			s.graph = graph
			if graph != s.Root {
				s.frames = path.Join(s.Root, "frames")
			}
			return nil
		case !errors.Is(err, os.ErrNotExist):
			return err
		}
	}
	if _, err := os.Stat(s.Root); err != nil {
		return err
	}
	for _, driver := range []string{"vfs", "btrfs", "zfs"} {
		if _, err := os.Stat(path.Join(s.Root, driver+"-images")); err == nil {
			return fmt.Errorf("its driver is %s, and only overlay has layers that can be shared: podman --storage-driver overlay pull IMAGE", driver)
		}
	}
	return errors.New("it is neither the data directory of rl nor a graph root with the driver overlay")
}

// list is the file that changes with each image and each name.
func (s *Store) list() string { return path.Join(s.graph, "overlay-images/images.json") }

// image is nil for what is no image that rl could show: a record without a
// configuration, or one that is another's.
func (s *Store) image(record cstorage.Image) *Image {
	if !isID(record.ID) {
		return nil
	}
	text, err := readAtMost(path.Join(s.graph, "overlay-images", record.ID, layers.ConfigName(record.ID)), maxText)
	if err != nil {
		return nil
	}
	entry, err := layers.NewEntry(text, record.Digest)
	if err != nil || entry.ID != record.ID || record.Digest.Validate() != nil || entry.Digest == "sha256:"+entry.ID { // the last: rl's built-in image
		return nil
	}
	img := &Image{Image: entry, In: s, Record: record}
	entry.Store, entry.Names = s.Root, slices.DeleteFunc(slices.Clone(record.Names), unprintable)
	if err := json.Unmarshal(text, &img.Spec); err != nil {
		return nil
	}
	img.Damaged = img.chain()
	return img
}

// unprintable names would write to a terminal as they like.
func unprintable(name string) bool {
	return name == "" || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' })
}

func isID(text string) bool {
	return digest.NewDigestFromEncoded(digest.SHA256, text).Validate() == nil
}

// chain finds the layers, from the topmost down, and what they are to be.
func (img *Image) chain() error {
	diffs := img.Spec.RootFS.DiffIDs
	if len(diffs) > maxLayers {
		return fmt.Errorf("it has %d layers", len(diffs))
	}
	for id := img.Record.TopLayer; id != ""; {
		record, ok := img.In.layers[id]
		if !ok || !isID(id) || len(img.ids) == len(diffs) {
			return fmt.Errorf("layer %s is not as the image has it", id)
		}
		img.ids, id = append(img.ids, id), record.Parent
	}
	slices.Reverse(img.ids)
	if len(img.ids) != len(diffs) {
		return fmt.Errorf("it has %d layers of %d", len(img.ids), len(diffs))
	}
	chain := digest.Digest("")
	for i, diff := range diffs {
		record := img.In.layers[img.ids[i]]
		if diff.Validate() != nil || record.UncompressedDigest != diff {
			return fmt.Errorf("layer %s is not that of the image", img.ids[i])
		}
		chain = layers.ChainID(chain, diff)
		img.Layers = append(img.Layers, img.In.layer(record, chain))
		img.Size += record.UncompressedSize
	}
	return nil
}

func (s *Store) layer(record cstorage.Layer, chain digest.Digest) layers.Layer {
	l := layers.Layer{ID: chain.Encoded(), DiffID: record.UncompressedDigest, Size: record.UncompressedSize, Blob: record.CompressedDigest,
		Dir: path.Join(s.graph, "overlay", record.ID, "diff")}
	if frame := path.Join(s.frames, chain.Encoded()); s.frames != "" && unix.Access(frame, unix.R_OK) == nil {
		l.Frame = frame
	}
	if split := path.Join(s.graph, "overlay-layers", record.ID+".tar-split.gz"); unix.Access(split, unix.R_OK) == nil {
		l.Split = split
	}
	return l
}

// Dirs names the layers for a mount, topmost first: by their short links, where
// these lead to them.
func (img *Image) Dirs() (dirs []string) {
	for i, id := range slices.Backward(img.ids) {
		dir := img.Layers[i].Dir
		if text, err := readAtMost(path.Join(img.In.graph, "overlay", id, "link"), 64); err == nil {
			name := path.Join(img.In.graph, "overlay/l", path.Base(strings.TrimSpace(string(text))))
			if target, err := os.Readlink(name); err == nil && target == "../"+id+"/diff" {
				dir = name
			}
		}
		dirs = append(dirs, dir)
	}
	return dirs
}

// Manifest gives the manifest as it came.
func (img *Image) Manifest() ([]byte, error) {
	text, err := readAtMost(path.Join(img.In.graph, "overlay-images", img.ID, cstorage.ImageDigestBigDataKey), maxText)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest of image %s: %w", img.ID, err)
	}
	return text, nil
}

// readAtMost does not wait for a writer that never comes, and reads no more than
// is good.
func readAtMost(file string, most int64) ([]byte, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return nil, fmt.Errorf("%s: not a file of at most %d bytes", file, most)
	}
	return io.ReadAll(io.LimitReader(f, most))
}
