package container

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"containers/rl/storage"
)

// binds are the mounts of a container that are directories and files of the host.
// All others are its own anew at each start: there is nothing to copy to or from.
func (o *Options) binds(d storage.Dirs) (list []specs.Mount) {
	for _, m := range outermostFirst(o.Mounts) {
		if m.Type == TypeVolume {
			v, err := d.FindVolume(m.Source)
			if err == nil && v.Name == m.Source {
				m, err = volumeMount(v, m)
			}
			if err != nil {
				continue
			}
		}
		if m.Type == "bind" && !slices.Contains(m.Options, "O") {
			list = append(list, m)
		}
	}
	return list
}

// Bind mounts the host's directories and files in the opened tree of a container that
// does not run, as its start would, for work on what is at name. It is called in
// the namespace of Start. Where nothing is to be written, only what name may be in is
// given a place that it does not have; and what cannot be mounted is an error there alone.
func (t Tree) Bind(root int, name string, writes bool) error {
	name = path.Clean("/" + name)
	for _, m := range t.Binds {
		place := path.Clean("/" + m.Destination)
		within := name == place || strings.HasPrefix(name, place+"/")
		if err := bindIn(root, m, place, within || writes); err != nil && within {
			return fmt.Errorf("mounting %s on %s: %w", m.Source, place, err)
		}
	}
	return nil
}

func bindIn(root int, m specs.Mount, place string, makes bool) error {
	source, directory, err := openSource(m)
	if err != nil {
		return err
	}
	defer unix.Close(source)
	target, err := mountPoint(root, place, directory, makes)
	if err != nil {
		return err
	}
	defer unix.Close(target)
	o, at := mountOptions(m.Options), uint(0)
	if o.flags&unix.MS_REC != 0 {
		at = unix.AT_RECURSIVE
	}
	tree, err := unix.OpenTree(source, "", unix.OPEN_TREE_CLONE|unix.O_CLOEXEC|unix.AT_EMPTY_PATH|at)
	if err != nil {
		return os.NewSyscallError("open_tree", err)
	}
	defer unix.Close(tree)
	flags := o.flags &^ (unix.MS_BIND | unix.MS_REC)
	if slices.Contains(m.Options, notRecursive) {
		at = 0
	}
	restricted := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH|at, &unix.MountAttr{Attr_set: mountAttr(flags &^ (unix.MS_NOATIME | unix.MS_STRICTATIME))})
	if restricted != nil && slices.Contains(m.Options, forceRecursive) {
		return os.NewSyscallError("mount_setattr", restricted)
	}
	if err := unix.MoveMount(tree, "", target, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		return os.NewSyscallError("move_mount", err)
	}
	if restricted != nil { // before Linux 5.12
		return unix.Mount("", fdPath(tree), "", unix.MS_REMOUNT|unix.MS_BIND|flags|lockedFlags(fdPath(tree)), "")
	}
	return nil
}

// openSource opens the user's own path, or what is within it, where others may write.
func openSource(m specs.Mount) (fd int, directory bool, err error) {
	if fd, err = unix.Open(m.Source, unix.O_PATH|unix.O_CLOEXEC, 0); err != nil {
		return -1, false, err
	}
	if within := SubpathOf(m); within != "" {
		part, err := OpenIn(fd, within, unix.O_PATH)
		unix.Close(fd)
		if fd = part; err != nil {
			return -1, false, err
		}
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
	}
	return fd, st.Mode&unix.S_IFMT == unix.S_IFDIR, err
}

const mostLinks = 40 // on the way to a file, as the kernel has it

// mountPoint opens a place below a root, and makes it if it is not there. Links on
// the way lead inside of the root, also those to what has to be made.
func mountPoint(root int, place string, directory, makes bool) (int, error) {
	fd, err := OpenIn(root, place, unix.O_PATH)
	if !errors.Is(err, unix.ENOENT) || !makes {
		return fd, err
	}
	defer unix.Umask(unix.Umask(0))
	at, rest := "/", strings.Split(place, "/")
	for links := 0; len(rest) > 0; {
		name := path.Join(at, rest[0])
		if rest = rest[1:]; name == at || name == path.Dir(at) {
			at = name
			continue
		}
		to, err := linkOrMake(root, name, directory || len(rest) > 0)
		if err != nil {
			return -1, err
		}
		if to == "" {
			at = name
			continue
		}
		if links++; links > mostLinks {
			return -1, unix.ELOOP
		}
		if path.IsAbs(to) {
			at = "/"
		}
		rest = append(strings.Split(to, "/"), rest...)
	}
	return OpenIn(root, at, unix.O_PATH|unix.O_NOFOLLOW)
}

// linkOrMake gives what a link leads to, or "" for what is none; that is made if need be.
func linkOrMake(root int, name string, directory bool) (to string, err error) {
	dir, err := OpenIn(root, path.Dir(name), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return "", err
	}
	defer unix.Close(dir)
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, path.Base(name), target)
	switch {
	case err == nil:
		return string(target[:n]), nil
	case errors.Is(err, unix.EINVAL): // it is something else
		return "", nil
	case !errors.Is(err, unix.ENOENT):
		return "", err
	case directory:
		err = unix.Mkdirat(dir, path.Base(name), 0o755)
	default:
		err = unix.Mknodat(dir, path.Base(name), unix.S_IFREG|0o644, 0)
	}
	if errors.Is(err, unix.EEXIST) {
		err = nil
	}
	return "", err
}
