package flat

import (
	"bytes"
	"errors"
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
	err := unix.Fchownat(dir, name, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

func setTime(dir int, name string, st *unix.Stat_t) error {
	return unix.UtimesNanoAt(dir, name, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}

// kept says which attributes are a file's own. Those of overlay are marks of the
// layer; trusted ones, and labels, belong to the host.
func kept(name string) bool {
	return name == "security.capability" || strings.HasPrefix(name, "system.posix_acl_") || strings.HasPrefix(name, "user.") && !strings.HasPrefix(name, "user.overlay.")
}

// maxAttribute bounds a value, and the names of one file together (xattr(7)).
const maxAttribute = 64 << 10

// attributes are the names of those that are kept, in their order.
func attributes(fd int) (names []string, err error) {
	n, err := unix.Flistxattr(fd, nil)
	if errors.Is(err, unix.EOPNOTSUPP) || n == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	text := make([]byte, maxAttribute)
	if n, err = unix.Flistxattr(fd, text); err != nil {
		return nil, err
	}
	for name := range bytes.SplitSeq(text[:n], []byte{0}) {
		if kept(string(name)) {
			names = append(names, string(name))
		}
	}
	return names, nil
}

// value is an attribute's; "" when it has gone.
func value(fd int, name string) (string, error) {
	text := make([]byte, maxAttribute)
	n, err := unix.Fgetxattr(fd, name, text)
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.EOPNOTSUPP) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return string(text[:n]), nil
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
