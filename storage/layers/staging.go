package layers

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	cstorage "go.podman.io/storage"
	drivers "go.podman.io/storage/drivers"
	"golang.org/x/sys/unix"

	"containers/rl/storage"
)

// Blob describes the blob that a layer was unpacked from.
type Blob struct {
	Digest    digest.Digest // compressed, as in the manifest
	Size      int64         // of the compressed blob
	MediaType string
}

// Staging is a layer being unpacked. Exactly one of Commit and Abort ends it.
type Staging struct {
	Dir *os.File // open directory to fill, empty; closed by Commit and Abort
	// Frame may be filled with what it takes to write the layer as the archive it
	// came as; it is kept with the layer if Framed says so.
	Frame  *os.File
	Framed bool
	Marked bool // its whiteouts have the archive's form (storage.Dirs.Marks)

	store *Store
	home  string // holds the directory
}

func stagingRoot(d storage.Dirs) string { return filepath.Join(d.Data, "staging") }

// StageLayer makes an empty directory that becomes a layer by Commit. Layers
// may be staged in any order and side by side.
func (s *Store) StageLayer() (*Staging, error) {
	home, err := os.MkdirTemp(stagingRoot(s.dirs), "")
	if err != nil {
		return nil, fmt.Errorf("staging a layer: %w", err)
	}
	g := &Staging{store: s, home: home}
	if err := g.fill(); err != nil {
		return nil, fmt.Errorf("staging a layer: %w", errors.Join(err, g.Abort()))
	}
	return g, nil
}

// unset is the mode of a staged directory that its layer says nothing about:
// such a layer has the root directory of the one below. No image has this mode.
const unset = 0o700 | os.ModeSetuid | os.ModeSetgid | os.ModeSticky

func (g *Staging) fill() (err error) {
	diff := filepath.Join(g.home, "diff")
	if err := os.Mkdir(diff, 0o700); err != nil {
		return err
	}
	if g.Dir, err = os.Open(diff); err != nil {
		return err
	}
	if g.Frame, err = os.OpenFile(filepath.Join(g.home, "frame"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return err
	}
	return g.Dir.Chmod(unset)
}

// rootMode is the mode that the layer gives the root directory: nil for that
// of its parent.
func (g *Staging) rootMode(parent digest.Digest) (*os.FileMode, error) {
	info, err := g.Dir.Stat()
	if err != nil {
		return nil, err
	}
	mode := info.Mode() &^ os.ModeDir
	if mode != unset {
		return &mode, nil
	}
	if parent != "" {
		return nil, nil
	}
	mode = 0o755
	return &mode, g.Dir.Chmod(mode)
}

// Commit makes the directory the layer diffID above parent (a chain id, "" for
// none), which must be in the store. size is that of the uncompressed archive.
// That another pull was faster is no error. The chain id comes back.
func (g *Staging) Commit(parent, diffID digest.Digest, size int64, blob Blob) (digest.Digest, error) {
	chain := ChainID(parent, diffID)
	if g.store.HasLayer(chain) {
		return chain, g.Abort()
	}
	if err := g.store.clearIncomplete(chain); err != nil {
		return "", fmt.Errorf("committing layer %s: %w", diffID, err)
	}
	mode, err := g.rootMode(parent)
	if err != nil {
		return "", fmt.Errorf("committing layer %s: %w", diffID, err)
	}
	if err := g.keepBeside(chain.Encoded()); err != nil {
		return "", fmt.Errorf("committing layer %s: %w", diffID, err)
	}
	args := cstorage.ApplyStagedLayerOptions{
		ID: chain.Encoded(),
		DiffOutput: &drivers.DriverWithDifferOutput{
			Target: filepath.Join(g.home, "diff"), Size: size, UncompressedDigest: diffID, CompressedDigest: blob.Digest, RootDirMode: mode,
		},
		DiffOptions: &drivers.ApplyDiffWithDifferOpts{},
	}
	if parent != "" {
		args.ParentLayer = parent.Encoded()
	}
	if _, err := g.store.store.ApplyStagedLayer(args); err != nil && !g.store.HasLayer(chain) {
		if parent != "" && !g.store.HasLayer(parent) {
			err = fmt.Errorf("%w: %w", ErrGone, err)
		}
		return "", fmt.Errorf("committing layer %s: %w", diffID, err)
	}
	return chain, g.Abort() // what is left is the empty frame
}

// keepBeside keeps what is known of the layer. It comes before that, so that none is
// without; without a layer it is swept.
func (g *Staging) keepBeside(id string) (err error) {
	if g.Framed {
		err = os.Rename(filepath.Join(g.home, "frame"), frameFile(g.store.dirs, id))
	}
	if g.Marked && err == nil {
		err = os.WriteFile(g.store.dirs.Marks(id), nil, 0o600)
	}
	return err
}

// ChainID names a layer together with all below it (OCI image-spec, config.md).
func ChainID(parent, diffID digest.Digest) digest.Digest {
	if parent == "" {
		return diffID
	}
	return digest.FromString(parent.String() + " " + diffID.String())
}

// Abort removes what was unpacked. After Commit it does nothing, so it can be deferred.
func (g *Staging) Abort() error {
	if g.home == "" {
		return nil
	}
	for _, file := range []*os.File{g.Dir, g.Frame} { // before: NFS keeps the name of an open file
		if file != nil {
			file.Close()
		}
	}
	err := storage.RemoveTree(unix.AT_FDCWD, g.home)
	g.home = ""
	return err
}

func frameFile(d storage.Dirs, id string) string { return filepath.Join(d.Frames(), id) }
