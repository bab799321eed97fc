package cli

import (
	"encoding/json"
	"fmt"
	"os"

	"containers/rl/storage/fuseoverlay"
)

// roleOverlay serves an overlay over FUSE until it is unmounted: descriptor 3 is
// /dev/fuse, opened in the user namespace of the mount, in which we are root; the
// one argument is fuseoverlay.Layers in JSON.
const roleOverlay = "rl-overlay"

func overlayInside(_ Streams, args []string) error {
	var l fuseoverlay.Layers
	if len(args) != 1 {
		return fmt.Errorf("%s takes one argument, not %d", roleOverlay, len(args))
	}
	if err := json.Unmarshal([]byte(args[0]), &l); err != nil {
		return fmt.Errorf("layers for %s: %w", roleOverlay, err)
	}
	return fuseoverlay.Serve(os.NewFile(3, "/dev/fuse"), l)
}
