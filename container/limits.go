package container

import (
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"containers/rl/cgroups"
	"containers/rl/storage"
	"containers/rl/userns"
)

// Limits and their parts, for those who do not import package cgroups.
type (
	Limits       = cgroups.Limits
	DeviceWeight = cgroups.DeviceWeight
	DeviceRate   = cgroups.DeviceRate
)

// limit makes the cgroup of a container that is to be limited. It comes before
// the child: what cannot be limited is not begun.
func (r *Running) limit(o *Options) (err error) {
	if o.Limits != nil {
		// Of a name that no other run has: who finds what this one left removes
		// nothing of the next.
		r.group, err = cgroups.New(fmt.Sprintf("%s-%x", o.ID, time.Now().UnixNano()), o.Limits)
	}
	return err
}

// cgroupLink in a container's directory leads to the cgroup of its last run.
const cgroupLink = "cgroup"

// noteCgroup is for the next command, should we be killed.
func (r *Running) noteCgroup() error {
	if r.group == nil || r.storage == nil {
		return nil
	}
	link := path.Join(r.storage.Dir, cgroupLink)
	_ = os.Remove(link)
	if err := os.Symlink(r.group.Dir, link); err != nil {
		return fmt.Errorf("noting the cgroup of container %s: %w", r.storage.ID, err)
	}
	return nil
}

// Unlimit removes the cgroup that a container whose rl was killed has left;
// dir is its directory.
func Unlimit(dir string) {
	if to, err := os.Readlink(path.Join(dir, cgroupLink)); err == nil && strings.HasPrefix(to, cgroups.Root+"/") {
		(&cgroups.Group{Dir: to}).Remove()
	}
}

// confine puts the child into it, which has done nothing yet.
func (r *Running) confine() error {
	if r.group == nil {
		return nil
	}
	return r.group.Add(r.child.PID)
}

func (r *Running) unlimit() {
	if r.group != nil {
		r.group.Remove()
		r.group = nil
	}
}

// groupOf is the cgroup of a container that another process has started.
func groupOf(s State) *cgroups.Group {
	if s.Cgroup == "" {
		return nil
	}
	return &cgroups.Group{Dir: s.Cgroup}
}

func (r *Running) cgroup() string {
	if r.group == nil {
		return ""
	}
	return r.group.Dir
}

func (r *Running) outOfMemory() bool {
	if r.group == nil {
		return false
	}
	kills, _ := r.group.Value("memory.events", "oom_kill")
	return kills > 0
}

// cgroupPlace is where programs look for their limits.
const cgroupPlace = "/sys/fs/cgroup"

// cgroupMount shows a container its own cgroup, as docker does; one without
// limits has none of its own.
func (o *Options) cgroupMount() []specs.Mount {
	if o.Limits == nil || o.covers(cgroupPlace) {
		return nil
	}
	m := specs.Mount{Destination: cgroupPlace, Type: "cgroup2", Source: "cgroup2", Options: []string{"nosuid", "noexec", "nodev"}}
	if o.HostCgroup || o.Joins != nil && o.Joins.Cgroup != "" {
		m.Type, m.Source, m.Options = "bind", cgroups.Root, append(m.Options, "rbind")
	}
	if !o.Privileged {
		m.Options = append(m.Options, "ro")
	}
	return []specs.Mount{m}
}

// cgroupNamespace is made by the child itself once it is in its cgroup, which
// is then the root that it sees (cgroup_namespaces(7)).
func (p *plan) cgroupNamespace() {
	if p.o.Limits != nil && !p.o.HostCgroup {
		p.Do("making", "a cgroup namespace", unix.SYS_UNSHARE, userns.Int(unix.CLONE_NEWCGROUP))
	}
}

// Update changes what a container is limited to and how it is restarted. What
// runs is limited at once. The record that is changed is the one of this
// moment: the container may have been given another name since it was found.
func (i *Info) Update(d storage.Dirs, change func(*Options), limits *cgroups.Limits) error {
	if standsAlone(&i.Options) {
		return fmt.Errorf("updating container %s: it runs in the foreground with --rm", i.Name())
	}
	var record Record
	err := d.Rewrite(i.Entry, func() ([]byte, error) {
		now, err := look(i.Entry)
		if err != nil {
			return nil, gone(err, i.Name())
		}
		record = now.Record
		if limits != nil {
			record.Options.Limits = record.Options.Limits.Merge(limits)
			if err := now.enforce(limits, record.Options.Limits); err != nil {
				return nil, err
			}
		}
		change(&record.Options)
		return encode(record), nil
	})
	if err = i.unlessRemoved(err); err != nil {
		return fmt.Errorf("updating container %s: %w", i.Name(), err)
	}
	i.Record = record
	return nil
}

func (i *Info) enforce(limits, all *cgroups.Limits) error {
	switch {
	case !i.Running():
		return cgroups.Available(all)
	case i.State.Cgroup == "":
		return fmt.Errorf("it was started without limits, so it has no cgroup: rl stop %s, update it, and start it", i.Name())
	}
	return (&cgroups.Group{Dir: i.State.Cgroup}).Set(limits)
}

// recorded are the restart options as they are now: an update changes them
// while the container runs.
func (r *Running) recorded() *Options {
	var record Record
	if load(r.storage.Dir, storage.RecordFile, &record) != nil {
		return r.plan.o
	}
	return &record.Options
}

// fromCgroup has what the container's cgroup has counted, of processes that
// have ended too (cgroup-v2.rst).
func (u *Usage) fromCgroup(dir string) {
	if _, err := os.Stat(path.Join(dir, "cgroup.procs")); dir == "" || err != nil {
		return
	}
	g := &cgroups.Group{Dir: dir}
	if n, ok := g.Value("cpu.stat", "usage_usec"); ok {
		u.CPU = microseconds(n)
	}
	if n, ok := g.Value("cpu.stat", "system_usec"); ok {
		u.System = microseconds(n)
	}
	if n, ok := g.Value("memory.current", ""); ok {
		u.Memory = n
	}
	if n, ok := g.Value("memory.max", ""); ok {
		u.Limit = min(n, u.Limit)
	}
	if n, ok := g.Value("pids.current", ""); ok {
		u.PIDs = int(n)
	}
	if text, err := readFile(path.Join(dir, "io.stat")); err == nil {
		u.BlockIn, u.BlockOut = ioStat(string(text))
	}
	u.Pressure = Pressure{pressure(path.Join(dir, "cpu.pressure")), pressure(path.Join(dir, "memory.pressure")), pressure(path.Join(dir, "io.pressure"))}
}

// ioStat sums the devices of io.stat (cgroup-v2.rst):
//
//	8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0
func ioStat(text string) (in, out uint64) {
	for _, word := range strings.Fields(text) {
		key, value, _ := strings.Cut(word, "=")
		n, _ := strconv.ParseUint(value, 10, 64)
		switch key {
		case "rbytes":
			in += n
		case "wbytes":
			out += n
		}
	}
	return in, out
}

// Pressure is how long some process of a container had to wait for what it
// needs, in percent of the last ten seconds. Nothing says so without a cgroup.
type Pressure struct{ CPU, Memory, IO string }

// pressure reads psi(5)'s first line:
//
//	some avg10=0.22 avg60=0.17 avg300=1.11 total=58761459
func pressure(file string) string {
	text, _ := readFile(file)
	_, rest, _ := strings.Cut(string(text), "some avg10=")
	value, _, _ := strings.Cut(rest, " ")
	return value
}
