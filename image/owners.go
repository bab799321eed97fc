package image

import (
	"errors"
	"fmt"
	"path"

	"golang.org/x/sys/unix"

	"containers/rl/userns"
)

// owners says whose the files of a layer are, that a container with --userns
// keep-id wrote. The image's files are not the container's in that namespace by
// number: the user who starts containers is root's number there, and his own here.
// What was copied up still has the owner of the image's file, so it stays the
// image's; all else has the number that the container saw.
type owners struct {
	kept  [2]uint32 // the user's and the group's number in the container
	lower []int     // the image's directories, topmost first
}

func openOwners(kept [2]uint32, layers []string) (*owners, error) {
	o := &owners{kept: kept}
	for _, dir := range layers {
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			o.close()
			return nil, fmt.Errorf("opening %s: %w", dir, err)
		}
		o.lower = append(o.lower, fd)
	}
	return o, nil
}

func (o *owners) close() {
	for _, fd := range o.lower {
		unix.Close(fd)
	}
}

// of gives the owner in the layer; name is "" for what the image has not.
func (o *owners) of(name string, uid, gid uint32) (int, int) {
	inUID, inGID := userns.KeptID(uid, o.kept[0]), userns.KeptID(gid, o.kept[1])
	if name == "" {
		return int(inUID), int(inGID)
	}
	if lowerUID, lowerGID, ok := o.below(name); ok {
		if lowerUID == uid {
			inUID = uid
		}
		if lowerGID == gid {
			inGID = gid
		}
	}
	return int(inUID), int(inGID)
}

// below finds the owner of the image's file: the topmost layer that has it, or
// hides it, decides.
func (o *owners) below(name string) (uid, gid uint32, ok bool) {
	for _, layer := range o.lower {
		var st unix.Stat_t
		fd, err := within(layer, name, unix.O_PATH)
		if err == nil {
			err = unix.Fstat(fd, &st)
			unix.Close(fd)
		}
		switch {
		case err == nil:
			return st.Uid, st.Gid, st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != 0
		case hides(layer, name):
			return 0, 0, false
		}
	}
	return 0, 0, false
}

// hides says whether a layer that has no such file hides those below it, by what
// it has on the way: another kind of file, an opaque directory, a mark (see mark).
func hides(layer int, name string) bool {
	for at := name; at != "."; at = path.Dir(at) {
		dir, err := within(layer, path.Dir(at), unix.O_RDONLY|unix.O_DIRECTORY)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			return true
		}
		found := isOpaque(dir) || unix.Faccessat(dir, opaque, unix.F_OK, 0) == nil || unix.Faccessat(dir, whiteout+path.Base(at), unix.F_OK, 0) == nil
		unix.Close(dir)
		if found {
			return true
		}
	}
	return false
}

func within(layer int, name string, flags uint64) (int, error) {
	return unix.Openat2(layer, name, &unix.OpenHow{Flags: flags | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS})
}
