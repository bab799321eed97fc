package container

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	netconfig "containers/rl/netslirp/config"
	"containers/rl/storage"
	"containers/rl/userns"
)

// The files of a container's directory, beside its root file system. All are
// written under another name first, but for exitFile: who waits for the end
// opens it while the container runs, and reads it when the directory may be
// gone.
const (
	specFile  = "config.json" // the OCI specification of the last run
	stateFile = "state.json"  // State of the last run
	// joinFile: see there. The only one, with exitFile, of a container in the foreground that is removed at its end.
	exitFile = "exit.json" // Ended; empty while it runs
	logFile  = "log"       // what it wrote: see log.go
)

// Record is what a container was made with. It is written once, before the
// container can be seen, and on rename.
type Record struct {
	Created time.Time
	Image   string // as it was asked for
	ImageID string
	Command []string // the entrypoint's and the command's words
	Options Options

	CreateCommand []string `json:",omitempty"` // the words after rl that made it
}

// Process is a process that cannot be mistaken for a later one of its number.
type Process struct {
	PID   int
	Start uint64 // clock ticks after boot: field 22 of proc_pid_stat(5)
}

// State is written when a container's program is executed, or was prepared for.
type State struct {
	Prepared      bool `json:",omitempty"` // there was no run yet: see Initialize
	Init, Monitor Process
	Boot          string // random/boot_id of the kernel
	Started       time.Time
	Restarts      int     // by the policy, since someone started it
	Space         string  `json:",omitempty"` // the mount namespace, by which its processes are found where they share their numbers
	Notice        string  `json:",omitempty"`
	Address       [4]byte `json:",omitzero"`  // in the network that it shares
	Cgroup        string  `json:",omitempty"` // its directory, when it has one of its own
}

// Ended is how a run of a container ended.
type Ended struct {
	Code     int
	Finished time.Time
	Error    string `json:",omitempty"` // of rl itself
	Again    bool   `json:",omitempty"` // the restart policy wants another run
	OOM      bool   `json:",omitempty"` // the kernel killed some of it for its memory
}

// Status is docker's word for what a container does.
type Status string

// The states of a container (runtime-spec, and docker's words for them).
const (
	StatusCreated     Status = "created"
	StatusInitialized Status = "initialized" // could be started when it was looked at: see Initialize
	StatusRunning     Status = "running"
	StatusPaused      Status = "paused"
	StatusRestarting  Status = "restarting" // waiting for the next run
	StatusExited      Status = "exited"
)

// Info is all that is known of a container. Nothing was locked to learn it.
type Info struct {
	storage.Entry
	Record
	State  State
	Ended  Ended
	Status Status

	spec *specs.Spec // known already, and with it
	ids  userns.Map  // those of the container
}

// Killed is the code of a container whose rl was killed: the kernel then kills
// the container (PR_SET_PDEATHSIG), and nobody is left to be told its status.
const Killed = 128 + int(unix.SIGKILL)

// Find gives what is known of a container by its name, id or beginning of id.
func Find(d storage.Dirs, ref string) (*Info, error) {
	entry, err := d.FindContainer(ref)
	if err != nil {
		return nil, err
	}
	return named(entry, ref)
}

// named looks at a container that was found by a name or an id. A name that is
// not the container's leads to it when a rename was killed.
func named(e storage.Entry, ref string) (*Info, error) {
	info, err := look(e)
	err = broken(e, false, err)
	if err == nil && info.Options.Name != ref && !strings.HasPrefix(info.ID, ref) {
		err = os.ErrNotExist
	}
	if err != nil {
		return nil, gone(err, ref)
	}
	return info, nil
}

// gone is the error for a container that was removed meanwhile.
func gone(err error, ref string) error {
	if errors.Is(err, os.ErrNotExist) {
		return storage.NoContainer(ref)
	}
	return err
}

// List gives all containers that can be read, and an error for the others. One
// that is removed meanwhile is left out, and one that is just being made.
func List(d storage.Dirs) ([]*Info, error) {
	entries, err := d.Containers()
	if err != nil {
		return nil, err
	}
	return ListOf(d, entries, time.Now())
}

