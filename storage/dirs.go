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
	Data   string // images, layers and containers
	Run    string // what does not outlive the session
	Wanted string `json:",omitempty"` // the driver that the user asks for; "": what was found by trying
}

// Locate finds the user's directories and makes them.
//
// Data is $XDG_DATA_HOME/rl, or ~/.local/share/rl. Run is the first that can
// be had of $XDG_RUNTIME_DIR/rl, /run/user/UID/rl, /dev/shm/rl-UID and
// /tmp/rl-UID. A variable may be left from another user's session (su without
// -): a directory that is not ours, or where others may write, is passed over.
// The last two lie where everyone may write, so one that is a link, another's
// or open to others is refused and not mended. RL_ROOT and RL_RUNROOT name
// others in their place, STORAGE_DRIVER a driver.
func Locate(getenv func(string) string, uid int) (Dirs, error) {
	id := strconv.Itoa(uid)
	return locate(getenv, uid, []string{"/run/user/" + id + "/rl", "/dev/shm/rl-" + id, "/tmp/rl-" + id})
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

func locate(getenv func(string) string, uid int, places []string) (Dirs, error) {
	data, err := home(getenv)
	if err != nil {
		return Dirs{}, err
	}
	d := Dirs{Data: data, Wanted: getenv(DriverVariable)}
	if d.Wanted != "" {
		if err := CheckDriver(d.Wanted); err != nil {
			return Dirs{}, err
		}
	}
	if err := os.MkdirAll(d.Data, 0o700); err != nil {
		return Dirs{}, fmt.Errorf("making the data directory: %w: set XDG_DATA_HOME to a directory that you may write", err)
	}
	if err := ours(d.Data, uid, unix.Stat); err != nil { // a link here is the user's own
		return Dirs{}, fmt.Errorf("using the data directory: %w", err)
	}
	var refused []error
	if dir := getenv("XDG_RUNTIME_DIR"); path.IsAbs(dir) {
		if err := closed(dir, uid); err != nil {
			refused = append(refused, err)
		} else {
			places = append([]string{path.Join(dir, "rl")}, places...)
		}
	}
	if dir := getenv(RunRootVariable); path.IsAbs(dir) {
		places = []string{dir}
	}
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

// closed accepts a directory of ours in which nobody else may write: what is
// ours in it could be put aside. Others may read it, unlike ours.
func closed(dir string, uid int) error {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return fmt.Errorf("looking at %s: %w", dir, err)
	}
	if int(st.Uid) != uid || st.Mode&0o022 != 0 {
		return fmt.Errorf("%s belongs to uid %d and has mode %o: others may write there", dir, st.Uid, st.Mode&0o7777)
	}
	return nil
}

// private makes dir, or accepts one that is ours alone.
func private(dir string, uid int) error {
	err := ours(dir, uid, unix.Lstat)
	if !errors.Is(err, unix.ENOENT) {
		return err
	}
	if err := unix.Mkdir(dir, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
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
func (d Dirs) digests() string    { return path.Join(d.Data, "index", "digests") }
func (d Dirs) shared() string     { return path.Join(d.Data, "index", "shared") }
func (d Dirs) containers() string { return path.Join(d.Data, "containers") }
func (d Dirs) taken() string      { return path.Join(d.Data, "container-names") }
