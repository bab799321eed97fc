package container

import (
	"errors"
	"fmt"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"containers/rl/storage"
	"containers/rl/userns"
)

// Joins are the namespaces that a container shares with others: each is "", or
// container:ID, or ns:PATH. They are found anew at each start.
//
// A namespace is joined from the user namespace that owns it (setns(2)), so a
// container is in the user namespace of those whose others it joins, and
// cannot join those of two that have none in common.
type Joins struct {
	User    string `json:",omitzero"`
	PID     string `json:",omitzero"`
	IPC     string `json:",omitzero"`
	UTS     string `json:",omitzero"`
	Network string `json:",omitzero"`
	Cgroup  string `json:",omitzero"`

	foreign uintptr // of these, what is owned by our own user namespace (CLONE_NEW*)
}

// Join is one of Joins, with the words of podman's and docker's messages.
type Join struct {
	To         *string
	Kind, Word string // as in /proc/PID/ns; in "cannot join WORD of ..."
	flag       int
}

// All lists them; the user namespace is the first.
func (j *Joins) All() []Join {
	return []Join{{&j.User, "user", "user namespace", unix.CLONE_NEWUSER}, {&j.PID, "pid", "PID", unix.CLONE_NEWPID}, {&j.IPC, "ipc", "IPC", unix.CLONE_NEWIPC},
		{&j.UTS, "uts", "UTS", unix.CLONE_NEWUTS}, {&j.Network, "net", "network", unix.CLONE_NEWNET}, {&j.Cgroup, "cgroup", "cgroup", unix.CLONE_NEWCGROUP}}
}

// joined is what one start joins. nil joins nothing.
type joined struct {
	user  int    // the user namespace to be joined, or -1: a new one is made
	owner string // who has it, for messages
	below []joinedFD
	// above are owned by our own user namespace: the thread that makes the child takes them over.
	above []joinedFD
	kinds uintptr // CLONE_NEW* of both
	ids   userns.Map
	shm   int   // a copy of the mount on /dev/shm, or -1
	mount int   // the mount namespace that has it, or -1
	files *Info // whose hosts and resolv.conf are used, or nil

	server *server   // of the root, or nil
	mounts []*server // of overlays among the mounts
}

type joinedFD struct {
	fd, flag int
	name     string
}

// openJoins opens the namespaces that a container is to join, and says in the
// options what that makes of them for this run.
func openJoins(d storage.Dirs, o *Options) (j *joined, err error) {
	j = &joined{user: -1, shm: -1, mount: -1}
	defer func() {
		if err != nil {
			j.close()
		}
	}()
	o.Joins.foreign = 0
	for _, one := range o.Joins.All() {
		if *one.To == "" {
			continue
		}
		if err := j.add(d, o, one); err != nil {
			return j, err
		}
	}
	if j.user >= 0 {
		err = j.look()
	}
	return j, err
}

func (j *joined) add(d storage.Dirs, o *Options, one Join) error {
	file, info, err := one.find(d)
	if err != nil {
		return err
	}
	fd, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("joining the %s namespace %s: %w", one.Kind, file, err)
	}
	if info != nil && !info.State.Init.alive() { // or its number is another's now
		unix.Close(fd)
		return one.notRunning(info)
	}
	if err := one.check(fd); err != nil {
		unix.Close(fd)
		return fmt.Errorf("joining the %s namespace %s: %w", one.Kind, file, err)
	}
	name := "the " + one.Kind + " namespace of " + *one.To
	host := sameFile(fd, "/proc/self/ns/"+one.Kind)
	one.apply(o, host)
	if host {
		unix.Close(fd)
		return nil
	}
	if one.flag == unix.CLONE_NEWUSER {
		return j.own(fd, *one.To)
	}
	if one.flag == unix.CLONE_NEWNET {
		j.files = info
	}
	if one.flag == unix.CLONE_NEWIPC && info != nil {
		if j.mount, err = unix.Open(fmt.Sprintf("/proc/%d/ns/mnt", info.State.Init.PID), unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			unix.Close(fd)
			return fmt.Errorf("joining the IPC of container %s: %w", info.Name(), err)
		}
	}
	return j.place(o, one, joinedFD{fd, one.flag, name})
}

