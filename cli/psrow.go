package cli

import (
	"fmt"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"containers/rl/container"
)

// psRow is a container as ps shows it.
type psRow struct {
	info *container.Info
	long bool
	size *sizes // nil: not asked for
	seen exposer
}

// psColumns are what a template of --format can name (podman-ps(1),
// docker-ps(1)), with the heads that podman gives them.
var psColumns = map[string]column[psRow]{
	"ID": {"CONTAINER ID", func(r psRow) any { return r.id(r.info.ID) }}, "Names": {"NAMES", func(r psRow) any { return r.info.Name() }},
	"Image": {"IMAGE", func(r psRow) any { return r.info.Image }}, "ImageID": {"IMAGE ID", func(r psRow) any { return r.id(r.info.ImageID) }},
	"Command": {"COMMAND", func(r psRow) any { return r.command() }}, "CreatedAt": {"CREATED AT", func(r psRow) any { return r.info.Created.Local().String() }},
	"Created": {"CREATED", func(r psRow) any { return r.info.Created.Local() }}, "CreatedHuman": {"CREATED", psRow.age}, "RunningFor": {"RUNNING FOR", psRow.age},
	"Status": {"STATUS", func(r psRow) any { return r.status() }}, "State": {"STATE", func(r psRow) any { return string(r.info.Status) }},
	"Ports": {"PORTS", func(r psRow) any { return portsText(r.info, r.seen.of(r.info)) }}, "Labels": {"LABELS", func(r psRow) any { return r.labels() }},
	"Size": {"SIZE", psRow.sized}, "Pid": {"PID", func(r psRow) any { return r.pid() }}, "PID": {"PID", func(r psRow) any { return r.pid() }},
	"ExitCode": {"EXIT CODE", func(r psRow) any { return r.info.Ended.Code }}, "Exited": {"EXITED", func(r psRow) any { return r.exited() }},
	"ExitedAt":  {"EXITED AT", func(r psRow) any { return unixOr(r.info.Ended.Finished) }},
	"StartedAt": {"STARTED AT", func(r psRow) any { return unixOr(r.info.State.Started) }}, "AutoRemove": {"AUTO REMOVE", func(r psRow) any { return r.info.Options.Remove }},
	"Mounts": {"MOUNTS", func(r psRow) any { return strings.Join(r.mounts(), ",") }}, "Networks": {"NETWORKS", func(r psRow) any { return strings.Join(networksOf(r.info), ",") }},
	"LocalVolumes": {"LOCAL VOLUMES", func(r psRow) any { return r.volumes() }}, "Restarts": {"RESTARTS", func(r psRow) any { return r.info.State.Restarts }},
	"IsInfra": {"IS INFRA", func(r psRow) any { return infra(r.info) }}, "Pod": {"POD ID", func(r psRow) any { id, _ := podOf(r.info); return r.id(id) }},
	"PodName": {"PODNAME", func(r psRow) any { _, name := podOf(r.info); return name }}, "Namespaces": {"NAMESPACES", func(r psRow) any { return r.namespaces() }},
	"Cgroup": {"CGROUPNS", func(r psRow) any { return r.namespace("cgroup") }}, "CGROUPNS": {"CGROUPNS", func(r psRow) any { return r.namespace("cgroup") }},
	"IPC": {"IPC", func(r psRow) any { return r.namespace("ipc") }}, "MNT": {"MNT", func(r psRow) any { return r.namespace("mnt") }},
	"NET": {"NET", func(r psRow) any { return r.namespace("net") }}, "PIDNS": {"PIDNS", func(r psRow) any { return r.namespace("pid") }},
	"USERNS": {"USERNS", func(r psRow) any { return r.namespace("user") }}, "UTS": {"UTS", func(r psRow) any { return r.namespace("uts") }},
}

const (
	psTable   = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.CreatedHuman}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"
	psNSTable = "{{.ID}}\t{{.Names}}\t{{.Pid}}\t{{.CGROUPNS}}\t{{.IPC}}\t{{.MNT}}\t{{.NET}}\t{{.PIDNS}}\t{{.USERNS}}\t{{.UTS}}"
)

func (r psRow) id(id string) string {
	if r.long {
		return id
	}
	return short(id)
}

func (r psRow) command() string {
	text := strings.Join(r.info.Command, " ")
	if !r.long && len(text) > 20 {
		return text[:17] + "..."
	}
	return text
}

func (r psRow) age() any     { return ago(r.info.Created) }
func (r psRow) exited() bool { return r.info.Status == container.StatusExited }

func (r psRow) pid() int {
	if !r.info.Running() {
		return 0
	}
	return r.info.State.Init.PID
}

func (r psRow) sized() any {
	if r.size == nil {
		return ""
	}
	return r.size.String()
}

func (r psRow) labels() string {
	var list []string
	for name, value := range r.info.Options.Labels {
		list = append(list, name+"="+value)
	}
	sort.Strings(list)
	return strings.Join(list, ",")
}

// mounts are the places in the container, as podman shows them.
func (r psRow) mounts() []string {
	list := []string{}
	for _, m := range inspectMounts(r.info) {
		list = append(list, m.Destination)
	}
	return list
}