// ListOf gives those that were found already. What it keeps of them for later
// is what was settled by now.
func ListOf(d storage.Dirs, entries []storage.Entry, now time.Time) ([]*Info, error) {
	found, errs := make([]*Info, len(entries)), make([]error, len(entries))
	known := openListing(d, len(entries), now)
	var next atomic.Int64
	work := func() {
		for n := int(next.Add(1)) - 1; n < len(entries); n = int(next.Add(1)) - 1 {
			found[n], errs[n] = known.look(n, entries[n])
		}
	}
	var others sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0)-1, len(entries)/worthHelp) {
		others.Go(work)
	}
	work()
	others.Wait()
	known.close(entries, found)
	list, failed := found[:0], []error(nil)
	for n, info := range found {
		if errs[n] == nil {
			list = append(list, info)
		} else if !errors.Is(errs[n], os.ErrNotExist) {
			failed = append(failed, broken(entries[n], false, errs[n]))
		}
	}
	return list, errors.Join(failed...)
}

// worthHelp is the number of containers for which another thread is worth its start.
const worthHelp = 50

// look reads the state first, and then the exit, as they are written. While a
// container is removed its files go one by one, but the name of its directory
// before them: what is found missing was so only if that is still there. One
// that was settled since it was found is at its new place.
func look(e storage.Entry) (*Info, error) {
	info, err := lookAt(e)
	if errors.Is(err, os.ErrNotExist) && e.Transient() {
		return lookAt(e.Settled())
	}
	return info, err
}

func lookAt(e storage.Entry) (*Info, error) {
	info := &Info{Entry: e, Status: StatusCreated}
	err := load(e.Dir, storage.RecordFile, &info.Record)
	if errors.Is(err, os.ErrNotExist) {
		return lookJoin(e)
	}
	if errors.Is(err, errEmpty) {
		err = fmt.Errorf("reading %s: %w", storage.RecordFile, err)
	}
	if err != nil {
		return nil, err
	}
	if info.Options.Slirp.MTU == 0 {
		info.Options.Slirp = netconfig.Default()
	}
	err = load(e.Dir, stateFile, &info.State)
	missing := errors.Is(err, os.ErrNotExist)
	if err == nil || errors.Is(err, errEmpty) { // an empty one is what a power cut leaves: of an earlier boot
		missing, err = info.judge()
	}
	if missing {
		err = unix.Access(e.Dir, unix.F_OK)
	}
	if err != nil {
		return nil, err
	}
	return info, nil
}

// judge finds the status by what is known of the processes, and the exit.
// missing: there is no file of the exit.
func (i *Info) judge() (missing bool, err error) {
	now := i.State.Boot == bootID()
	if now && i.State.Prepared {
		i.Status = StatusInitialized
		return false, nil
	}
	running := now && (i.State.Init.alive() || i.State.Monitor.alive())
	err = load(i.Dir, exitFile, &i.Ended)
	missing = errors.Is(err, os.ErrNotExist)
	none := missing || errors.Is(err, errEmpty)
	switch {
	case err == nil && i.Ended.Again && running:
		i.Status = StatusRestarting
	case err == nil:
		i.Status = StatusExited
	case none && running:
		i.Status = StatusRunning
		if state, _ := processStart(i.State.Init.PID); i.stands(state) {
			i.Status = StatusPaused
		}
	case missing && i.State.Prepared: // in an earlier boot: it is what it was before
	case none:
		Unlimit(i.Dir)
		i.Status, i.Ended = StatusExited, Ended{Code: Killed, Error: "rl was killed"}
	default:
		return missing, err
	}
	return missing, nil
}

// Spec is the specification of the last run, or of the next one; os.ErrNotExist when it never ran.
func (i *Info) Spec() (*specs.Spec, error) {
	if i.spec != nil {
		return i.spec, nil
	}
	spec := &specs.Spec{}
	return spec, load(i.Dir, specFile, spec)
}

// Known says whether Exec needs nothing of the host but its directories.
func (i *Info) Known() bool { return i.spec != nil }

