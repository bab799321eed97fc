package storage

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Volume is a directory that outlives the containers it is mounted in:
//
//	volumes/NAME/_data    what the containers see; files of any mapped id
//	volumes/NAME/volume   what follows, as text
//	volumes/NAME/fill     there until the volume was filled: see Filling
//
// It is made under another name, and appears and goes by a rename. Whoever uses
// it holds a shared lock on its directory, so a removal knows.
type Volume struct {
	Name, Driver string
	Created      time.Time
	Labels       []string // NAME=VALUE
	Options      []string // NAME=VALUE, of the driver
	Anonymous    bool     // it goes with `rm --volumes`
	Owner        string   // id of the --rm container that it goes with
	Dir          string

	lock int // a descriptor, or -1
}

// ErrNoVolume says that no volume has the name asked for.
var ErrNoVolume = errors.New("no such volume")

// ErrVolumeExists says that a volume of the name is there.
var ErrVolumeExists = errors.New("volume already exists")

// ErrVolumeInUse says that containers have the volume.
var ErrVolumeInUse = errors.New("volume is being used")

const (
	volumeData   = "_data"
	volumeRecord = "volume"
	volumeFill   = "fill"
	// volumeNew and volumeDead begin the names of what is being made or removed: no volume's name does.
	volumeNew  = ".new-"
	volumeDead = ".dead-"
)

func (d Dirs) volumes() string { return path.Join(d.Data, "volumes") }

// Data is the directory that is mounted.
func (v *Volume) Data() string { return path.Join(v.Dir, volumeData) }

// VolumeData is where the files of a volume are.
func (d Dirs) VolumeData(name string) string { return path.Join(d.volumes(), name, volumeData) }

// Option gives a value of the driver's options.
func (v *Volume) Option(name string) string {
	for _, option := range slices.Backward(v.Options) {
		if value, ok := strings.CutPrefix(option, name+"="); ok {
			return value
		}
	}
	return ""
}

// CheckVolumeName accepts podman's and docker's names: they become names of
// directories here.
func CheckVolumeName(name string) error {
	if name == "" || len(name) > 200 || checkName(name) != nil {
		return fmt.Errorf("volume %q: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument", name)
	}
	return nil
}

// CreateVolume makes an empty volume, which the result holds.
func (d Dirs) CreateVolume(v Volume) (*Volume, error) {
	if err := CheckVolumeName(v.Name); err != nil {
		return nil, err
	}
	v.Created, v.Dir, v.lock = time.Now().UTC(), path.Join(d.volumes(), v.Name), -1
	tmp, err := d.makeVolume(&v)
	if err != nil {
		return nil, fmt.Errorf("creating volume %s: %w", v.Name, err)
	}
	if err = os.Rename(tmp, v.Dir); err != nil {
		v.Close()
		_ = RemoveTree(unix.AT_FDCWD, tmp)
		if errors.Is(err, os.ErrExist) { // a volume's directory is never empty
			return nil, fmt.Errorf("volume with name %s already exists: %w", v.Name, ErrVolumeExists)
		}
		return nil, fmt.Errorf("creating volume %s: %w", v.Name, err)
	}
	return &v, nil
}

// makeVolume makes it under a name that is none, and locks it before anyone can
// take it for left behind.
func (d Dirs) makeVolume(v *Volume) (tmp string, err error) {
	for range attempts {
		tmp = fmt.Sprintf("%s/%s%d-%d", d.volumes(), volumeNew, os.Getpid(), time.Now().UnixNano())
		if err = os.MkdirAll(tmp, 0o700); err != nil {
			return tmp, err
		}
		if v.lock, err = lockPlace(tmp, unix.LOCK_SH); !errors.Is(err, os.ErrNotExist) {
			break // else it was swept away meanwhile
		}
	}
	if err == nil {
		err = os.Mkdir(path.Join(tmp, volumeData), 0o755)
	}
	if err == nil {
		err = os.Chmod(path.Join(tmp, volumeData), 0o755) // whatever our umask
	}
	for _, file := range []struct {
		name string
		text []byte
	}{{volumeRecord, v.encode()}, {volumeFill, nil}} {
		if err == nil {
			err = os.WriteFile(path.Join(tmp, file.name), file.text, 0o600)
		}
	}
	if err != nil {
		v.Close()
		_ = RemoveTree(unix.AT_FDCWD, tmp)
	}
	return tmp, err
}