func (r psRow) volumes() (number int) {
	for _, m := range inspectMounts(r.info) {
		if m.Type == "volume" {
			number++
		}
	}
	return number
}

// namespace is the number of one, as in namespaces(7); "" of what does not run.
func (r psRow) namespace(kind string) string {
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", r.pid(), kind))
	_, number, ok := strings.Cut(link, ":[")
	if err != nil || !ok {
		return ""
	}
	return strings.TrimSuffix(number, "]")
}

// psNamespaces has podman's names of them.
type psNamespaces struct {
	Cgroup string `json:"Cgroup,omitempty"`
	IPC    string `json:"Ipc,omitempty"`
	MNT    string `json:"Mnt,omitempty"`
	NET    string `json:"Net,omitempty"`
	PIDNS  string `json:"Pidns,omitempty"`
	UTS    string `json:"Uts,omitempty"`
	User   string `json:"User,omitempty"`
}

func (r psRow) namespaces() psNamespaces {
	return psNamespaces{r.namespace("cgroup"), r.namespace("ipc"), r.namespace("mnt"), r.namespace("net"), r.namespace("pid"), r.namespace("uts"), r.namespace("user")}
}

// status is docker's column.
func (r psRow) status() string {
	i := r.info
	health := ""
	if i.Options.Health.Checked() && i.Started() {
		health = " (" + i.Health().Status + ")"
	}
	switch i.Status {
	case container.StatusPaused:
		return "Up " + duration(time.Since(i.State.Started)) + health + " (Paused)"
	case container.StatusRunning:
		return "Up " + duration(time.Since(i.State.Started)) + health
	case container.StatusRestarting:
		return fmt.Sprintf("Restarting (%d) %s", i.Ended.Code, ago(i.Ended.Finished))
	case container.StatusExited:
		if i.Ended.Finished.IsZero() {
			return fmt.Sprintf("Exited (%d)", i.Ended.Code) + health
		}
		return "Exited (" + strconv.Itoa(i.Ended.Code) + ") " + ago(i.Ended.Finished) + health
	}
	return strings.ToUpper(string(i.Status[:1])) + string(i.Status[1:])
}

// psJSON is a container as `ps --format json` shows it: podman's field names.
type psJSON struct {
	AutoRemove bool
	Command    []string
	CreatedAt  string
	Exited     bool
	ExitedAt   int64
	ExitCode   int
	ID         string `json:"Id"`
	Image      string
	ImageID    string
	IsInfra    bool
	Labels     map[string]string
	Mounts     []string
	Names      []string
	Namespaces psNamespaces
	Networks   []string
	Pid        int
	Pod        string
	PodName    string
	Ports      []portJSON
	Restarts   int
	Size       *sizes
	StartedAt  int64
	State      string
	Status     string
	Created    int64
}

func (r psRow) json(namespaces bool) psJSON {
	i := r.info
	row := psJSON{AutoRemove: i.Options.Remove, Command: i.Command, CreatedAt: ago(i.Created), Exited: r.exited(), ExitedAt: unixOr(i.Ended.Finished),
		ExitCode: i.Ended.Code, ID: i.ID, Image: i.Image, ImageID: i.ImageID, IsInfra: infra(i), Labels: i.Options.Labels, Mounts: r.mounts(), Names: []string{i.Name()},
		Networks: networksOf(i), Pid: r.pid(), Ports: portsJSON(i), Restarts: i.State.Restarts, Size: r.size, StartedAt: unixOr(i.State.Started), State: string(i.Status),
		Status: r.status(), Created: i.Created.Unix()}
	row.Pod, row.PodName = podOf(i)
	if namespaces {
		row.Namespaces = r.namespaces()
	}
	return row
}

// unixOr: the zero time is podman's least.
func unixOr(t time.Time) int64 {
	if t.IsZero() {
		return -62135596800
	}
	return t.Unix()
}

// psKeys are what --sort takes; nil is the time of creation.
var psKeys = map[string]func(a, b psRow) int{
	"command": func(a, b psRow) int {
		return strings.Compare(strings.Join(a.info.Command, " "), strings.Join(b.info.Command, " "))
	},
	"created": psRow.older, "runningfor": psRow.older,
	"id":     func(a, b psRow) int { return strings.Compare(a.info.ID, b.info.ID) },
	"image":  func(a, b psRow) int { return strings.Compare(a.info.Image, b.info.Image) },
	"names":  func(a, b psRow) int { return strings.Compare(a.info.Name(), b.info.Name()) },
	"size":   func(a, b psRow) int { return int(min(1, max(-1, a.size.Root-b.size.Root))) },
	"status": func(a, b psRow) int { return strings.Compare(string(a.info.Status), string(b.info.Status)) },
}

func (r psRow) older(other psRow) int { return r.info.Created.Compare(other.info.Created) }

func psSort(rows []psRow, order string) error {
	compare, ok := psKeys[order]
	if !ok {
		return fmt.Errorf(`invalid argument %q for "--sort" flag: %[1]q is not a valid value.  Choose from: "command, created, id, image, names, runningfor, size, status"`, order)
	}
	slices.SortStableFunc(rows, compare)
	return nil
}
