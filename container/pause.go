package container

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"containers/rl/cgroups"
)

// errState says that a container is not in the state that a command needs.
var errState = errors.New("container state improper")

// errPaused says that nothing new can begin in a container.
var errPaused = errors.New("is paused")

// pauseStep is the time between two looks at processes that are to stop, and
// pausePatience how long that may take.
const (
	pauseStep     = time.Millisecond
	pausePatience = 10 * time.Second
)

// Pause stops all processes of a container: by the freezer of its cgroup, or
// by SIGSTOP, which none can catch, where it has none.
func (i *Info) Pause() error {
	if i.Status != StatusRunning {
		return fmt.Errorf("container %s: %q is not running, can't pause: %w", i.Name(), i.Status, errState)
	}
	err := i.freeze(true)
	if errors.Is(err, errNoFreezer) {
		err = halt(i.members, Process.send)
	}
	if !i.State.Init.alive() { // which explains any other error
		err = ErrNotRunning
	}
	if err != nil {
		_ = i.goOn() // as a whole, or not at all
		return fmt.Errorf("pausing container %s: %w", i.Name(), err)
	}
	return nil
}

// halt begins anew until it has found twice that all are stopped. Once is not
// enough: a process that was seen stopped may have made another one between the
// beginning of the look and its own end, at a number that had been passed.
func halt(members func() ([]member, error), send func(Process, unix.Signal) error) error {
	sent := map[Process]bool{}
	for end, quiet := time.Now().Add(pausePatience), 0; quiet < 2; {
		list, err := members()
		if err != nil {
			return err
		}
		quiet++
		for _, m := range list {
			if m.halted(sent[m.Process]) {
				continue
			}
			quiet = 0
			if err := send(m.Process, unix.SIGSTOP); err != nil {
				return err
			}
			sent[m.Process] = true
		}
		if quiet == 0 && time.Now().After(end) {
			return fmt.Errorf("its processes did not stop within %v", pausePatience)
		}
		if quiet == 0 {
			time.Sleep(pauseStep)
		}
	}
	return nil
}

// Unpause lets them go on.
func (i *Info) Unpause() error {
	if i.Status != StatusPaused {
		return fmt.Errorf("container %s: %q is not paused, can't unpause: %w", i.Name(), i.Status, errState)
	}
	err := i.goOn()
	if err != nil && !i.State.Init.alive() { // it may well end as soon as it goes on
		err = ErrNotRunning
	}
	if err != nil {
		return fmt.Errorf("unpausing container %s: %w", i.Name(), err)
	}
	return nil
}

// errNoFreezer says that the container has no cgroup that can be frozen.
var errNoFreezer = errors.New("no freezer")

func (i *Info) freeze(on bool) error {
	if i.State.Cgroup == "" {
		return errNoFreezer
	}
	err := (&cgroups.Group{Dir: i.State.Cgroup}).Freeze(on)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES) {
		return errNoFreezer
	}
	return err
}

func (i *Info) frozen() bool {
	return i.State.Cgroup != "" && (&cgroups.Group{Dir: i.State.Cgroup}).Frozen()
}

// goOn undoes the way it was stopped in. What stopped itself before a freeze
// stays so.
func (i *Info) goOn() error {
	if i.frozen() {
		return i.freeze(false)
	}
	return i.signalMembers(unix.SIGCONT)
}

// stands says whether the container is stopped in one of the ways; state is
// that of its first process.
func (i *Info) stands(state byte) bool { return state == 'T' || i.frozen() }

func (i *Info) signalMembers(s unix.Signal) error {
	list, err := i.members()
	for _, m := range list {
		err = errors.Join(err, m.send(s))
	}
	return err
}

// member is a process of a container, as pausing needs it.
type member struct {
	Process
	parent int
	state  byte
}

// halted: a parent in vfork(2) waits for its child, which is stopped. It cannot
// be stopped meanwhile (state D), and has the signal to come.
func (m member) halted(sent bool) bool {
	switch m.state {
	case 'T', 't', 'Z', 'X':
		return true
	case 'D':
		return sent
	}
	return false
}

// members are the processes of a container with those in namespaces within its
// own. Where others share their pid namespace it is the mount namespace that
// tells them apart.
func (i *Info) members() ([]member, error) {
	kind := "pid"
	if i.State.Space != "" {
		kind = "mnt"
	}
	space, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", i.State.Init.PID, kind))
	if err != nil {
		return nil, err
	}
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var all []member
	ours := map[int]bool{}
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		f := statFields(pid)
		if f == nil {
			continue // it ended
		}
		m := member{Process: Process{PID: pid}, state: f[0][0]}
		m.parent, _ = strconv.Atoi(f[1])
		m.Start, _ = strconv.ParseUint(f[19], 10, 64)
		its, err := os.Readlink("/proc/" + name + "/ns/" + kind)
		ours[pid] = err == nil && its == space
		all = append(all, m)
	}
	return descendants(all, ours), nil
}

// descendants gives those that are marked, and all that came from them.
func descendants(all []member, marked map[int]bool) (list []member) {
	for more := true; more; {
		more = false
		for _, m := range all {
			if !marked[m.PID] && marked[m.parent] {
				marked[m.PID], more = true, true
			}
		}
	}
	for _, m := range all {
		if marked[m.PID] {
			list = append(list, m)
		}
	}
	return list
}
