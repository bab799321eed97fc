package storage

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"
)

// Dirs are the directories of one user.
type Dirs struct {
	Data string // images, layers and containers
	Run  string // what does not outlive the session
}

// Locate finds the user's directories and makes them.
//
// Data is $XDG_DATA_HOME/rl, or ~/.local/share/rl. Run is the first that can
// be had of $XDG_RUNTIME_DIR/rl, /dev/shm/rl-UID and /tmp/rl-UID. The latter
// two lie where everyone may write, so a directory that is a link, another's
// or open to others is refused and not mended. RL_ROOT and RL_RUNROOT name
// others in their place.
func Locate(getenv func(string) string, uid int) (Dirs, error) {
	return locate(getenv, uid, []string{"/dev/shm", "/tmp"})
}

// The variables by which the flags --root and --runroot reach our own helpers.
const (
	RootVariable    = "RL_ROOT"
	RunRootVariable = "RL_RUNROOT"
)

// home is the data directory.
func home(getenv func(string) string) (string, error) {
	if root := getenv(RootVariable); path.IsAbs(root) {
		return path.Clean(root), nil
	}
	data := getenv("XDG_DATA_HOME")
	if !path.IsAbs(data) {
		home := getenv("HOME")
		if !path.IsAbs(home) {
			return "", errors.New("finding the data directory: neither HOME nor XDG_DATA_HOME is an absolute path: export HOME=/home/you")
		}
		data = path.Join(home, ".local/share")
	}
	return path.Join(data, "rl"), nil
}

func locate(getenv func(string) string, uid int, public []string) (Dirs, error) {
	data, err := home(getenv)
	if err != nil {
		return Dirs{}, err
	}
	d := Dirs{Data: data}
	if err := os.MkdirAll(d.Data, 0o700); err != nil {
		return Dirs{}, fmt.Errorf("making the data directory: %w: set XDG_DATA_HOME to a directory that you may write", err)
	}
	if err := ours(d.Data, uid, unix.Stat); err != nil { // a link here is the user's own
		return Dirs{}, fmt.Errorf("using the data directory: %w", err)
	}
	var places []string
	for _, dir := range public {
		places = append(places, path.Join(dir, "rl-"+strconv.Itoa(uid)))
	}
	if dir := getenv("XDG_RUNTIME_DIR"); path.IsAbs(dir) {
		places = append([]string{path.Join(dir, "rl")}, places...)
	}
	if dir := getenv(RunRootVariable); path.IsAbs(dir) {
		places = []string{dir}
	}
	var refused []error
	for _, place := range places {
		err := private(place, uid)
		if err == nil {
			d.Run = place
			return d, nil
		}
		refused = append(refused, err)
	}
	return Dirs{}, fmt.Errorf("finding a run directory: %w", errors.Join(refused...))
}

// private makes dir, or accepts one that is ours alone.
func private(dir string, uid int) error {
	err := unix.Mkdir(dir, 0o700)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("making %s: %w", dir, err)
	}
	return ours(dir, uid, unix.Lstat)
}

// ours accepts a directory that no other user may enter.
func ours(dir string, uid int, stat func(string, *unix.Stat_t) error) error {
	var st unix.Stat_t
	if err := stat(dir, &st); err != nil {
		return fmt.Errorf("looking at %s: %w", dir, err)
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		return fmt.Errorf("%s is not a directory", dir)
	case int(st.Uid) != uid:
		return fmt.Errorf("%s belongs to uid %d", dir, st.Uid)
	case st.Mode&0o077 != 0:
		return fmt.Errorf("%s is open to others (mode %o): chmod 700 %s", dir, st.Mode&0o777, dir)
	}
	return nil
}

// Graph is the root directory of containers/storage.
func (d Dirs) Graph() string { return path.Join(d.Data, "storage") }

func (d Dirs) images() string     { return path.Join(d.Data, "index", "images") }
func (d Dirs) names() string      { return path.Join(d.Data, "index", "names") }
func (d Dirs) aliases() string    { return path.Join(d.Data, "index", "aliases") }
func (d Dirs) containers() string { return path.Join(d.Data, "containers") }
func (d Dirs) taken() string      { return path.Join(d.Data, "container-names") }
