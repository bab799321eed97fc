package cgroups

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Group is a cgroup of our own.
type Group struct{ Dir string }

// hierarchy is where cgroups are; tests have another one.
type hierarchy struct {
	root    string
	unified func() bool
	own     func() (string, error)
}

func host() hierarchy { return hierarchy{Root, Unified, Own} }

// New makes a cgroup for the container id with its limits, below the nearest
// cgroup that is ours and can hand on the controllers. A limit that cannot be
// set is an error, and nothing is left then.
func New(id string, l *Limits) (*Group, error) { return host().make(id, l) }

// Available says whether a cgroup with the limits could be made.
func Available(l *Limits) error {
	_, err := host().parent(l)
	return err
}

func (h hierarchy) make(id string, l *Limits) (*Group, error) {
	parent, err := h.parent(l)
	if err != nil {
		return nil, err
	}
	g := &Group{path.Join(parent, "rl-"+id)}
	err = os.Mkdir(g.Dir, 0o755)
	if errors.Is(err, os.ErrExist) { // left by an rl that was killed
		g.Remove()
		err = os.Mkdir(g.Dir, 0o755)
	}
	if err != nil {
		return nil, fmt.Errorf("making a cgroup: %w", err)
	}
	if err := g.Set(l); err != nil {
		g.Remove()
		return nil, err
	}
	return g, nil
}

// parent finds the cgroup to make ours in.
func (h hierarchy) parent(l *Limits) (string, error) {
	names, flags := l.Controllers()
	missing := &MissingError{Flags: flags}
	if !h.unified() {
		missing.Controllers, missing.V1 = names, true
		return "", missing
	}
	own, err := h.own()
	if err != nil {
		return "", err
	}
	if l.Parent != "" {
		dir := path.Join(h.root, path.Clean("/"+l.Parent))
		if !path.IsAbs(l.Parent) {
			dir = path.Join(own, path.Clean("/"+l.Parent))
		}
		return dir, h.prepare(dir, names, missing)
	}
	ours := h.ours(own)
	if len(ours) == 0 {
		missing.Controllers, missing.Dir, missing.Closed = names, own, true
		return "", missing
	}
	for _, dir := range ours { // what is handed on already needs no change
		if on := words(path.Join(dir, "cgroup.subtree_control")); all(names, on) {
			return dir, nil
		}
	}
	for _, dir := range ours {
		if err = h.hand(dir, names, missing); err == nil {
			return dir, nil
		}
	}
	return "", err
}

// ours are the cgroup that we are in and those above it, as far as they are
// the user's own.
func (h hierarchy) ours(own string) (list []string) {
	for dir := own; strings.HasPrefix(dir, h.root) && Writable(dir); dir = path.Dir(dir) {
		list = append(list, dir)
	}
	return list
}

func all(names []string, in map[string]bool) bool {
	for _, name := range names {
		if !in[name] {
			return false
		}
	}
	return true
}

// prepare makes a cgroup that was asked for, with those above it.
func (h hierarchy) prepare(dir string, names []string, missing *MissingError) error {
	if dir != h.root {
		if err := h.prepare(path.Dir(dir), names, missing); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("--cgroup-parent: %w", err)
	}
	return h.hand(dir, names, missing)
}

// hand makes sure that a cgroup hands the controllers on. One with processes
// cannot (cgroup-v2.rst, No Internal Process Constraint): if all that is in it
// is we, we go into a cgroup below it.
func (h hierarchy) hand(dir string, names []string, missing *MissingError) error {
	there := words(path.Join(dir, "cgroup.controllers"))
	on := words(path.Join(dir, "cgroup.subtree_control"))
	var enable, lacking []string
	for _, name := range names {
		switch {
		case on[name]:
		case there[name]:
			enable = append(enable, "+"+name)
		default:
			lacking = append(lacking, name)
		}
	}
	if len(lacking) > 0 {
		if missing.Dir == "" {
			missing.Controllers, missing.Dir = lacking, dir
		}
		return missing
	}
	if len(enable) == 0 {
		return nil
	}
	err := write(path.Join(dir, "cgroup.subtree_control"), strings.Join(enable, " "))
	if errors.Is(err, unix.EBUSY) && alone(dir) {
		leaf := path.Join(dir, "rl")
		if err = os.Mkdir(leaf, 0o755); err == nil || errors.Is(err, os.ErrExist) {
			err = write(path.Join(leaf, "cgroup.procs"), "0")
		}
		if err == nil {
			err = write(path.Join(dir, "cgroup.subtree_control"), strings.Join(enable, " "))
		}
	}
	if errors.Is(err, unix.EBUSY) {
		missing.Controllers, missing.Dir, missing.Busy = names, dir, true
		return missing
	}
	if err != nil {
		return fmt.Errorf("handing on controllers of %s: %w", dir, err)
	}
	return nil
}

