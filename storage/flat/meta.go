package flat

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// own gives a file that we have made its owner. Without a range of ids all are
// root's; and NFS gives nothing away, whoever is root here.
func own(dir int, name string, st *unix.Stat_t) error {
	var now unix.Stat_t
	if err := unix.Fstatat(dir, name, &now, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if now.Uid == st.Uid && now.Gid == st.Gid {
		return nil
	}
	return unlessRefused(unix.Fchownat(dir, name, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW))
}

// ownFile is own by descriptor, for what has one.
func ownFile(fd int, st *unix.Stat_t) error {
	var now unix.Stat_t
	if err := unix.Fstat(fd, &now); err != nil {
		return err
	}
	if now.Uid == st.Uid && now.Gid == st.Gid {
		return nil
	}
	return unlessRefused(unix.Fchown(fd, int(st.Uid), int(st.Gid)))
}

func unlessRefused(err error) error {
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

func setTime(dir int, name string, st *unix.Stat_t) error {
	return unix.UtimesNanoAt(dir, name, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}

// setFileTime is setTime by descriptor.
func setFileTime(fd int, st *unix.Stat_t) error {
	return unix.UtimesNanoAt(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), []unix.Timespec{st.Atim, st.Mtim}, 0)
}

// kept says which attributes are a file's own. Those of overlay are marks of the
// layer; trusted ones, and labels, belong to the host.
func kept(name string) bool {
	return name == "security.capability" || strings.HasPrefix(name, "system.posix_acl_") || strings.HasPrefix(name, "user.") && !strings.HasPrefix(name, "user.overlay.")
}

// whole reads what may be of any size, up to 64 KiB (xattr(7)).
func whole(read func([]byte) (int, error)) ([]byte, error) {
	for text := make([]byte, 256); ; {
		n, err := read(text)
		if errors.Is(err, unix.ERANGE) && len(text) < 64<<10 {
			text = make([]byte, 4*len(text))
			continue
		}
		return text[:max(n, 0)], err
	}
}

// attributes are the names of those that are kept, in their order.
func attributes(fd int) (names []string, err error) {
	text, err := whole(func(text []byte) (int, error) { return unix.Flistxattr(fd, text) })
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil
	}
	for name := range bytes.SplitSeq(text, []byte{0}) {
		if kept(string(name)) {
			names = append(names, string(name))
		}
	}
	return names, err
}

// value is an attribute's; "" when it has gone.
func value(fd int, name string) (string, error) {
	text, err := whole(func(text []byte) (int, error) { return unix.Fgetxattr(fd, name, text) })
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.EOPNOTSUPP) {
		return "", nil
	}
	return string(text), err
}

// copyAttributes: what the file system does not take is left out.
func copyAttributes(from, to int) error {
	names, err := attributes(from)
	for _, name := range names {
		text, failed := value(from, name)
		if failed == nil {
			failed = unix.Fsetxattr(to, name, []byte(text), 0)
		}
		if failed != nil && !errors.Is(failed, unix.EOPNOTSUPP) && !errors.Is(failed, unix.EPERM) {
			return failed
		}
	}
	return err
}
