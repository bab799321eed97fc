package container

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"containers/rl/storage"
)

// capture opens the log and the pipes to it. Standard input that someone may
// attach to later is a pipe that nobody closes.
func (p *plan) capture(dir string) error {
	if p.o.Detached && p.o.Interactive && !p.o.TTY {
		if err := p.holdStdin(); err != nil {
			return err
		}
	}
	if !p.o.logged() {
		return nil
	}
	log, err := p.o.openLog(dir)
	if err != nil {
		return err
	}
	stdout, stderr := -1, -1
	if !p.o.Detached {
		stdout, stderr = int(p.o.Stdout.Fd()), int(p.o.Stderr.Fd())
	}
	p.out, err = newOutput(log, stdout, stderr)
	return err
}

func (p *plan) holdStdin() error {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("making a pipe: %w", err)
	}
	p.o.Stdin = os.NewFile(uintptr(fds[0]), "stdin")
	p.stdin = fds[1]
	return nil
}

// introduce makes a container known to others. The empty exit file is the last:
// with the state of an earlier run nobody may take it for the one to wait for.
func (r *Running) introduce() error {
	c, o := r.storage, r.plan.o
	if o.Remove && !r.again {
		if o.Name == "" {
			o.Name = RandomName()
			if c.SetName(o.Name) != nil {
				o.Name = "" // it is known by its id
			}
		}
	}
	r.state = State{Init: process(r.child.PID), Monitor: process(r.monitor()), Boot: bootID(), Started: time.Now().UTC(), Restarts: r.restarted, Notice: r.Notice, Space: r.state.Space,
		Cgroup: r.cgroup()}
	if o.Attached() != nil {
		r.state.Address = o.Slirp.Address4
	}
	for _, old := range []string{healthFile, joinFile} {
		_ = os.Remove(path.Join(c.Dir, old))
	}
	for _, f := range r.files() {
		if err := c.WriteFile(f.name, f.text); err != nil {
			return fmt.Errorf("writing %s of container %s: %w", f.name, o.ID, err)
		}
	}
	r.introduced = true
	list := o.beginning()
	if !o.Remove || r.again {
		list = list[1:] // it was told when its directory was made
	}
	if r.prepared {
		list = slices.DeleteFunc(list, func(e Event) bool { return e.Status == "init" })
	}
	emit(r.host.Dirs, list...)
	if r.keeper == nil && o.Health.Checked() {
		go r.watchHealth(o.Health)
	}
	return nil
}

// beginning is what happens until the program runs, from create on.
func (o *Options) beginning() []Event {
	e := o.event("create")
	list := []Event{e, e.at("init"), e.at("start")}
	if !o.Detached {
		list = append(list, e.at("attach"))
	}
	return list
}

// Monitor is the number of the process that stays with the container.
func (r *Running) Monitor() int { return r.monitor() }

// monitor is the process that stays with the container.
func (r *Running) monitor() int {
	if r.keeper != nil {
		return r.keeper.PID
	}
	return os.Getpid()
}

type file struct {
	name string
	text []byte
}

// files are what others know a container by, in the order of writing.
func (r *Running) files() (list []file) {
	o := r.plan.o
	record := newRecord(o)
	info := &Info{Entry: storage.Entry{ID: o.ID}, Record: record, State: r.state}
	info.Options = *o // with what a record leaves out
	join := encodeJoin(info, r.plan.spec, r.host.IDs)
	if join != nil {
		list = append(list, file{joinFile, join})
	}
	if join == nil || !standsAlone(o) {
		if o.Remove && !r.again {
			list = append(list, file{storage.RecordFile, encode(record)})
		}
		list = append(list, file{specFile, encode(r.plan.spec)}, file{stateFile, encode(r.state)})
	}
	return append(list, file{exitFile, nil})
}

// conclude says how it ended, in the file that waiting processes hold open, and
// what went wrong with the hooks after its end.
func (r *Running) conclude(err, hooks error, again bool) {
	if r.joins {
		if r.visited != nil {
			r.visited.Emit(r.host.Dirs, "exec_died", fmt.Sprintf("exitCode=%d", exitCode(err)))
		}
		return
	}
	ended := Ended{Code: exitCode(err), Finished: time.Now().UTC(), Again: again, OOM: r.outOfMemory()}
	if !r.introduced { // a short life, told at once
		emit(r.host.Dirs, slices.Concat(r.plan.o.beginning(), r.plan.o.ending(ended), []Event{r.plan.o.event("remove")})...)
		return
	}
	var exit Exit
	if err != nil && !errors.As(err, &exit) {
		ended.Error = err.Error()
	} else if hooks != nil {
		ended.Error = hooks.Error()
	}
	emit(r.host.Dirs, r.plan.o.ending(ended)...)
	fd, err := unix.Open(path.Join(r.storage.Dir, exitFile), unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return // the directory was removed under us: there is nobody to tell
	}
	defer unix.Close(fd)
	text := encode(ended)
	// On a full disk, what only exec and inspect need of a run makes room.
	for _, name := range []string{joinFile, specFile, ""} {
		if n, err := unix.Pwrite(fd, text, 0); err == nil && n == len(text) || name == "" {
			return
		}
		_ = unix.Unlink(path.Join(r.storage.Dir, name))
	}
}

// ending is what happens at the end; docker has an event for memory that was
// not enough.
func (o *Options) ending(e Ended) (list []Event) {
	if e.OOM {
		list = append(list, o.event("oom"))
	}
	return append(list, o.event("died", fmt.Sprintf("exitCode=%d", e.Code)))
}

// exitCode is the program's, when it is known.
func exitCode(err error) int {
	var exit Exit
	if errors.As(err, &exit) {
		return exit.Code
	}
	return Killed
}