// alone: no process but ours is in a cgroup.
func alone(dir string) bool {
	procs := words(path.Join(dir, "cgroup.procs"))
	return len(procs) == 1 && procs[strconv.Itoa(os.Getpid())]
}

func words(file string) map[string]bool {
	set := map[string]bool{}
	text, _ := os.ReadFile(file)
	for _, word := range strings.Fields(string(text)) {
		set[word] = true
	}
	return set
}

func write(file, value string) error {
	fd, err := unix.Open(file, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		_, err = unix.Write(fd, []byte(value))
		unix.Close(fd)
	}
	if err != nil {
		return &os.PathError{Op: "write", Path: file, Err: err}
	}
	return nil
}

// Set writes the limits.
func (g *Group) Set(l *Limits) error {
	for _, f := range l.files() {
		err := write(path.Join(g.Dir, f.name), f.value)
		if f.optional && errors.Is(err, unix.ENOENT) {
			continue // a kernel without accounting of swap
		}
		if err != nil {
			return fmt.Errorf("%s: setting the limit %s: %w", f.flag, f.value, err)
		}
	}
	return nil
}

// Add moves a process into the cgroup.
func (g *Group) Add(pid int) error {
	err := write(path.Join(g.Dir, "cgroup.procs"), strconv.Itoa(pid))
	if errors.Is(err, unix.EACCES) { // what both cgroups are in is not ours (cgroup-v2.rst, Delegation Containment)
		return fmt.Errorf("moving process %d into its cgroup: %w: from a session that is not delegated it takes systemd-run --user --scope rl exec", pid, err)
	}
	if err != nil {
		return fmt.Errorf("moving process %d into its cgroup: %w", pid, err)
	}
	return nil
}

// Remove ends what is left in the cgroup, and removes it. What was its last
// process may take a moment to leave it.
func (g *Group) Remove() {
	_ = write(path.Join(g.Dir, "cgroup.kill"), "1") // Linux 5.14
	for range 50 {
		if err := os.Remove(g.Dir); err == nil || errors.Is(err, os.ErrNotExist) {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Value reads a number of a file with one, or with KEY NUMBER lines. ok is
// false where there is none, or no limit.
func (g *Group) Value(file, key string) (n uint64, ok bool) {
	text, err := os.ReadFile(path.Join(g.Dir, file))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if key == "" && len(f) == 1 || len(f) == 2 && f[0] == key {
			n, err = strconv.ParseUint(f[len(f)-1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// MissingError says which controllers cannot be had, and what mends that.
type MissingError struct {
	Controllers []string
	Flags       map[string]string // of each
	Dir         string            // that lacks them
	V1          bool              // the host has no cgroup v2
	Closed      bool              // the cgroup that we are in is not ours
	Busy        bool              // others are in it, so that it can have no limits below
}

// dropIn gives the user's manager all controllers (systemd.resource-control(5)).
const dropIn = `sudo mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\nDelegate=cpu cpuset io memory pids\n' | ` +
	`sudo tee /etc/systemd/system/user@.service.d/delegate.conf && sudo systemctl daemon-reload, and log in again`

func (e *MissingError) Error() string {
	var asked []string
	for _, name := range e.Controllers {
		asked = append(asked, e.Flags[name])
	}
	text := "the limit cannot be set"
	if len(asked) > 0 {
		text = fmt.Sprintf("%s: the cgroup controller %s is not available", strings.Join(asked, ", "), strings.Join(e.Controllers, ", "))
	}
	switch {
	case e.V1:
		return text + ": " + Root + " is not cgroup v2: add systemd.unified_cgroup_hierarchy=1 to the kernel's command line, and boot"
	case e.Busy:
		return text + ": " + e.Dir + " has other processes in it: run it as: systemd-run --user --scope -p Delegate=yes rl ..."
	case e.Closed:
		return text + ": " + e.Dir + " is not ours: run it as: systemd-run --user --scope -p Delegate=yes rl ..., and if that lacks the controller: " + dropIn
	}
	return text + " in " + e.Dir + ": " + dropIn
}