// place tells a namespace that a user namespace below ours owns from one that ours does.
func (j *joined) place(o *Options, one Join, n joinedFD) error {
	owner, err := unix.IoctlRetInt(n.fd, unix.NS_GET_USERNS)
	j.kinds |= uintptr(n.flag)
	switch {
	case errors.Is(err, unix.EPERM):
		err = fmt.Errorf("joining %s: it belongs to a user namespace above ours: %w", n.name, err)
	case err != nil:
		err = fmt.Errorf("joining %s: %w", n.name, err)
	case sameFile(owner, "/proc/self/ns/user"):
		unix.Close(owner)
		o.Joins.foreign |= uintptr(n.flag)
		j.above = append(j.above, n)
		return nil
	default:
		j.below = append(j.below, n)
		return j.own(owner, *one.To)
	}
	unix.Close(n.fd)
	return err
}

// own takes the user namespace to be joined; a second one must be the same.
func (j *joined) own(fd int, of string) error {
	if j.user < 0 {
		j.user, j.owner = fd, of
		return nil
	}
	same := sameFile(fd, "/proc/self/fd/"+strconv.Itoa(j.user))
	unix.Close(fd)
	if !same {
		return fmt.Errorf("cannot join namespaces of both %s and %s: they are in different user namespaces: make the latter with --userns %[1]s, or both in one pod", j.owner, of)
	}
	return nil
}

// find gives the file of a namespace, and the container that has it.
func (one Join) find(d storage.Dirs) (file string, info *Info, err error) {
	if file, ok := strings.CutPrefix(*one.To, "ns:"); ok {
		return file, nil, nil
	}
	id := strings.TrimPrefix(*one.To, "container:")
	if info, err = one.Lookup(d, id); err != nil {
		return "", nil, err
	}
	if !info.Running() {
		return "", nil, one.notRunning(info)
	}
	return fmt.Sprintf("/proc/%d/ns/%s", info.State.Init.PID, one.Kind), info, nil
}

// Lookup finds the container that has the namespace, and refuses one that
// shares it with nobody.
func (one Join) Lookup(d storage.Dirs, ref string) (*Info, error) {
	info, err := Find(d, ref)
	if errors.Is(err, storage.ErrNoContainer) {
		return nil, fmt.Errorf("looking up container to share %s namespace with: no container with name or ID %q found: %w", one.Kind, ref, storage.ErrNoContainer)
	}
	if err == nil && one.flag == unix.CLONE_NEWIPC && (info.Options.NoShm || info.Options.PrivateIPC) {
		err = fmt.Errorf("joining IPC of container %s is not allowed: non-shareable IPC (hint: use IpcMode:shareable for the donor container)", info.ID)
	}
	return info, err
}

func (one Join) notRunning(i *Info) error {
	return fmt.Errorf("cannot join %s of a non running container: %s: %w: rl start %s", one.Word, i.ID, ErrNotRunning, i.Name())
}

// check refuses a file that is none of its kind.
func (one Join) check(fd int) error {
	kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE)
	if err == nil && kind != one.flag {
		err = errors.New("a namespace of another kind")
	} else if errors.Is(err, unix.ENOTTY) {
		err = errors.New("not a namespace")
	}
	return err
}

// apply says in the options whether it is the host's own after all.
func (one Join) apply(o *Options, host bool) {
	switch one.flag {
	case unix.CLONE_NEWPID:
		o.HostPID = host
	case unix.CLONE_NEWIPC:
		o.HostIPC = host
	case unix.CLONE_NEWUTS:
		o.HostUTS = host
	case unix.CLONE_NEWCGROUP:
		o.HostCgroup = host
	case unix.CLONE_NEWNET:
		if o.Network = NetworkJoined; host {
			o.Network = NetworkHost
		}
	}
}

func sameFile(fd int, name string) bool {
	var a, b unix.Stat_t
	return unix.Fstat(fd, &a) == nil && unix.Stat(name, &b) == nil && a.Dev == b.Dev && a.Ino == b.Ino
}