// Running says whether its program runs, or would if it were not paused.
func (i *Info) Running() bool { return i.Status == StatusRunning || i.Status == StatusPaused }

// Started says whether it has run, or does.
func (i *Info) Started() bool { return i.Status != StatusCreated && i.Status != StatusInitialized }

// Name is the container's name, or its short id when it has none.
func (i *Info) Name() string { return first(i.Options.Name, i.ID[:12]) }

var errEmpty = errors.New("empty file")

// buffers are for reading: a list reads a file after the other.
var buffers = sync.Pool{New: func() any { return new([16 << 10]byte) }}

func load(dir, name string, into any) error {
	fd, err := unix.Open(dir+"/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) {
		return err // often, so not a word more
	}
	if err == nil {
		err = loadFrom(fd, into)
		unix.Close(fd)
	}
	if err != nil && !errors.Is(err, errEmpty) {
		return fmt.Errorf("reading %s of container %s: %w", name, path.Base(dir), err)
	}
	return err
}

func loadFrom(fd int, into any) error {
	buffer := buffers.Get().(*[16 << 10]byte)
	defer buffers.Put(buffer)
	n, err := unix.Read(fd, buffer[:])
	if err != nil {
		return err
	}
	text := buffer[:n]
	if n == len(buffer) { // more than a usual one
		rest, err := readAll(fd, maxAccounts)
		if err != nil {
			return err
		}
		text = append(append([]byte{}, text...), rest...)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return errEmpty
	}
	return json.Unmarshal(text, into)
}

func decode(text []byte, into any) error { return json.Unmarshal(text, into) }

func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // our own types
	}
	return append(text, '\n')
}

// bootID tells this boot from others: numbers of processes begin anew.
func bootID() string {
	boot.Do(func() {
		text, _ := readFile("/proc/sys/kernel/random/boot_id")
		boot.id = strings.TrimSpace(string(text))
	})
	return boot.id
}

var boot struct {
	sync.Once
	id string
}

// process gives the process of a number, which must be alive.
func process(pid int) Process {
	_, start := processStart(pid)
	return Process{pid, start}
}

func (p Process) alive() bool {
	if p.PID <= 0 {
		return false
	}
	return p.is(processStart(p.PID))
}

// ending: the first process of a pid namespace has no root any more, nor any
// namespace, while it waits for the others to be reaped; it is no zombie yet.
func (p Process) ending() bool {
	return errors.Is(unix.Access("/proc/"+strconv.Itoa(p.PID)+"/root", unix.F_OK), unix.ENOENT)
}

// is says whether a process of our number is us, and alive.
func (p Process) is(state byte, start uint64) bool {
	return start == p.Start && start != 0 && state != 'Z' && state != 'X'
}

// processStart reads the state and the start time.
func processStart(pid int) (state byte, start uint64) {
	fields := statFields(pid)
	if fields == nil {
		return 0, 0
	}
	start, _ = strconv.ParseUint(fields[19], 10, 64)
	return fields[0][0], start
}

// statFields are those of proc_pid_stat(5) from the third on, or nil when there
// is no such process. The second, the name of the program, may hold anything
// and ends with the last parenthesis.
func statFields(pid int) []string {
	text, err := readFile("/proc/" + strconv.Itoa(pid) + "/stat")
	at := bytes.LastIndexByte(text, ')')
	if err != nil || at < 0 {
		return nil
	}
	fields := strings.Fields(string(text[at+1:]))
	if len(fields) < 20 {
		return nil
	}
	return fields
}

// pidfd opens a process and makes sure that it is still the same.
func (p Process) pidfd() (int, error) {
	fd, _, err := p.open()
	return fd, err
}

// open is pidfd with the state that the process was in.
func (p Process) open() (fd int, state byte, err error) {
	if fd, err = unix.PidfdOpen(p.PID, 0); err != nil {
		return -1, 0, err
	}
	state, start := processStart(p.PID)
	if !p.is(state, start) {
		unix.Close(fd)
		return -1, 0, unix.ESRCH
	}
	return fd, state, nil
}
