package container

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// imageRoot are the directories that make the root file system, topmost first.
type imageRoot []string

// maxAccounts bounds what is read of an image's passwd and group (CVE-2024-9676).
const maxAccounts = 1 << 20

// read reads name in the topmost layer that has it. Every layer is hostile: the
// path is resolved below it, and a fifo or device is not opened.
func (r imageRoot) read(name string) ([]byte, error) {
	for _, dir := range r {
		text, err := readBeneath(dir, name)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		return text, err
	}
	return nil, unix.ENOENT
}

func readBeneath(dir, name string) ([]byte, error) {
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", dir, err)
	}
	defer unix.Close(root)
	fd, err := unix.Openat2(root, name, &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("reading %s of the image: not a regular file", name)
	}
	return readAll(fd, maxAccounts)
}

// readAll reads up to size bytes of a descriptor. An os.File would be made
// known to the runtime's poller first, which takes longer than the reading.
func readAll(fd int, size int64) ([]byte, error) {
	var text []byte
	for chunk := make([]byte, min(size, 4096)); int64(len(text)) < size; {
		n, err := unix.Read(fd, chunk)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return text, err
		}
		text = append(text, chunk[:n]...)
	}
	return text, nil
}

// lines calls each with the colon-separated fields of a line until it returns false.
func (r imageRoot) lines(name string, each func(fields []string) bool) error {
	text, err := r.read(name)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if line != "" && !each(strings.Split(strings.TrimSuffix(line, "\r"), ":")) {
			return nil
		}
	}
	return nil
}

// user resolves docker's name|uid[:group|gid] in the image's own files.
func (r imageRoot) user(text string) (specs.User, string, error) {
	name, group, hasGroup := strings.Cut(text, ":")
	user, login, home, err := r.passwd(first(name, "0"))
	if err != nil {
		return user, "", err
	}
	if hasGroup {
		user.GID, err = r.group(group)
		return user, home, err
	}
	err = r.lines("etc/group", func(f []string) bool {
		if len(f) >= 4 && login != "" && contains(strings.Split(f[3], ","), login) {
			if gid, err := parseID(f[2]); err == nil && gid != user.GID {
				user.AdditionalGids = append(user.AdditionalGids, gid)
			}
		}
		return true
	})
	return user, home, err
}

func (r imageRoot) passwd(name string) (user specs.User, login, home string, err error) {
	uid, numeric := parseID(name)
	user.UID, home = uid, "/"
	found := false
	err = r.lines("etc/passwd", func(f []string) bool {
		if len(f) < 6 || f[0] != name && !(numeric == nil && f[2] == strconv.FormatUint(uint64(uid), 10)) {
			return true
		}
		id, idErr := parseID(f[2])
		gid, gidErr := parseID(f[3])
		if idErr != nil || gidErr != nil {
			return true
		}
		user.UID, user.GID, login, home, found = id, gid, f[0], first(f[5], "/"), true
		return false
	})
	if err == nil && !found && numeric != nil {
		err = fmt.Errorf("unable to find user %s: no matching entries in passwd file", name)
	}
	if !found && numeric == nil && uid == 0 {
		home = "/root"
	}
	return user, login, home, err
}

func (r imageRoot) group(name string) (uint32, error) {
	gid, numeric := parseID(name)
	if numeric == nil {
		return gid, nil
	}
	found := false
	err := r.lines("etc/group", func(f []string) bool {
		if len(f) >= 3 && f[0] == name {
			id, idErr := parseID(f[2])
			gid, found = id, idErr == nil
		}
		return !found
	})
	if err == nil && !found {
		err = fmt.Errorf("unable to find group %s: no matching entries in group file", name)
	}
	return gid, err
}

// parseID takes decimal digits alone: no sign, no space, no hexadecimal.
func parseID(text string) (uint32, error) {
	id, err := strconv.ParseUint(text, 10, 31)
	if err == nil && text[0] == '+' {
		err = strconv.ErrSyntax
	}
	return uint32(id), err
}

func contains(list []string, want string) bool {
	for _, v := range list {
		if v == want {
			return true
		}
	}
	return false
}