// lockPlace locks a directory that can be removed at any time, and makes sure
// that it has still its name.
func lockPlace(dir string, how int) (int, error) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return -1, err
	}
	if err = lockFD(fd, how); err == nil {
		var held, named unix.Stat_t
		if err = unix.Fstat(fd, &held); err == nil {
			err = unix.Lstat(dir, &named)
		}
		if err == nil && (held.Ino != named.Ino || held.Dev != named.Dev) {
			err = unix.ENOENT
		}
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// HoldVolume gives a volume, which is not removed until it is closed.
func (d Dirs) HoldVolume(name string) (*Volume, error) {
	if CheckVolumeName(name) != nil {
		return nil, noVolume(name)
	}
	dir := path.Join(d.volumes(), name)
	fd, err := lockPlace(dir, unix.LOCK_SH)
	if errors.Is(err, os.ErrNotExist) {
		return nil, noVolume(name)
	}
	if err != nil {
		return nil, fmt.Errorf("opening volume %s: %w", name, err)
	}
	v, err := d.readVolume(name)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	v.lock = fd
	return v, nil
}

func noVolume(name string) error {
	return fmt.Errorf("no volume with name %q found: %w", name, ErrNoVolume)
}

// Close lets go of the volume.
func (v *Volume) Close() {
	if v != nil && v.lock >= 0 {
		unix.Close(v.lock)
		v.lock = -1
	}
}

// FindVolume gives a volume by its name, or the beginning of it when that is
// the only one. Nothing is held.
func (d Dirs) FindVolume(ref string) (*Volume, error) {
	if CheckVolumeName(ref) != nil {
		return nil, noVolume(ref)
	}
	v, err := d.readVolume(ref)
	if !errors.Is(err, ErrNoVolume) {
		return v, err
	}
	names, err := d.volumeNames()
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, ref) })
	switch len(names) {
	case 0:
		return nil, noVolume(ref)
	case 1:
		return d.readVolume(names[0])
	}
	return nil, fmt.Errorf("more than one result for volume name %q: %s", ref, strings.Join(names, ", "))
}

// Volumes lists all volumes by their names. One that is removed meanwhile is
// left out.
func (d Dirs) Volumes() (list []*Volume, err error) {
	names, err := d.volumeNames()
	for _, name := range names {
		v, err := d.readVolume(name)
		if errors.Is(err, ErrNoVolume) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, err
}

func (d Dirs) volumeNames() (names []string, err error) {
	entries, err := os.ReadDir(d.volumes())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listing volumes: %w", err)
	}
	for _, e := range entries {
		if e.Name()[0] != '.' {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func (d Dirs) readVolume(name string) (*Volume, error) {
	v := &Volume{Name: name, Dir: path.Join(d.volumes(), name), lock: -1}
	text, err := os.ReadFile(path.Join(v.Dir, volumeRecord))
	if errors.Is(err, os.ErrNotExist) {
		return nil, noVolume(name)
	}
	if err == nil {
		err = v.decode(string(text))
	}
	if err != nil {
		return nil, fmt.Errorf("reading volume %s: %w", name, err)
	}
	return v, nil
}

// encode writes a line for each value, as the index of images has them.
func (v *Volume) encode() []byte {
	text := fmt.Appendf(nil, "driver %q\ncreated %d\n", v.Driver, v.Created.UnixNano())
	for _, list := range []listField{{"label", &v.Labels}, {"option", &v.Options}} {
		for _, value := range *list.values {
			text = fmt.Appendf(text, "%s %q\n", list.key, value)
		}
	}
	if v.Anonymous {
		text = fmt.Appendf(text, "anonymous %q\n", v.Owner)
	}
	return text
}

func (v *Volume) decode(text string) (err error) {
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if key == "created" {
			at, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return err
			}
			v.Created = time.Unix(0, at).UTC()
			continue
		}
		if value, err = strconv.Unquote(value); err != nil {
			return fmt.Errorf("line %q: %w", line, err)
		}
		switch key {
		case "driver":
			v.Driver = value
		case "label":
			v.Labels = append(v.Labels, value)
		case "option":
			v.Options = append(v.Options, value)
		case "anonymous":
			v.Anonymous, v.Owner = true, value
		}
	}
	return nil
}
