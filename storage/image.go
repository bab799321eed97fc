package storage

import (
	"encoding/json"
	"errors"
	"os"
	"time"
)

// ErrNoImage says that no image has the name or id asked for.
var ErrNoImage = errors.New("no such image")

// Image is an image ready to run.
type Image struct {
	ID      string          `json:"id"`     // hex digest of the config
	Digest  string          `json:"digest"` // of the manifest, with its algorithm
	Names   []string        `json:"-"`      // full names; from Lookup only those asked for
	Layers  []string        `json:"layers"` // absolute directories, topmost first
	Config  json.RawMessage `json:"config"` // OCI image configuration
	Size    int64           `json:"size"`   // of the unpacked layers
	Created time.Time       `json:"created"`

	entry *os.File // holds LOCK_SH, so that the image is not removed
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

// rootMode is the mode of the root directory.
func (img *Image) rootMode() os.FileMode {
	if img != nil && len(img.Layers) > 0 {
		if info, err := os.Stat(img.Layers[0]); err == nil {
			return info.Mode() & (os.ModePerm | os.ModeSticky)
		}
	}
	return 0o755
}
