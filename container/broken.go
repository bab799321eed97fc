package container

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"containers/rl/storage"
	"containers/rl/userns"
)

// Broken is the error for a container or a pod of which a file cannot be read.
// All that can be done with it is to remove it.
type Broken struct {
	storage.Entry
	Pod bool
	Err error
}

func (b *Broken) Error() string {
	remove := "rl rm --force"
	if b.Pod {
		remove = "rl pod rm --force"
	}
	return fmt.Sprintf("%s %s is damaged: %v: %s %[2]s removes it", b.Kind(), b.ID, b.Err, remove)
}

// Kind is the word for what it is.
func (b *Broken) Kind() string {
	if b.Pod {
		return "pod"
	}
	return "container"
}

func (b *Broken) Unwrap() error { return b.Err }

// brokenBy are the errors of the kernel that tell of the file. Others, as of too
// many open files, tell of the moment.
var brokenBy = []unix.Errno{unix.ENOTDIR, unix.EISDIR, unix.EACCES, unix.ELOOP}

// broken makes an error one of Broken unless it says something else.
func broken(e storage.Entry, pod bool, err error) error {
	var number unix.Errno
	if err == nil || errors.As(err, &number) && !slices.Contains(brokenBy, number) {
		return err
	}
	return &Broken{e, pod, err}
}

// AllBroken are those that an error of Find, List or Pods tells of.
func AllBroken(err error) (list []*Broken) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			list = append(list, AllBroken(one)...)
		}
		return list
	}
	var b *Broken
	if errors.As(err, &b) {
		list = append(list, b)
	}
	return list
}

// Delete removes it. What it was made with is not known: volumes of its own
// stay. One that runs has its lock and is left alone.
func (b *Broken) Delete(h Host) error {
	if b.Pod {
		return b.deletePod(h)
	}
	c, err := h.Dirs.HoldContainer(b.Entry, "", nil)
	switch {
	case errors.Is(err, storage.ErrNoContainer):
		return nil
	case errors.Is(err, unix.ENOTDIR): // a file that is none of ours
		return os.Remove(b.Dir)
	case err != nil:
		return fmt.Errorf("removing container %s: %w", b.ID, err)
	}
	if remove(c, h, &err); err == nil {
		emit(h.Dirs, (&Options{ID: b.ID}).event("remove"))
	}
	return err
}

// deletePod removes the containers first: their records name their pod.
func (b *Broken) deletePod(h Host) error {
	list, err := List(h.Dirs)
	if err != nil && len(AllBroken(err)) == 0 {
		return err
	}
	for _, i := range list {
		if i.Options.Pod == nil || i.Options.Pod.ID != b.ID {
			continue
		}
		if err := Delete(h, i, true); err != nil {
			return err
		}
	}
	if info, err := os.Lstat(b.Dir); err == nil && !info.IsDir() { // a file that is none of ours
		return os.Remove(b.Dir)
	}
	return RemovePod(h, &Pod{PodRecord: PodRecord{ID: b.ID}, Dir: b.Dir})
}

// missingLayer says which layer it is when the mount of an image fails for that.
func (o *Options) missingLayer(err error) error {
	var step *userns.StepError
	if o.Image == nil || !errors.As(err, &step) || step.Err != unix.ENOENT || !strings.HasPrefix(step.Op, "mounting overlay") {
		return err
	}
	for _, layer := range o.Image.Layers {
		if _, gone := os.Stat(layer); errors.Is(gone, os.ErrNotExist) {
			return fmt.Errorf("%w: layer %s of image %s is not there: rl system check", err, layer, o.ImageName)
		}
	}
	return err
}
