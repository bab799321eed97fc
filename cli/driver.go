package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/storage"
	"containers/rl/storage/flat"
)

// driverInside is the second self that tries overlay where the store is.
func driverInside(_ Streams, args []string) error {
	if len(args) != 1 {
		return errors.New(container.RoleDriver + " is for rl itself")
	}
	_, err := storage.Dirs{Data: args[0]}.TryDriver()
	return err
}

// copyInside is the second self that makes a container's copy of its image.
func copyInside(streams Streams, args []string) error {
	if len(args) != 0 {
		return errors.New(container.RoleCopy + " is for rl itself")
	}
	var r container.Copying
	if err := json.NewDecoder(streams.In).Decode(&r); err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	err := copyLayers(r)
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: with driver %s each container takes the room of its image: rl container prune, or rl image prune -a", err, storage.VFS)
	}
	return err
}

// copyLayers makes the copy under another name; it is there as a whole or not at all.
func copyLayers(r container.Copying) (err error) {
	unix.Umask(0)
	made := path.Join(r.Dir, storage.CopyNew)
	if err := removeTree(made); err != nil { // of one that was killed
		return err
	}
	defer func() {
		if err != nil { // what is in the way of others, if the room is short
			_ = removeTree(made)
			err = fmt.Errorf("copying the image to %s: %w", r.Dir, err)
		}
	}()
	if err := os.Mkdir(made, 0o755); err != nil {
		return err
	}
	if err := flatten(r, made); err != nil {
		return err
	}
	if err := plainMode(made); err != nil {
		return err
	}
	// Its time is when the copy was complete, by the clock of the file system. What
	// the container changed before is older, and has to be compared by its content.
	if r.Upper == "" {
		if err := os.WriteFile(path.Join(r.Dir, storage.CopyMark), nil, 0o600); err != nil {
			return err
		}
	}
	return os.Rename(made, path.Join(r.Dir, storage.RootName))
}

// plainMode: a container's root has no set-id bits, as with overlay
// (storage.Image.RootMode).
func plainMode(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	return os.Chmod(dir, info.Mode()&(os.ModePerm|os.ModeSticky))
}

func flatten(r container.Copying, dir string) error {
	open := flat.Open
	if r.Upper != "" {
		open = func(layers []string) (*flat.Stack, error) { return flat.OpenChanged(r.Upper, layers) }
	}
	stack, err := open(r.Layers)
	if err != nil {
		return err
	}
	defer stack.Close()
	root, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "opening", Path: dir, Err: err}
	}
	defer unix.Close(root)
	if err := stack.Copy(root); err != nil || r.Upper == "" {
		return err
	}
	// From now on it is all that there is of what the container changed.
	return os.NewSyscallError("syncfs", unix.Syncfs(root))
}

func removeTree(name string) error {
	err := storage.RemoveTree(unix.AT_FDCWD, name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// hidden are the places of mounts, with all that is above.
func hidden(mounts []string) map[string]bool {
	places := map[string]bool{}
	for _, m := range mounts {
		for ; m != "/" && m != "."; m = path.Dir(m) {
			places[m] = true
		}
	}
	return places
}

// driver is the line of doctor. What was found by trying is tried again if it is
// not the best, as what was amiss may be there by now.
func driver() finding {
	host, err := start.OpenHost()
	if err == nil {
		err = host.Dirs.ForgetDriver()
	}
	if err != nil {
		return finding{"driver", "degraded", err.Error(), ""}
	}
	d, err := container.ChooseDriver(host)
	if errors.As(err, new(container.Exit)) { // the second self has said why
		return finding{"driver", "degraded", "it cannot be found out which one the store can have", "see above"}
	}
	if err != nil {
		return finding{"driver", "degraded", err.Error(), ""}
	}
	if d.Forced || d.Name == storage.Overlay {
		return finding{"driver", "ok", d.Name + ": " + d.Reason, ""}
	}
	host.Dirs.Tell(d) // a start need not
	what := "a copy of the image for each container"
	if d.Name == storage.Fuse {
		what = "files go through a process of rl"
	}
	return finding{"driver", "degraded", fmt.Sprintf("%s, %s: %s", d.Name, what, d.Reason), betterDriver(host.Dirs, d)}
}

// betterDriver says what to do for one.
func betterDriver(dirs storage.Dirs, d storage.Driver) string {
	known, err := os.ReadFile("/proc/filesystems")
	if dirs.Marked() {
		return "rl rmi -af && rl doctor, and pull the images again"
	}
	if err == nil && !bytes.Contains(known, []byte("\toverlay\n")) {
		return "sudo modprobe overlay && rl doctor"
	}
	if d.Name == storage.VFS {
		fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return "sudo modprobe fuse && sudo chmod 666 /dev/fuse && rl doctor"
		}
		unix.Close(fd)
	}
	return "export XDG_DATA_HOME=/local/directory, or Linux 5.11"
}
