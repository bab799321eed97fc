package storage

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// Record enters an image under its names; aliases lead to the first of them.
// The entry is complete, and on the disk, before a name leads to it; what it
// names must be on the disk by then. After Record all of it outlives a power cut.
func (d Dirs) Record(img *Image, names, aliases []string) error {
	for _, dir := range []string{d.images(), d.names(), d.aliases()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("making the image index: %w", err)
		}
	}
	if err := d.enter(img.ID, img.encode()); err != nil {
		return fmt.Errorf("recording image %s: %w", img.ID, err)
	}
	for _, name := range names {
		if err := d.link(d.names(), name, "../images/"+img.ID+suffix); err != nil {
			return err
		}
	}
	for _, alias := range aliases {
		if err := d.link(d.aliases(), alias, "../names/"+escape(names[0])); err != nil {
			return err
		}
	}
	return d.sync(d.images(), d.names(), d.aliases())
}

// sync brings the names in directories to the disk.
func (d Dirs) sync(dirs ...string) error {
	for _, dir := range dirs {
		file, err := os.Open(dir)
		if err == nil {
			err = ignoreUnsupported(file.Sync())
			file.Close()
		}
		if err != nil {
			return fmt.Errorf("bringing the image index to the disk: %w", err)
		}
	}
	return nil
}

// ignoreUnsupported: fsync(2) of a directory is EINVAL on some file systems,
// which then have no other way.
func ignoreUnsupported(err error) error {
	if errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

// writeSynced is os.WriteFile of what is on the disk when it returns.
func writeSynced(name string, text []byte) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = file.Write(text); err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

// enter writes an entry unless it is there. One that is in use stays as it is,
// or its lock would protect it no longer; the layers of an image in use do not
// move.
func (d Dirs) enter(id string, text []byte) error {
	file := path.Join(d.images(), id+suffix)
	old, err := openEntry(file)
	if err == nil {
		defer old.Close()
		err = lock(old, unix.LOCK_EX|unix.LOCK_NB)
		there, _ := os.ReadFile(file)
		switch {
		case isForeign(there) && !isForeign(text): // our own layers take its place: the lock protects none of another's
			err = nil
		case errors.Is(err, unix.EWOULDBLOCK), err == nil && string(there) == string(text):
			return nil
		}
	}
	if err != nil && !errors.Is(err, ErrNoImage) {
		return err
	}
	return ReplaceFile(file, text)
}

func (d Dirs) link(dir, name, target string) error {
	err := replace(path.Join(dir, escape(name)), func(tmp string) error { return os.Symlink(target, tmp) })
	if err != nil {
		return fmt.Errorf("recording the name %s: %w", name, err)
	}
	return nil
}

// ClearUnfinished removes the files that replace was killed over. Who calls it
// holds the lock of those who write.
func (d Dirs) ClearUnfinished() error {
	var failed []error
	for _, dir := range []string{d.images(), d.names(), d.aliases(), d.digests(), d.shared()} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			failed = append(failed, err)
		}
		for _, e := range entries {
			if e.Name()[0] == '.' && !kept(e.Name()) {
				failed = append(failed, os.Remove(path.Join(dir, e.Name())))
			}
		}
	}
	return errors.Join(failed...)
}

// replace makes a file under another name and renames it. What a killed
// process leaves begins with a dot, as no reference does: ClearUnfinished.
func replace(file string, create func(tmp string) error) error {
	tmp := fmt.Sprintf("%s/.%d", path.Dir(file), os.Getpid())
	_ = os.Remove(tmp)
	err := create(tmp)
	if err == nil {
		err = os.Rename(tmp, file)
	}
	if err != nil {
		_ = os.Remove(tmp)
	}
	return err
}

// ReplaceFile puts a file in the place of another, whole and on the disk.
func ReplaceFile(file string, text []byte) error {
	return replace(file, func(tmp string) error { return writeSynced(tmp, text) })
}

// Untag removes a full name. That it is not there is no error.
func (d Dirs) Untag(name string) error {
	err := os.Remove(path.Join(d.names(), escape(name)))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return d.sync(d.names())
}

// ErrInUse says that a container or a pull holds the image.
var ErrInUse = errors.New("image is in use by a container")

// Forget removes an image's entry when no one holds it.
func (d Dirs) Forget(id string) error {
	name := path.Join(d.images(), id+suffix)
	file, err := os.OpenFile(name, os.O_RDWR, 0) // for writing: see lock
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	if err := lock(file, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return ErrInUse
		}
		return fmt.Errorf("locking %s: %w", name, err)
	}
	if err := os.Remove(name); err != nil {
		return err
	}
	return errors.Join(d.sync(d.images()), d.forgetDigests(id)) // before its layers go
}
