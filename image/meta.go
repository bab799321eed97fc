package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// meta sets owner, mode, attributes and time, in this order: a change of owner
// clears the set-user-id bit and the file capability.
func (u *unpacker) meta(h *tar.Header, parent int, base string) error {
	if h.Uid != 0 || h.Gid != 0 {
		if u.opts.SingleID {
			u.squashed = true
		} else if err := unix.Fchownat(parent, base, h.Uid, h.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			switch {
			case errors.Is(err, unix.EINVAL) && u.opts.Plain:
				u.squashed = true // it stays root's: an archive of the user's own names ids of the host
			case errors.Is(err, unix.EPERM):
				u.squashed = true // the file system gives nothing away, whoever is root here: NFS
			case errors.Is(err, unix.EINVAL):
				return fmt.Errorf("owner %d:%d is not in the id map: a larger range in /etc/subuid and /etc/subgid is needed: %w", h.Uid, h.Gid, err)
			default:
				return err
			}
		}
	}
	if h.Typeflag == tar.TypeSymlink {
		return setTime(parent, base, timespec(h))
	}
	if err := u.mode(h, parent, base); err != nil {
		return err
	}
	if err := attributes(h, parent, base); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeDir {
		return nil // at the end: what comes into it changes its time
	}
	return setTime(parent, base, timespec(h))
}

// mode: a fresh file has it already, but for the bits that open and mkdir do
// not take or a change of owner clears. The name was no link when we made it,
// but a volume or a container is written to by others meanwhile: none is followed.
func (u *unpacker) mode(h *tar.Header, parent int, base string) error {
	mode := uint32(h.Mode) & 0o7777
	if h.Typeflag != tar.TypeDir && mode&0o7000 == 0 {
		return nil
	}
	err := unix.Fchmodat(parent, base, mode, unix.AT_SYMLINK_NOFOLLOW)
	if !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	return modeByDescriptor(parent, base, mode) // fchmodat2(2) is of Linux 6.6
}

func modeByDescriptor(parent int, base string, mode uint32) error {
	fd, err := unix.Openat(parent, base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return unix.ELOOP
	}
	return unix.Fchmodat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), mode, 0)
}

func timespec(h *tar.Header) unix.Timespec {
	t := h.ModTime
	if t.IsZero() {
		return unix.Timespec{}
	}
	return unix.NsecToTimespec(t.UnixNano())
}

func setTime(parent int, base string, t unix.Timespec) error {
	return unix.UtimesNanoAt(parent, base, []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW)
}

// setTimes of directories, when nothing comes into them any more.
func (u *unpacker) setTimes() error {
	for _, d := range u.times {
		fd, err := u.open(d.name, unix.O_PATH|unix.O_NOFOLLOW)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
			continue // hidden by a later entry
		}
		if err != nil {
			return err
		}
		err = unix.UtimesNanoAt(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), []unix.Timespec{d.time, d.time}, 0)
		unix.Close(fd)
		if err != nil {
			return fmt.Errorf("setting the time of %s: %w", shown(d.name), err)
		}
	}
	return nil
}

const xattrPrefix = "SCHILY.xattr."

// attributes: those of overlay itself would let a layer forge what lies below
// (CVE-2021-3493 was of this kind); those of the trusted and system classes
// are not ours to set.
func attributes(h *tar.Header, parent int, base string) error {
	for key, value := range h.PAXRecords {
		name, ok := strings.CutPrefix(key, xattrPrefix)
		if !ok || strings.HasPrefix(name, "user.overlay.") || !strings.HasPrefix(name, "user.") && name != "security.capability" {
			continue
		}
		if err := setXattr(parent, base, name, value); err != nil {
			return fmt.Errorf("setting attribute %s: %w", shown(name), err)
		}
	}
	return nil
}

func setXattr(parent int, base, name, value string) error {
	fd, err := unix.Openat(parent, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	err = unix.Fsetxattr(fd, name, []byte(value), 0)
	// With one id mapped, and on NFS, a capability cannot be kept.
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EPERM) {
		return nil
	}
	return err
}
