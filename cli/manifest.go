package cli

import (
	"bytes"

	"containers/rl/storage"
)

// isManifestList: no image's configuration begins so.
func isManifestList(img *storage.Image) bool {
	return bytes.HasPrefix(img.Config, []byte(`{"schemaVersion":`))
}
