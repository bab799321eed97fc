package storage

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Driver is how a container's root is made of an image's layers.
type Driver struct {
	Name   string // Overlay, Fuse or VFS
	Reason string // why it is this one, in a line
	Forced bool   // the user asked for it by name
	Told   bool   // a start has said that it is none of the kernel's
}

// The drivers, by the names that podman and docker have for them, the best first.
const (
	Overlay = "overlay"        // the kernel mounts the layers as one
	Fuse    = "fuse-overlayfs" // we do, through FUSE; on the disk it is the same
	VFS     = "vfs"            // each container has a copy of them
)

// DriverVariable names a driver (podman(1)); --storage-driver reaches our own
// helpers by it.
const DriverVariable = "STORAGE_DRIVER"

// CheckDriver accepts the name of a driver that there is.
func CheckDriver(name string) error {
	if name != Overlay && name != Fuse && name != VFS {
		return fmt.Errorf("storage driver %q: rl has the drivers %s, %s and %s", name, Overlay, Fuse, VFS)
	}
	return nil
}

// The choice is text, and written as a whole: each line a key and a value.
//
//	driver vfs
//	kernel 5.10.0-30-amd64
//	fs 61267
//	told yes
//	reason overlay cannot be mounted ...
//
// It holds for the kernel and the kind of file system that it was made on.

// A layer whose marks are an image archive's, as the file system could keep no
// others, has a file of its id here: no overlay may be mounted of it, however good
// the driver is that there is by now.

// MarksSuffix ends its name, beside the layer's frame.
const MarksSuffix = ".marks"

// Marks is that file of a layer.
func (d Dirs) Marks(layer string) string { return path.Join(d.Frames(), layer+MarksSuffix) }

// Frames is the directory of what was in layers' archives beside their files.
func (d Dirs) Frames() string { return path.Join(d.Data, "frames") }

// Marked says whether the store has such a layer.
func (d Dirs) Marked() bool {
	entries, _ := os.ReadDir(d.Frames())
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool { return strings.HasSuffix(e.Name(), MarksSuffix) })
}

func (d Dirs) driverFile() string { return path.Join(d.Data, "driver") }

// maxDriver bounds what is read of it: a start has one read for it.
const maxDriver = 1024

// Driver gives the user's choice, or the one that was made by trying. False: it
// has to be tried, by TryDriver.
func (d Dirs) Driver() (Driver, bool) {
	if d.Wanted != "" {
		return Driver{Name: d.Wanted, Reason: "asked for by --storage-driver or " + DriverVariable, Forced: true}, true
	}
	fd, err := unix.Open(d.driverFile(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return Driver{}, false
	}
	defer unix.Close(fd)
	var text [maxDriver]byte
	n, err := unix.Read(fd, text[:])
	if err != nil {
		return Driver{}, false
	}
	var here place
	if here.read(fd) != nil {
		return Driver{}, false
	}
	return decodeDriver(string(text[:n]), here)
}

// place is what a choice depends on.
type place struct {
	kernel string // uname -r
	fs     int64  // statfs(2), f_type
}

func (p *place) read(fd int) error {
	var u unix.Utsname
	var st unix.Statfs_t
	err := errors.Join(unix.Uname(&u), unix.Fstatfs(fd, &st))
	p.kernel, p.fs = unix.ByteSliceToString(u.Release[:]), int64(st.Type)
	return err
}

func decodeDriver(text string, here place) (r Driver, ok bool) {
	matched := 0
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch key {
		case "driver":
			r.Name = value
		case "kernel":
			if value == here.kernel {
				matched++
			}
		case "fs":
			if value == strconv.FormatInt(here.fs, 10) {
				matched++
			}
		case "told":
			r.Told = true
		case "reason":
			r.Reason = value
		}
	}
	return r, matched == 2 && CheckDriver(r.Name) == nil
}

func (r Driver) encode(here place) []byte {
	told := ""
	if r.Told {
		told = "told yes\n"
	}
	reason := strings.ReplaceAll(r.Reason, "\n", "; ")
	head := fmt.Sprintf("driver %s\nkernel %s\nfs %d\n%sreason ", r.Name, here.kernel, here.fs, told)
	return []byte(head + reason[:min(len(reason), maxDriver-len(head)-1)] + "\n")
}

