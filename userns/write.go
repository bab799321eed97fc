package userns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// WriteMaps writes the id maps of a waiting child.
func (c *Child) WriteMaps(m Map) error {
	if os.Geteuid() == 0 && canSetIDs() || m.own() {
		return c.writeDirect(m)
	}
	gids := make(chan error, 1)
	go func() { gids <- c.tool("newgidmap", m.GIDs) }()
	err := c.tool("newuidmap", m.UIDs)
	return errors.Join(err, <-gids)
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

// tool runs newuidmap or newgidmap by the same path as a container's start.
func (c *Child) tool(program string, list []specs.LinuxIDMapping) error {
	path, err := exec.LookPath(program)
	if err != nil {
		return &MapError{program, "not found", err}
	}
	said, err := unix.MemfdCreate("said", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("making a memory file: %w", err)
	}
	file := os.NewFile(uintptr(said), "said")
	defer file.Close()
	argv := append([]string{program, strconv.Itoa(c.PID)}, arguments(list)...)
	process, err := start(path, argv, os.Environ(), [3]int{-1, said, said}, Config{OwnFiles: true}, nil)
	if err != nil {
		return err
	}
	if err := process.Wait(); err != nil {
		answer := make([]byte, 4096)
		n, _ := file.ReadAt(answer, 0)
		return &MapError{program, strings.TrimSpace(string(answer[:n])), err}
	}
	return nil
}
