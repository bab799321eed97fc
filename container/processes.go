package container

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Proc is a process of a container, from proc_pid_stat(5) and
// proc_pid_status(5).
type Proc struct {
	Process
	Inside int // its number in the container
	Parent int // its parent's there; 0: it has none there
	Group  int // its process group's number in the container
	State  byte
	UTime  uint64 // clock ticks
	STime  uint64
	CUTime uint64 // of children that it has waited for
	CSTime uint64
	Nice   int
	VSize  uint64 // bytes
	RSS    uint64 // pages
	TTY    int
	Comm   string
	Args   string

	User, HostUser     IDs
	Groups, HostGroups []uint32          // supplementary ones
	Caps               map[string]uint64 // by the names of proc_pid_status(5): CapEff, ...
	Seccomp            int               // a mode of seccomp(2)
}

// IDs are those that proc_pid_status(5) shows, without the saved ones and those
// of the file system.
type IDs struct{ RealUID, UID, RealGID, GID uint32 }

// Processes lists the container's processes: those of its mount namespace and
// their descendants, as others may share its pid namespace.
func (i *Info) Processes() ([]Proc, error) {
	if !i.Running() {
		return nil, fmt.Errorf("listing the processes of container %s: %w", i.Name(), ErrNotRunning)
	}
	first := i.State.Init.PID
	own, pids := space(first), namespace(first, "pid")
	if own == "" || pids == "" {
		return nil, fmt.Errorf("listing the processes of container %s: %w", i.Name(), ErrNotRunning)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var all []Proc
	inside, belongs := map[int]int{}, map[int]bool{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// A pid namespace within the container's belongs to it too, but cannot be told here.
		if namespace(pid, "pid") != pids {
			continue
		}
		p, err := readProc(pid)
		if err != nil {
			continue // it ended
		}
		inside[pid], belongs[pid] = p.Inside, space(pid) == own
		all = append(all, p)
	}
	list := family(all, belongs)
	uids, gids := i.idMap("uid_map"), i.idMap("gid_map")
	for n := range list {
		p := &list[n]
		h := p.HostUser
		p.Parent, p.User = inside[p.Parent], IDs{uids(h.RealUID), uids(h.UID), gids(h.RealGID), gids(h.GID)}
		for _, g := range p.HostGroups {
			p.Groups = append(p.Groups, gids(g))
		}
	}
	return list, nil
}

// family are those that belong, and what comes from them. A number that is
// used again can be its own ancestor: hence the limit.
func family(all []Proc, belongs map[int]bool) (list []Proc) {
	parents := map[int]int{}
	for _, p := range all {
		parents[p.PID] = p.Parent
	}
	for _, p := range all {
		for at, steps := p.PID, 0; at != 0 && steps < len(all); at, steps = parents[at], steps+1 {
			if belongs[at] {
				list = append(list, p)
				break
			}
		}
	}
	return list
}

// overflowID stands for an id that has none in the container.
const overflowID = 65534

// idMap turns ids of the host into those of the container
// (user_namespaces(7), uid_map).
func (i *Info) idMap(file string) func(uint32) uint32 {
	text, _ := readFile(fmt.Sprintf("/proc/%d/%s", i.State.Init.PID, file))
	type entry struct{ inside, host, size uint64 }
	var list []entry
	for line := range strings.Lines(string(text)) {
		var e entry
		if n, _ := fmt.Sscan(line, &e.inside, &e.host, &e.size); n == 3 {
			list = append(list, e)
		}
	}
	return func(id uint32) uint32 {
		for _, e := range list {
			if at := uint64(id) - e.host; uint64(id) >= e.host && at < e.size {
				return uint32(e.inside + at)
			}
		}
		return overflowID
	}
}

// Names are those of the users and groups in the container's own files.
func (i *Info) Names() (users, groups map[uint32]string) {
	return namesBelow(imageRoot{fmt.Sprintf("/proc/%d/root", i.State.Init.PID)})
}

// HostNames are those of the host's users and groups.
func HostNames() (users, groups map[uint32]string) { return namesBelow(imageRoot{"/"}) }

func namesBelow(root imageRoot) (users, groups map[uint32]string) {
	read := func(file string) map[uint32]string {
		names := map[uint32]string{}
		_ = root.lines(file, func(f []string) bool {
			if len(f) > 2 {
				if id, err := parseID(f[2]); err == nil && names[id] == "" {
					names[id] = f[0]
				}
			}
			return true
		})
		return names
	}
	return read("etc/passwd"), read("etc/group")
}

// Uptime is the time since the machine's start, in which Process.Start counts.
func Uptime() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now)
	return time.Duration(now.Nano())
}

