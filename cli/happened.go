package cli

import (
	"time"

	"containers/rl/container"
	"containers/rl/storage"
)

// happened records an event of what is no container, for the command events.
func happened(d storage.Dirs, kind, status, id, name string, attributes ...string) {
	container.Emit(d, container.Event{Time: time.Now(), Type: kind, Status: status, ID: id, Name: name, Attributes: attributes})
}

// imageID is the id that a name stands for, or nothing.
func imageID(d storage.Dirs, ref string) string {
	img, err := d.Lookup(ref)
	if err != nil {
		return ""
	}
	defer img.Close()
	return img.ID
}
