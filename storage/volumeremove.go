package storage

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// RemoveVolume removes a volume that nobody holds; unused is asked under the
// lock whether anyone else has it. Files of other ids stay under the path that
// comes back, to be removed in the user namespace: the volume is gone.
func (d Dirs) RemoveVolume(name string, unused func() error) (left string, err error) {
	if CheckVolumeName(name) != nil {
		return "", noVolume(name)
	}
	dir := path.Join(d.volumes(), name)
	fd, err := lockPlace(dir, unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", noVolume(name)
	case errors.Is(err, unix.EWOULDBLOCK):
		if err := unused(); err != nil {
			return "", err
		}
		return "", fmt.Errorf("volume %s is being used by a container that is being started or removed: %w", name, ErrVolumeInUse)
	case err != nil:
		return "", fmt.Errorf("removing volume %s: %w", name, err)
	}
	defer unix.Close(fd)
	if err := unused(); err != nil {
		return "", err
	}
	grave := fmt.Sprintf("%s/%s%d-%d", d.volumes(), volumeDead, os.Getpid(), time.Now().UnixNano())
	if err := os.Rename(dir, grave); err != nil {
		return "", fmt.Errorf("removing volume %s: %w", name, err)
	}
	return sweep(grave), nil
}

// sweep removes a tree, or names it.
func sweep(dir string) (left string) {
	if err := RemoveTree(unix.AT_FDCWD, dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return dir
	}
	return ""
}

// SweepVolumes removes what killed processes left: volumes being made or
// removed, and those that were to go with a container that is gone. What holds
// files of other ids is named.
func (d Dirs) SweepVolumes() (left []string) {
	entries, _ := os.ReadDir(d.volumes())
	for _, e := range entries {
		dir, name := path.Join(d.volumes(), e.Name()), e.Name()
		rest := ""
		switch {
		case strings.HasPrefix(name, volumeDead):
			rest = sweep(dir)
		case strings.HasPrefix(name, volumeNew):
			if fd, err := lockPlace(dir, unix.LOCK_EX|unix.LOCK_NB); err == nil {
				rest = sweep(dir)
				unix.Close(fd)
			}
		case len(name) == anonymousName && isHex(name):
			rest = d.sweepOwned(name)
		}
		if rest != "" {
			left = append(left, rest)
		}
	}
	return left
}

// anonymousName is the length of the names that anonymous volumes have.
const anonymousName = 64

func (d Dirs) sweepOwned(name string) (left string) {
	v, err := d.readVolume(name)
	if err != nil || v.Owner == "" {
		return ""
	}
	left, _ = d.RemoveVolume(name, func() error {
		for _, dir := range []string{v.Owner, v.Owner + transientSuffix} {
			if _, err := os.Lstat(path.Join(d.containers(), dir)); !errors.Is(err, os.ErrNotExist) {
				return ErrVolumeInUse
			}
		}
		return nil
	})
	return left
}

// Filling is the right to fill a volume for the first time. It is one's alone,
// until Close.
type Filling struct {
	fd   int
	file string
	// Owned: the directory has its owner already, but no content.
	Owned bool
}

// Filling waits for others that fill the volume; nil when it was done. What is
// there from the beginning, or was imported, is not touched.
func (v *Volume) Filling() (*Filling, error) {
	f := &Filling{file: path.Join(v.Dir, volumeFill)}
	var err error
	f.fd, err = unix.Open(f.file, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err == nil {
		err = lockFD(f.fd, unix.LOCK_EX)
	}
	var st unix.Stat_t
	if err == nil {
		err = unix.Fstat(f.fd, &st)
	}
	if err != nil || st.Nlink == 0 {
		unix.Close(f.fd)
		return nil, err
	}
	word := make([]byte, 16)
	n, err := unix.Pread(f.fd, word, 0)
	f.Owned = string(word[:max(n, 0)]) == "owned"
	// A filling that was interrupted goes on, whatever is there: it says "copying".
	if err == nil && n == 0 && !v.empty() {
		return nil, f.Done(false)
	}
	return f, err
}

func (v *Volume) empty() bool {
	dir, err := os.Open(v.Data())
	if err != nil {
		return true // closed to us: only the user namespace can tell
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(1)
	return len(names) == 0
}

// Begin says that from now on what is in the volume may be a part.
func (f *Filling) Begin() error { return f.say("copying") }

func (f *Filling) say(word string) error {
	if err := unix.Ftruncate(f.fd, 0); err != nil {
		return fmt.Errorf("marking %s: %w", f.file, err)
	}
	if _, err := unix.Pwrite(f.fd, []byte(word), 0); err != nil {
		return fmt.Errorf("marking %s: %w", f.file, err)
	}
	return nil
}

// Done ends it. empty: there was nothing to be copied, so another container's
// image may still fill it.
func (f *Filling) Done(empty bool) (err error) {
	if empty {
		err = f.say("owned")
	} else {
		err = unix.Unlink(f.file)
	}
	f.Close()
	return err
}

// Close gives the right back.
func (f *Filling) Close() {
	if f.fd >= 0 {
		unix.Close(f.fd)
		f.fd = -1
	}
}

// Filled says that a volume has its content, or is to have no other.
func (v *Volume) Filled() {
	_ = os.Remove(path.Join(v.Dir, volumeFill))
}

// Untouched says whether nothing ever used the volume.
func (v *Volume) Untouched() (copyUp, chown bool) {
	text, err := os.ReadFile(path.Join(v.Dir, volumeFill))
	return err == nil, err == nil && len(text) == 0
}
