package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Record enters an image under its names; aliases lead to the first of them.
// The entry is complete before a name leads to it.
func (d Dirs) Record(img *Image, names, aliases []string) error {
	for _, dir := range []string{d.images(), d.names(), d.aliases()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("making the image index: %w", err)
		}
	}
	text, err := json.Marshal(img)
	if err != nil {
		return err
	}
	if err := d.enter(img.ID, text); err != nil {
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
	return nil
}

// enter writes an entry unless it is there. One that is in use stays as it is,
// or its lock would protect it no longer; the layers of an image in use do not
// move.
func (d Dirs) enter(id string, text []byte) error {
	path := filepath.Join(d.images(), id+suffix)
	old, err := openEntry(path)
	if err == nil {
		defer old.Close()
		err = lock(old, unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil
		}
		if same, _ := os.ReadFile(path); err == nil && string(same) == string(text) {
			return nil
		}
	}
	if err != nil && !errors.Is(err, ErrNoImage) {
		return err
	}
	return replace(path, func(tmp string) error { return os.WriteFile(tmp, text, 0o600) })
}

func (d Dirs) link(dir, name, target string) error {
	err := replace(filepath.Join(dir, escape(name)), func(tmp string) error { return os.Symlink(target, tmp) })
	if err != nil {
		return fmt.Errorf("recording the name %s: %w", name, err)
	}
	return nil
}

// replace makes a file under another name and renames it. What a killed
// process leaves has no suffix of ours and is overwritten by the next.
func replace(path string, create func(tmp string) error) error {
	tmp := fmt.Sprintf("%s/.%d", filepath.Dir(path), os.Getpid())
	_ = os.Remove(tmp)
	err := create(tmp)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
	}
	return err
}

// Untag removes a full name. That it is not there is no error.
func (d Dirs) Untag(name string) error {
	err := os.Remove(filepath.Join(d.names(), escape(name)))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// ErrInUse says that a container or a pull holds the image.
var ErrInUse = errors.New("image is in use by a container")

// Forget removes an image's entry when no one holds it.
func (d Dirs) Forget(id string) error {
	path := filepath.Join(d.images(), id+suffix)
	file, err := os.Open(path)
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
		return fmt.Errorf("locking %s: %w", path, err)
	}
	return os.Remove(path)
}
