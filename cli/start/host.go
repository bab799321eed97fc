package start

import (
	"os"

	"containers/rl/container"
	"containers/rl/storage"
	"containers/rl/userns"
)

// OpenHost finds the directories and id maps, and clears what the dead left.
func OpenHost() (container.Host, error) {
	var h container.Host
	var err error
	if h.Dirs, err = storage.Locate(os.Getenv, os.Getuid()); err != nil {
		return h, err
	}
	h.User = userns.Self()
	if h.IDs, h.Notice, err = userns.FindMap(h.User); err != nil {
		return h, err
	}
	left, err := h.Dirs.Heal()
	if err != nil {
		return h, err
	}
	return h, container.RemoveMapped(h.IDs, left...)
}
