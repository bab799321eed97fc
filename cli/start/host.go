package start

import (
	"os"

	"containers/rl/container"
	"containers/rl/storage"
	"containers/rl/userns"
)

// findHost finds the directories and id maps.
func findHost() (h container.Host, err error) {
	if h.Dirs, err = storage.Locate(os.Getenv, os.Getuid()); err != nil {
		return h, err
	}
	h.User = userns.Self()
	h.IDs, h.Notice, err = userns.FindMap(h.User)
	return h, err
}

// OpenHost does so, and clears what the dead left.
func OpenHost() (container.Host, error) {
	h, err := findHost()
	if err != nil {
		return h, err
	}
	left, err := h.Dirs.Heal()
	if err != nil {
		return h, err
	}
	return h, container.RemoveMapped(h.IDs, left...)
}
