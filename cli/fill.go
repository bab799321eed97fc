package cli

import (
	"archive/tar"
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"containers/rl/container"
	"containers/rl/image"
	"containers/rl/storage"
	"containers/rl/storage/flat"
)

// fillInside is the second self that gives new volumes their content and
// owners. What it reads is an image's, and what it writes may be seen by other
// containers meanwhile: both are reached by descriptors alone.
func fillInside(s Streams, args []string) error {
	var r container.Fill
	if len(args) != 1 {
		return errors.New(container.RoleFill + " is for rl itself")
	}
	if err := json.Unmarshal([]byte(args[0]), &r); err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	source, err := openImage(r)
	if err != nil {
		return err
	}
	defer source.close()
	for _, place := range r.Places {
		answer, err := fillPlace(source, place, r.SingleID)
		if err != nil {
			return fmt.Errorf("%s: %w", place.Path, err)
		}
		if _, err := s.Out.Write([]byte{answer}); err != nil {
			return err
		}
	}
	return nil
}

// source is an image's files: its root, or where that cannot be mounted its layers.
type source struct {
	root  int // -1: the stack
	stack *flat.Stack
}

func (s source) close() {
	if s.root >= 0 {
		unix.Close(s.root)
	} else {
		s.stack.Close()
	}
}

// openImage opens the root of the image, which is mounted where nobody else
// sees it.
func openImage(r container.Fill) (source, error) {
	if r.Flat {
		stack, err := flat.Open(r.Layers)
		return source{-1, stack}, err
	}
	root, err := openMounted(r)
	return source{root: root}, err
}

func openMounted(r container.Fill) (int, error) {
	dir := r.Rootfs
	if dir == "" {
		dir = path.Join(r.Scratch, "image")
		if err := mountLayers(r.Layers, r.Scratch, dir); err != nil {
			return -1, fmt.Errorf("mounting the image: %w", err)
		}
	}
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("opening %s: %w", dir, err)
	}
	return root, nil
}

// mountLayers mounts an image without a container, on a directory in a tmpfs.
func mountLayers(layers []string, scratch, dir string) error {
	empty := path.Join(scratch, "empty")
	if err := unix.Mount("tmpfs", scratch, "tmpfs", 0, "mode=700"); err != nil {
		return fmt.Errorf("mounting tmpfs on %s: %w", scratch, err)
	}
	if err := errors.Join(os.Mkdir(dir, 0o755), os.Mkdir(empty, 0o755)); err != nil {
		return err
	}
	return mountImage(append(append([]string{}, layers...), empty), dir)
}

// mountImage mounts directories as one, for reading. They are named by
// descriptor: so any number of names fits in the page that mount(2) takes.
func mountImage(dirs []string, dir string) error {
	var names []string
	for _, layer := range storage.Seen(dirs, false) {
		fd, err := unix.Open(layer, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return &os.PathError{Op: "opening", Path: layer, Err: err}
		}
		defer unix.Close(fd)
		names = append(names, strconv.Itoa(fd))
	}
	options := "lowerdir=" + strings.Join(names, ":") + ",userxattr"
	if err := errors.Join(os.Chdir("/proc/self/fd"), unix.Mount("overlay", dir, "overlay", unix.MS_RDONLY, options), os.Chdir("/")); err != nil {
		return fmt.Errorf("mounting overlay on %s: %w", dir, err)
	}
	return nil
}

func fillPlace(from source, place container.FillPlace, single bool) (answer byte, err error) {
	data, err := openPlace(place)
	if err != nil {
		return 0, err
	}
	defer unix.Close(data)
	answer = container.FillDone
	if place.Copy {
		if answer, err = fillVolume(from, data, place, single); err != nil {
			return 0, err
		}
	}
	if place.Own {
		if err = unix.Fchownat(data, "", int(place.UID), int(place.GID), unix.AT_EMPTY_PATH); err != nil {
			return 0, fmt.Errorf("changing the owner: %w", err)
		}
	}
	if place.Tree {
		err = giveTree(data, int(place.UID), int(place.GID))
	}
	return answer, err
}

