package storage

import (
	"errors"
	"os"
	"time"
)

// ErrNoImage says that no image has the name or id asked for.
var ErrNoImage = errors.New("image not known")

// Image is an image ready to run.
type Image struct {
	ID       string    // hex digest of the config
	Digest   string    // of the manifest, with its algorithm
	Digests  []string  // of further manifests that led to it; from Lookup none
	Names    []string  // full names; from Lookup only those asked for
	Layers   []string  // absolute directories, topmost first
	Size     int64     // of the unpacked layers
	Created  time.Time // zero when the image does not say
	Settings Settings
	Config   []byte // OCI image configuration, of which Settings are a part
	Store    string // root of the read-only store of others that has the layers; "" is our own

	entry *os.File // holds LOCK_SH, so that the image is not removed
}

// Settings are what a start needs of an OCI image configuration (image-spec,
// config.md).
type Settings struct {
	User                 string
	Env, Entrypoint, Cmd []string
	WorkingDir           string
	Labels               []string // NAME=VALUE
	Volumes              []string // paths
}

// Close lets go of the image. Later calls do nothing.
func (img *Image) Close() error {
	if img == nil || img.entry == nil {
		return nil
	}
	file := img.entry
	img.entry = nil
	return file.Close()
}

// RootMode is the mode of the root directory.
func (img *Image) RootMode() os.FileMode {
	if img != nil && len(img.Layers) > 0 {
		if info, err := os.Stat(img.Layers[0]); err == nil {
			return info.Mode() & (os.ModePerm | os.ModeSticky)
		}
	}
	return 0o755
}
