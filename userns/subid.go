package userns

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// User is who runs rl.
type User struct {
	UID, GID int
	Name     string // "" when /etc/passwd does not know him
}

// maxAccounts bounds what is read of a file of accounts.
const maxAccounts = 16 << 20

// Self looks the user up in /etc/passwd; $USER stands in on hosts whose
// accounts come from elsewhere (LDAP, sssd).
func Self() User {
	u := User{UID: os.Geteuid(), GID: os.Getegid()}
	text, _ := readBounded("/etc/passwd")
	suffix := ":" + strconv.Itoa(u.UID) + ":"
	known := map[string]bool{}
	for _, line := range nonEmptyLines(text) {
		name, rest, _ := strings.Cut(line, ":")
		known[name] = true
		if _, ids, ok := strings.Cut(rest, ":"); ok && strings.HasPrefix(":"+ids, suffix) {
			u.Name = name
			return u
		}
	}
	// A name of the local file that has another id is not ours.
	if name := os.Getenv("USER"); !known[name] {
		u.Name = name
	}
	return u
}

func (u User) label() string {
	if u.Name != "" {
		return "user " + u.Name
	}
	return "uid " + strconv.Itoa(u.UID)
}

type idRange struct{ start, count uint32 }

// subordinate gives the user's ranges of a file, or those of getsubids(1) when
// the file has none and nsswitch.conf(5) names another source.
func subordinate(path string, u User, flag string) ([]idRange, error) {
	text, err := readBounded(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	ranges, err := parseSubid(text, u)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(ranges) > 0 || !switched() {
		return ranges, nil
	}
	return getsubids(u, flag)
}

// parseSubid reads subuid(5). Lines of others are not judged.
func parseSubid(text string, u User) ([]idRange, error) {
	var ranges []idRange
	for number, line := range strings.Split(text, "\n") {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if name := fields[0]; name == "" || name[0] == '#' || name != u.Name && name != strconv.Itoa(u.UID) {
			continue
		}
		if len(fields) != 3 {
			return nil, fmt.Errorf("line %d: %q is not NAME:START:COUNT", number+1, line)
		}
		start, err1 := strconv.ParseUint(fields[1], 10, 32)
		count, err2 := strconv.ParseUint(fields[2], 10, 32)
		if err1 != nil || err2 != nil || start+count > 1<<32-1 {
			return nil, fmt.Errorf("line %d: %q is not NAME:START:COUNT", number+1, line)
		}
		if count > 0 {
			ranges = append(ranges, idRange{uint32(start), uint32(count)})
		}
	}
	return ranges, nil
}

// switched: without a subid line getsubids would read the same files again.
func switched() bool {
	text, _ := readBounded("/etc/nsswitch.conf")
	for _, line := range nonEmptyLines(text) {
		if strings.HasPrefix(line, "subid:") {
			return true
		}
	}
	return false
}

// getsubids prints "0: name 100000 65536" a line.
func getsubids(u User, flag string) ([]idRange, error) {
	path, err := lookPath("getsubids")
	if err != nil || u.Name == "" {
		return nil, nil
	}
	args := []string{path, u.Name}
	if flag != "" {
		args = []string{path, flag, u.Name}
	}
	out, err := output(args)
	if err != nil {
		return nil, nil // it exits 1 when there is no range
	}
	var ranges []idRange
	for _, line := range nonEmptyLines(out) {
		var index, name string
		var r idRange
		if _, err := fmt.Sscan(line, &index, &name, &r.start, &r.count); err != nil {
			return nil, fmt.Errorf("getsubids: %q is not INDEX: NAME START COUNT", line)
		}
		ranges = append(ranges, r)
	}
	return ranges, nil
}

// output runs a program and gives what it printed.
func output(argv []string) (string, error) {
	said, err := unix.MemfdCreate("said", unix.MFD_CLOEXEC)
	if err != nil {
		return "", err
	}
	defer unix.Close(said)
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(null)
	process, err := begin(NewScript(smallScript), argv[0], argv, os.Environ(), [3]int{null, said, null}, Config{OwnFiles: true}, nil)
	if err != nil {
		return "", err
	}
	if err := process.Wait(); err != nil {
		return "", err
	}
	if _, err := unix.Seek(said, 0, unix.SEEK_SET); err != nil {
		return "", err
	}
	return readAll(said)
}

// readBounded reads a file of the system. An os.File would be made known to
// the runtime's poller first, with five system calls more.
func readBounded(path string) (string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	return readAll(fd)
}

func readAll(fd int) (string, error) {
	var text []byte
	buf := make([]byte, 4096)
	for len(text) < maxAccounts {
		n, err := unix.Read(fd, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return string(text), err
		}
		text = append(text, buf[:n]...)
	}
	return string(text), nil
}

func nonEmptyLines(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })
}