// readProc leaves the parent's number as the host has it, and the ids.
func readProc(pid int) (p Proc, err error) {
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := readFile(dir + "/stat")
	at := bytes.LastIndexByte(stat, ')')
	if err == nil && at < 0 {
		err = unix.ESRCH
	}
	if err != nil {
		return p, err
	}
	f := strings.Fields(string(stat[at+1:]))
	if len(f) < 22 {
		return p, unix.ESRCH
	}
	number := func(n int) uint64 { v, _ := strconv.ParseUint(f[n], 10, 64); return v }
	p = Proc{Process: Process{pid, number(19)}, Parent: int(number(1)), State: f[0][0], TTY: int(number(4)), UTime: number(11), STime: number(12), CUTime: number(13), CSTime: number(14),
		VSize: number(20), RSS: number(21), Comm: string(stat[bytes.IndexByte(stat, '(')+1 : at])}
	p.Nice, _ = strconv.Atoi(f[16])
	status, err := readFile(dir + "/status")
	if err != nil {
		return p, err
	}
	p.status(string(status))
	args, _ := readFile(dir + "/cmdline")
	if p.Args = string(bytes.TrimRight(bytes.ReplaceAll(args, []byte{0}, []byte{' '}), " ")); p.Args == "" {
		p.Args = "[" + p.Comm + "]"
	}
	return p, nil
}

// status takes what proc_pid_status(5) has in lines such as
//
//	Uid:	1000	1000	1000	1000
//
// The last of several numbers of a process is that of its own namespace.
func (p *Proc) status(text string) {
	p.Caps = map[string]uint64{}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		v := strings.Fields(value)
		if len(v) == 0 {
			continue
		}
		last := len(v) - 1
		id := func(n int) uint32 { id, _ := strconv.ParseUint(v[min(n, last)], 10, 32); return uint32(id) }
		switch key {
		case "NSpid":
			p.Inside = int(id(last))
		case "NSpgid":
			p.Group = int(id(last))
		case "Uid":
			p.HostUser.RealUID, p.HostUser.UID = id(0), id(1)
		case "Gid":
			p.HostUser.RealGID, p.HostUser.GID = id(0), id(1)
		case "Groups":
			for n := range v {
				p.HostGroups = append(p.HostGroups, id(n))
			}
		case "Seccomp":
			p.Seccomp = int(id(0))
		case "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb":
			p.Caps[key], _ = strconv.ParseUint(v[0], 16, 64)
		}
	}
}

// Label is what the host's security module says of a process
// (proc_pid_attr(5)); nothing where there is none.
func (p Process) Label() string {
	text, _ := readFile("/proc/" + strconv.Itoa(p.PID) + "/attr/current")
	return strings.TrimRight(string(text), "\x00\n")
}

// send sends a signal; a process that has ended is left alone.
func (p Process) send(s unix.Signal) error {
	fd, err := p.pidfd()
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, s, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

// CommandLine are the words that a process was started with; nil of one that is
// no more.
func (p Process) CommandLine() []string {
	text, err := readFile("/proc/" + strconv.Itoa(p.PID) + "/cmdline")
	if err != nil || !p.alive() {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
}