// look reads the id maps of the user namespace, and copies the mount on
// /dev/shm, which goes with an ipc namespace: a child enters, and leaves what
// it opened in our descriptor table.
func (j *joined) look() error {
	child, err := userns.Clone(userns.Config{})
	if err != nil {
		return err
	}
	s := userns.NewScript(16)
	j.enter(s)
	var maps [2]userns.Slot
	for n, file := range []string{"/proc/self/uid_map", "/proc/self/gid_map"} {
		maps[n] = s.Do("opening", file, unix.SYS_OPENAT, userns.Int(unix.AT_FDCWD), s.Str(file), userns.Int(unix.O_RDONLY|unix.O_CLOEXEC), userns.Int(0)).Save()
	}
	var shm userns.Slot
	if j.mount >= 0 {
		shm = j.copyShm(s)
	}
	s.End()
	if err := errors.Join(hide(), child.Run(s)); err != nil {
		child.Kill()
		return err
	}
	if j.mount >= 0 {
		j.shm = s.Result(shm)
	}
	j.ids, err = userns.ReadMap(s.Result(maps[0]), s.Result(maps[1]))
	return err
}

// copyShm: the path is resolved as the other container sees it, and can lead
// nowhere but to what that has mounted.
func (j *joined) copyShm(s *userns.Script) userns.Slot {
	how := make([]byte, unix.SizeofOpenHow)
	order.PutUint64(how, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)
	order.PutUint64(how[16:], unix.RESOLVE_NO_MAGICLINKS)
	s.Do("joining", "the mounts of "+j.owner, unix.SYS_SETNS, userns.Int(j.mount), userns.Int(unix.CLONE_NEWNS))
	place := s.Do("opening", "/dev/shm of "+j.owner, unix.SYS_OPENAT2, userns.Int(unix.AT_FDCWD), s.Str("/dev/shm"), s.Bytes(how), userns.Int(len(how))).Save()
	return s.Do("copying", "the mount on /dev/shm of "+j.owner, unix.SYS_OPEN_TREE, place.Arg(), s.Str(""), userns.Int(unix.OPEN_TREE_CLONE|unix.O_CLOEXEC|unix.AT_EMPTY_PATH)).Save()
}

func (j *joined) enter(s *userns.Script) {
	s.Do("joining", "the user namespace of "+j.owner, unix.SYS_SETNS, userns.Int(j.user), userns.Int(unix.CLONE_NEWUSER))
}

// forks says whether the container's process is made by another one, that has
// joined before.
func (j *joined) forks() bool { return j != nil && j.user >= 0 }

// clone makes the child, in new namespaces as far as it joins none.
func (j *joined) clone(o *Options) (*userns.Child, error) {
	flags := cloneFlags(o)
	switch {
	case j == nil:
	case j.user >= 0:
		flags = 0
	default:
		flags &^= j.kinds
	}
	if j == nil || len(j.above) == 0 {
		return userns.Clone(userns.Config{Cloneflags: flags})
	}
	return j.cloneFrom(flags)
}

// cloneFrom: the thread is in the namespaces while it makes the child.
func (j *joined) cloneFrom(flags uintptr) (child *userns.Child, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var back []joinedFD
	defer func() {
		for _, n := range back {
			if failed := unix.Setns(n.fd, n.flag); failed != nil {
				runtime.LockOSThread() // for ever: no one else may have this thread
				err = errors.Join(err, fmt.Errorf("leaving %s: %w", n.name, failed))
			}
			unix.Close(n.fd)
		}
		if err != nil && child != nil {
			child.Kill()
		}
	}()
	for _, n := range j.above {
		own, err := unix.Open("/proc/self/ns/"+kindOf(n.flag), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, fmt.Errorf("joining %s: %w", n.name, err)
		}
		back = append(back, joinedFD{own, n.flag, n.name})
		if err := unix.Setns(n.fd, n.flag); err != nil {
			return nil, fmt.Errorf("joining %s: %w: it belongs to the host: only root may join it", n.name, err)
		}
	}
	return userns.Clone(userns.Config{Cloneflags: flags})
}