func (d Dirs) recordDriver(r Driver) error {
	fd, err := unix.Open(d.Data, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var here place
	if err := here.read(fd); err != nil {
		return err
	}
	return replace(d.driverFile(), func(tmp string) error { return writeWhole(tmp, r.encode(here)) })
}

// Tell notes that the user knows of the choice by now. That it cannot be noted
// is no error: it will be said once more.
func (d Dirs) Tell(r Driver) {
	if !r.Forced {
		r.Told = true
		_ = d.recordDriver(r)
	}
}

// TryDriver mounts an overlay over directories of the store, keeps which driver
// that leaves, and why, and gives it. It runs as root of a user namespace with mounts
// of its own. Several that begin together try one after the other.
func (d Dirs) TryDriver() (Driver, error) {
	if r, ok := d.Driver(); ok {
		return r, nil
	}
	if err := os.MkdirAll(d.Data, 0o700); err != nil {
		return Driver{}, fmt.Errorf("choosing a driver: %w", err)
	}
	file, err := os.OpenFile(path.Join(d.Data, "driver.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return Driver{}, fmt.Errorf("choosing a driver: %w", err)
	}
	defer file.Close()
	if err := lock(file, unix.LOCK_EX); err != nil {
		return Driver{}, fmt.Errorf("choosing a driver: %w", err)
	}
	if r, ok := d.Driver(); ok { // by who had the lock before
		return r, nil
	}
	r, err := d.firstOf(path.Join(d.Data, "trying"))
	if err != nil {
		return r, fmt.Errorf("choosing a driver: %w", err)
	}
	if err := d.recordDriver(r); err != nil {
		return r, fmt.Errorf("keeping the choice of a driver: %w", err)
	}
	return r, nil
}

// ForgetDriver has the drivers tried again, if what was found is not the best.
func (d Dirs) ForgetDriver() error {
	if r, ok := d.Driver(); !ok || r.Forced || r.Name == Overlay {
		return nil
	}
	if err := os.Remove(d.driverFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("trying the drivers again: %w", err)
	}
	return nil
}

// passing are the errors that say nothing of a driver: they have the trial fail, as
// what it finds is kept.
var passing = []error{unix.ENOMEM, unix.ENOSPC, unix.EDQUOT, unix.EMFILE, unix.ENFILE, unix.EAGAIN, unix.EINTR, unix.EIO}

// mounter mounts an overlay on a directory. refused: it cannot be mounted; err:
// it could not be tried.
type mounter func(lower, upper, work, merged string) (refused, err error)

// firstOf tries the drivers in their order.
func (d Dirs) firstOf(home string) (r Driver, err error) {
	if d.Marked() {
		return Driver{Name: VFS, Reason: "layers have whiteouts that only copies know, from where there could be no others (NFS, Linux before 5.8)"}, nil
	}
	refused, err := d.try(home, Overlay, mountTrial)
	if err != nil {
		return r, err
	}
	if refused == nil {
		return Driver{Name: Overlay, Reason: "overlay can be mounted on " + d.Data}, nil
	}
	reason := fmt.Sprintf("overlay cannot be used on %s: %v", d.Data, refused)
	if refused, err = d.try(home, Fuse, byFuse); err != nil {
		return r, err
	}
	if refused == nil {
		return Driver{Name: Fuse, Reason: reason}, nil
	}
	return Driver{Name: VFS, Reason: fmt.Sprintf("%s; nor through FUSE: %v", reason, refused)}, nil
}

// try has a trial in a directory of its own, as that of another, or of one that was
// killed, may have names that NFS keeps.
func (d Dirs) try(home, driver string, mount mounter) (refused, err error) {
	if err := removeTrials(home); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(home, "")
	if err != nil {
		return nil, err
	}
	refused, err = tryOverlay(dir, mount)
	err = errors.Join(err, removeTrials(home))
	if slices.ContainsFunc(passing, func(e error) bool { return errors.Is(refused, e) }) {
		refused, err = nil, errors.Join(refused, err)
	}
	if err != nil {
		err = fmt.Errorf("trying %s on %s: %w: try again, or name one: rl --storage-driver %s", driver, d.Data, err, VFS)
	}
	return refused, err
}

func removeTrials(home string) error {
	err := RemoveTree(unix.AT_FDCWD, home)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, ErrOpen) {
		return nil
	}
	return err
}

// tryOverlay does what a container would: it writes to a file of a lower
// directory, removes it, and makes a directory in its place, which takes a mark
// of overlay's that not every file system can hold. err: it could not be tried.
func tryOverlay(home string, mount mounter) (refused, err error) {
	lower, upper, work, merged := path.Join(home, "lower"), path.Join(home, "upper"), path.Join(home, "work"), path.Join(home, "merged")
	for _, dir := range []string{lower, upper, work, merged} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(path.Join(lower, "file"), []byte("lower"), 0o600); err != nil {
		return nil, err
	}
	if refused, err = mount(lower, upper, work, merged); refused != nil || err != nil {
		return refused, err
	}
	defer func() { err = errors.Join(err, unix.Unmount(merged, unix.MNT_DETACH)) }()
	file := path.Join(merged, "file")
	if refused = os.WriteFile(file, []byte("upper"), 0o600); refused == nil {
		refused = os.Remove(file)
	}
	if refused == nil {
		refused = os.Mkdir(file, 0o700)
	}
	return refused, nil
}

// mountTrial mounts as a start does: lower directories are named from where we are.
func mountTrial(lower, upper, work, merged string) (refused, err error) {
	base, options, err := OverlayOf([]string{lower}, upper, work, "", path.Join(path.Dir(lower), "l"))
	if err != nil {
		return nil, err
	}
	here, err := os.Getwd()
	if err != nil {
		here = "/" // ours was removed
	}
	if err := os.Chdir(base); err != nil {
		return nil, err
	}
	defer os.Chdir(here)
	if err := unix.Mount("overlay", merged, "overlay", 0, options); err != nil {
		return whyRefused(err), nil
	}
	return nil, nil
}

// whyRefused says what an error of mount(2) means here.
func whyRefused(err error) error {
	switch {
	case errors.Is(err, unix.ENODEV):
		return fmt.Errorf("the kernel has no overlay: %w", err)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("without root Linux mounts it from 5.11 on: %w", err)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EACCES), errors.Is(err, unix.EREMOTE), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("the file system takes none, NFS for one: %w", err)
	}
	return err
}
