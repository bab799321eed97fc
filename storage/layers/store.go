// Package layers is the writing side of the image store: it feeds
// containers/storage, which is too slow to open on the way to a container, and
// keeps the index that package storage reads.
//
// Its callers run as root of a user namespace that has the user's id maps and
// a mount namespace of its own.
package layers

import (
	"errors"
	"os"

	"github.com/opencontainers/go-digest"

	"containers/rl/storage"
)

// Store is an open image store. Its methods may be called side by side.
type Store struct {
	dirs storage.Dirs
}

// Image is what PutImage records.
type Image struct {
	Names    []string      // full names with tag or digest: docker.io/library/alpine:latest
	Aliases  []string      // what the user typed instead of Names[0]: alpine
	Config   []byte        // as it came from the registry; its digest is the image's id
	Manifest []byte        // as it came from the registry
	Digest   digest.Digest // by which the image was found: of the manifest, or of its index
	Layer    digest.Digest // chain id of the topmost layer, "" for none
}

// Blob describes the blob that a layer was unpacked from.
type Blob struct {
	Digest    digest.Digest // compressed, as in the manifest
	Size      int64         // of the compressed blob
	MediaType string
}

// Staging is a layer being unpacked. Exactly one of Commit and Abort ends it.
type Staging struct {
	Dir *os.File // open directory to fill, empty; closed by Commit and Abort
}

var errTODO = errors.New("not yet")

// Open opens the store, and makes it the first time.
func Open(d storage.Dirs) (*Store, error) { return nil, errTODO }

// HasLayer says whether the layer with this chain id is complete in the store.
func (s *Store) HasLayer(chainID digest.Digest) bool { return false }

// StageLayer makes an empty directory that becomes a layer by Commit. Layers
// may be staged in any order and side by side.
func (s *Store) StageLayer() (*Staging, error) { return nil, errTODO }

// Commit makes the directory the layer diffID above parent (a chain id, "" for
// none), which must be in the store. size is that of the uncompressed archive.
// That another pull was faster is no error. The chain id comes back.
func (g *Staging) Commit(parent, diffID digest.Digest, size int64, blob Blob) (digest.Digest, error) {
	return "", errTODO
}

// Abort removes what was unpacked. After Commit it does nothing, so it can be deferred.
func (g *Staging) Abort() error { return errTODO }

// PutImage records an image whose layers are all in the store. The result
// holds the image until it is closed.
func (s *Store) PutImage(img Image) (*storage.Image, error) { return nil, errTODO }

// RemoveImage removes the name ref, and the image with its last name. An image
// of several names needs force when ref is its id.
func (s *Store) RemoveImage(ref string, force bool) (untagged, deleted []string, err error) {
	return nil, nil, errTODO
}

// Close removes what was left of pulls that failed, and closes the store.
func (s *Store) Close() error { return errTODO }