func kindOf(flag int) string {
	for _, one := range (&Joins{}).All() {
		if one.flag == flag {
			return one.Kind
		}
	}
	return ""
}

// outer is the script of the process that joins: what it does not join it
// makes, and its child becomes the container's first process.
func (j *joined) outer(p *plan) *userns.Script {
	s := userns.NewScript(16)
	j.enter(s)
	for _, n := range j.below {
		s.Do("joining", n.name, unix.SYS_SETNS, userns.Int(n.fd), userns.Int(n.flag))
	}
	s.Do("unsharing", "namespaces", unix.SYS_UNSHARE, userns.Int(cloneFlags(p.o)&^j.kinds&^unix.CLONE_NEWUSER))
	s.Fork(p.Script)
	return s
}

func (j *joined) close() {
	if j == nil {
		return
	}
	for _, s := range append(j.mounts, j.server) {
		s.close()
	}
	for _, fd := range []int{j.user, j.shm, j.mount} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	for _, n := range append(j.below, j.above...) {
		unix.Close(n.fd)
	}
	j.below, j.above, j.user, j.shm, j.mount = nil, nil, -1, -1, -1
}

// shareFiles makes the files of a network another name of the other's: one
// that was shared already can be shared on, and outlives whose it was.
func (p *plan) shareFiles(dir string, from *Info) error {
	for _, f := range []struct {
		path *string
		name string
	}{{&p.files.hosts, "hosts"}, {&p.files.resolv, "resolv.conf"}} {
		*f.path = path.Join(dir, f.name)
		_ = os.Remove(*f.path) // of an earlier run
		err := os.Link(path.Join(from.Dir, f.name), *f.path)
		if errors.Is(err, os.ErrNotExist) { // the image's is in use there
			*f.path = ""
			continue
		}
		if err != nil {
			return fmt.Errorf("sharing %s of container %s: %w", f.name, from.Name(), err)
		}
	}
	p.files.hostname = path.Join(dir, "hostname")
	return writeFile(p.files.hostname, []byte(p.o.Hostname+"\n"))
}

// hide lets no process look into our memory, which a child that is inside a
// container shares until it has executed the program (CVE-2016-9962,
// CVE-2019-5736).
func hide() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("closing our memory to others: %w", err)
	}
	return nil
}

// owns says whether the container has a namespace (CLONE_NEW*) of its own.
func (p *plan) owns(flag uintptr) bool { return p.join == nil || p.join.kinds&flag == 0 }

// sharesPIDs says whether the container's processes may outlive the first one.
func (p *plan) sharesPIDs() bool { return p.o.HostPID || !p.owns(unix.CLONE_NEWPID) }

// space is the mount namespace of a process: no two containers share theirs.
func space(pid int) string { return namespace(pid, "mnt") }

func namespace(pid int, kind string) string {
	name, _ := os.Readlink("/proc/" + strconv.Itoa(pid) + "/ns/" + kind)
	return name
}

// killSpace kills what is left in a container's mount namespace. The kernel does
// that for a pid namespace, where a container has one. When nothing is left the
// kernel gives the namespace's number to the next one, of another container
// perhaps: what is mounted tells whose it is.
func killSpace(name, id string) {
	for left := name != ""; left; {
		left = false
		entries, _ := os.ReadDir("/proc")
		for _, e := range entries {
			pid, err := strconv.Atoi(e.Name())
			if err != nil || space(pid) != name {
				continue
			}
			if state, start := processStart(pid); state != 'Z' && state != 'X' && start != 0 && mountsOf(pid, id) {
				left = Process{pid, start}.send(unix.SIGKILL) == nil || left
			}
		}
		if left {
			time.Sleep(time.Millisecond)
		}
	}
}

// mountsOf says whether a process sees something that is mounted from a
// container's directory (proc_pid_mountinfo(5)): its root file system, or its
// /etc/hostname.
func mountsOf(pid int, id string) bool {
	text, err := readFile("/proc/" + strconv.Itoa(pid) + "/mountinfo")
	return err == nil && strings.Contains(string(text), "/"+id+"/")
}
