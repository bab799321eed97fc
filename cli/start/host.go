package start

import (
	"os"
	"strconv"
	"strings"

	"containers/rl/container"
	"containers/rl/storage"
	"containers/rl/userns"
)

// findHost finds the directories and id maps.
func findHost() (h container.Host, err error) {
	if h.Dirs, err = Directories(); err != nil {
		return h, err
	}
	h.User = userns.Self()
	h.IDs, h.Notice, err = userns.FindMap(h.User)
	return h, err
}

// OpenHost does so, and clears what the dead left.
func OpenHost() (container.Host, error) {
	h, _, err := ListHost()
	return h, err
}

// ListHost gives the containers as well.
func ListHost() (container.Host, []storage.Entry, error) {
	h, err := findHost()
	if err != nil {
		return h, nil, err
	}
	left, all, err := h.Dirs.HealList(container.Unlimit)
	if err == nil {
		// What cannot be removed stays for a later command: the helper has said
		// why, and what was asked for may not mind.
		_ = container.RemoveMapped(h.IDs, left...)
	}
	return h, all, err
}

// Directories finds the user's directories. Without HOME, as in a bare
// environment, it is that of /etc/passwd, for all that comes after.
func Directories() (storage.Dirs, error) {
	if os.Getenv("HOME") == "" {
		if home := accountHome(os.Getuid()); home != "" {
			_ = os.Setenv("HOME", home)
		}
	}
	return storage.Locate(os.Getenv, os.Getuid())
}

// accountHome reads passwd(5).
func accountHome(uid int) string {
	text, _ := os.ReadFile("/etc/passwd")
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) > 5 && f[2] == strconv.Itoa(uid) {
			return f[5]
		}
	}
	return ""
}
