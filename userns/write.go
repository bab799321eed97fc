package userns

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// WriteMaps writes the id maps of a waiting child.
func (c *Child) WriteMaps(m Map) error { return c.BeginMaps(m)() }

// BeginMaps begins to write the id maps of a waiting child; the function it
// returns waits for the end. newuidmap and newgidmap run side by side, and
// beside what the caller does meanwhile.
func (c *Child) BeginMaps(m Map) (wait func() error) {
	if os.Geteuid() == 0 && canSetIDs() || m.own() {
		err := c.writeDirect(m)
		return func() error { return err }
	}
	uids, gids := c.tool("newuidmap", m.UIDs), c.tool("newgidmap", m.GIDs)
	return func() error { return errors.Join(uids(), gids()) }
}

// own: a process may map its own ids alone without privilege.
func (m Map) own() bool {
	return m.Single() && m.UIDs[0].HostID == uint32(os.Geteuid()) && len(m.GIDs) == 1 && m.GIDs[0].Size == 1
}

// writeDirect: without privilege setgroups must be denied before a group map
// is taken (user_namespaces(7)).
func (c *Child) writeDirect(m Map) error {
	files := []struct{ name, text string }{{"uid_map", text(m.UIDs)}, {"gid_map", text(m.GIDs)}}
	if os.Geteuid() != 0 || !canSetIDs() {
		files = append([]struct{ name, text string }{{"setgroups", "deny"}}, files...)
	}
	for _, f := range files {
		path := "/proc/" + strconv.Itoa(c.PID) + "/" + f.name
		if err := writeOnce(path, f.text); err != nil && !(f.name == "setgroups" && errors.Is(err, unix.ENOENT)) {
			return &MapError{Tool: path, Text: strings.TrimSpace(strings.ReplaceAll(f.text, "\n", ", ")), Err: err}
		}
	}
	return nil
}

// writeOnce: the kernel takes a map in one write.
func writeOnce(path, text string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_, err = unix.Write(fd, []byte(text))
	return errors.Join(err, unix.Close(fd))
}

// MapError is a map that could not be written.
type MapError struct {
	Tool string // the program, or the file of /proc
	Text string // what it said, or what was to be written
	Err  error
}

// Error gives the tool, what it said, and how it ended.
func (e *MapError) Error() string {
	return fmt.Sprintf("mapping ids: %s: %s: %v", e.Tool, e.Text, e.Err)
}

// Unwrap gives the cause.
func (e *MapError) Unwrap() error { return e.Err }

// tool starts newuidmap or newgidmap by the same path as a container's start.
func (c *Child) tool(program string, list []specs.LinuxIDMapping) (wait func() error) {
	failed := func(err error) func() error { return func() error { return err } }
	path, err := lookPath(program)
	if err != nil {
		return failed(&MapError{program, "not found", err})
	}
	said, err := unix.MemfdCreate("said", unix.MFD_CLOEXEC)
	if err != nil {
		return failed(fmt.Errorf("making a memory file: %w", err))
	}
	argv := append([]string{program, strconv.Itoa(c.PID)}, arguments(list)...)
	process, err := begin(NewScript(smallScript), path, argv, os.Environ(), [3]int{-1, said, said}, Config{OwnFiles: true}, nil)
	if err != nil {
		unix.Close(said)
		return failed(err)
	}
	return func() error {
		defer unix.Close(said)
		if err := process.Wait(); err != nil {
			answer := make([]byte, 4096)
			n, _ := unix.Pread(said, answer, 0)
			return &MapError{program, strings.TrimSpace(string(answer[:max(n, 0)])), err}
		}
		return nil
	}
}

// lookPath finds a program as execvp(3) does. Package os/exec does that too,
// and costs every process the initialisation of what it imports.
func lookPath(program string) (string, error) {
	for _, dir := range strings.Split(os.Getenv("PATH"), ":") {
		if !strings.HasPrefix(dir, "/") {
			continue // a program that we trust is not sought where we happen to be
		}
		path := dir + "/" + program
		var st unix.Stat_t
		if unix.Stat(path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && unix.Access(path, unix.X_OK) == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w in $PATH", program, unix.ENOENT)
}
