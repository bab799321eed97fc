package cli

import (
	"os"

	"containers/rl/storage"
)

// overlayInside is the process that serves an overlay through FUSE. With an
// argument descriptor 3 is /dev/fuse; else it opens it.
func overlayInside(_ Streams, args []string) error {
	var dev *os.File
	if len(args) > 0 {
		dev = os.NewFile(3, "/dev/fuse")
	}
	return storage.ServeAsked(os.Stdin, dev)
}
