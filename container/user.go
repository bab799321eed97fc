package container

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// imageRoot are the directories that make the root file system, topmost first.
type imageRoot []string

// maxAccounts bounds what is read of an image's passwd and group (CVE-2024-9676).
const maxAccounts = 1 << 20

// open finds name in the topmost layer that has it. Every layer is hostile:
// the path is resolved below it, and a fifo or device is not opened.
func (r imageRoot) open(name string) (*os.File, error) {
	for _, dir := range r {
		file, err := openBeneath(dir, name)
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		return file, err
	}
	return nil, unix.ENOENT
}

func openBeneath(dir, name string) (*os.File, error) {
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
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(fd)
		return nil, fmt.Errorf("reading %s of the image: not a regular file", name)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// lines calls each with the colon-separated fields of a line until it returns false.
func (r imageRoot) lines(name string, each func(fields []string) bool) error {
	file, err := r.open(name)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	scanner := bufio.NewScanner(io.LimitReader(file, maxAccounts))
	for scanner.Scan() {
		if !each(strings.Split(scanner.Text(), ":")) {
			return nil
		}
	}
	return scanner.Err()
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