// openPlace: what is bound may be a file, which is not opened.
func openPlace(place container.FillPlace) (int, error) {
	flags := unix.O_PATH
	if place.Copy {
		flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW
	}
	fd, err := unix.Open(place.Data, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: place.Data, Err: err}
	}
	return fd, nil
}

// fillVolume copies what the image has at the place into a volume that has
// nothing, and gives the volume the owner, mode and time of the image's directory.
func fillVolume(from source, data int, place container.FillPlace, single bool) (answer byte, err error) {
	there, err := from.copyTo(data, place, single)
	if err != nil {
		return 0, err
	}
	if !there {
		if place.Chown && !single {
			err = unix.Fchown(data, int(place.UID), int(place.GID))
		}
		return container.FillEmpty, err
	}
	answer = container.FillEmpty
	names, err := namesOf(data)
	if err == nil && len(names) > 0 {
		answer = container.FillDone
	}
	return answer, err
}

// copyTo copies what is at a place, when a directory is there.
func (s source) copyTo(data int, place container.FillPlace, single bool) (there bool, err error) {
	if s.root >= 0 {
		from, err := container.OpenIn(s.root, place.Path, unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			return false, unlessMissing(err)
		}
		defer unix.Close(from)
		return true, copyTreeTo(from, data, single, place.Chown)
	}
	stack, err := s.stack.Sub(place.Path)
	if err != nil {
		return false, unlessMissing(err)
	}
	defer stack.Close()
	unix.Umask(0)
	if place.Chown {
		return true, stack.Copy(data)
	}
	return true, stack.CopyInside(data)
}

// unlessMissing: that a directory is not there is no error.
func unlessMissing(err error) error {
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	return err
}

// namesOf lists a directory from its beginning.
func namesOf(dir int) ([]string, error) {
	if _, err := unix.Seek(dir, 0, io.SeekStart); err != nil {
		return nil, err
	}
	return image.Names(dir)
}

// copyTreeTo copies one directory into another, as an archive in a pipe of our
// own. root: with what the directory itself is.
func copyTreeTo(source, data int, single, root bool) error {
	reader, writer := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		out := bufio.NewWriterSize(writer, 256<<10)
		archive := tar.NewWriter(out)
		err := errors.Join(image.Pack(archive, source, ".", image.PackOptions{Name: "."}), archive.Close(), out.Flush())
		writer.CloseWithError(err)
		packed <- err
	}()
	opts := image.UnpackOptions{SingleID: single, Plain: true, Name: func(entry string) (string, bool) { return entry, root || entry != "" }}
	_, _, err := image.Unpack(context.Background(), data, reader, opts)
	reader.CloseWithError(err)
	return errors.Join(err, <-packed)
}

// copyUpInside is the second self that copies what a tmpfs covers into it.
func copyUpInside(_ Streams, args []string) error {
	if len(args) != 2 {
		return errors.New(container.RoleCopyUp + " is for rl itself")
	}
	data, err := unix.Openat(1, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("opening the tmpfs: %w", err)
	}
	defer unix.Close(data)
	err = copyTreeTo(0, data, args[0] == "single", false)
	var uid, gid int
	if n, _ := fmt.Sscanf(args[1], "%d:%d", &uid, &gid); n == 2 && err == nil {
		err = giveTree(data, uid, gid)
	}
	return err
}

// giveTree gives a file, or a directory with all that is in it, to an owner.
// No link is followed, and no mount below is left out.
func giveTree(fd, uid, gid int) error {
	if err := unix.Fchownat(fd, "", uid, gid, unix.AT_EMPTY_PATH); err != nil {
		return fmt.Errorf("changing the owner: %w", err)
	}
	dir, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	names, err := image.Names(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		entry, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err == nil {
			err = giveTree(entry, uid, gid)
			unix.Close(entry)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
