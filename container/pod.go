package container

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"containers/rl/storage"
)

// Membership is a container's part in a pod.
type Membership struct {
	ID, Name string // the pod's
	Infra    bool   `json:",omitzero"` // it holds the pod's namespaces
	Pause    bool   `json:",omitzero"` // its program is ours, and waits
	Ends     bool   `json:",omitzero"` // the pod ends with the last of its other containers
}

// pauses says whether the program is the pause of a pod.
func (o *Options) pauses() bool { return o.Pod != nil && o.Pod.Pause }

// PodRecord is what a pod was made with. Its namespaces are those of its infra
// container, which is one like others; a pod without has none.
type PodRecord struct {
	ID, Name   string
	Created    time.Time
	Command    []string          // the command line that made it
	Hostname   string            `json:",omitzero"`
	Labels     map[string]string `json:",omitzero"`
	Share      []string          `json:",omitzero"` // cgroup, ipc, net, pid, uts
	ExitPolicy string
	Infra      bool
	PIDFile    string `json:",omitzero"` // gets the number of the infra container's monitor
}

// Pod is all that is known of a pod.
type Pod struct {
	PodRecord
	Dir        string
	Containers []*Info // the oldest first
}

// The states of a pod (podman-pod-ps(1)).
const (
	PodCreated  = "Created"
	PodRunning  = "Running"
	PodDegraded = "Degraded" // some run, others do not
	PodPaused   = "Paused"
	PodStopped  = "Stopped" // none runs, some were never started
	PodExited   = "Exited"
)

// ExitStop is the exit policy of a pod that ends with its last container.
const ExitStop = "stop"

// CreatePod makes a pod without containers.
func CreatePod(d storage.Dirs, r PodRecord) (*Pod, error) {
	entry, err := d.CreatePod(r.ID, r.Name, encode(r))
	if err != nil {
		return nil, err
	}
	p := &Pod{PodRecord: r, Dir: entry.Dir}
	p.Emit(d, "create")
	return p, nil
}

// Emit records an event of a pod.
func (p *Pod) Emit(d storage.Dirs, status string) {
	emit(d, Event{Time: time.Now(), Type: "pod", Status: status, ID: p.ID, Name: p.Name})
}

// FindPod gives what is known of a pod by its name, id or beginning of id.
func FindPod(d storage.Dirs, ref string) (*Pod, error) {
	entry, err := d.FindPod(ref)
	if err != nil {
		return nil, err
	}
	list, err := fill(d, []storage.Entry{entry})
	if err == nil && len(list) == 0 {
		return FindPod(d, ref) // removed between; it will not be found
	}
	if len(list) == 0 || err != nil && len(AllBroken(err)) == 0 {
		return nil, err
	}
	return list[0], nil // with the containers that can be read
}

// Pods gives all pods that can be read, the newest first, and an error for what
// cannot.
func Pods(d storage.Dirs) ([]*Pod, error) {
	entries, err := d.Pods()
	if err != nil {
		return nil, err
	}
	list, err := fill(d, entries)
	slices.SortFunc(list, func(a, b *Pod) int { return b.Created.Compare(a.Created) })
	return list, err
}

// fill reads the records, and then the containers of all.
func fill(d storage.Dirs, entries []storage.Entry) (list []*Pod, err error) {
	byID := map[string]*Pod{}
	var failed []error
	for _, e := range entries {
		p := &Pod{Dir: e.Dir}
		err := load(e.Dir, storage.PodRecord, &p.PodRecord)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if errors.Is(err, errEmpty) {
			err = fmt.Errorf("reading %s: %w", storage.PodRecord, err)
		}
		if err != nil {
			failed = append(failed, broken(e, true, err))
			continue
		}
		byID[e.ID] = p
		list = append(list, p)
	}
	if len(list) == 0 {
		return nil, errors.Join(failed...)
	}
	all, err := List(d)
	if err != nil {
		failed = append(failed, err)
	}
	for _, i := range all {
		if m := i.Options.Pod; m != nil && byID[m.ID] != nil {
			byID[m.ID].Containers = append(byID[m.ID].Containers, i)
		}
	}
	for _, p := range list {
		slices.SortFunc(p.Containers, func(a, b *Info) int { return a.Created.Compare(b.Created) })
	}
	return list, errors.Join(failed...)
}

// Entry is the pod's directory.
func (p *Pod) Entry() storage.Entry { return storage.Entry{ID: p.ID, Dir: p.Dir} }

// InfraContainer is the one that has the namespaces, or nil.
func (p *Pod) InfraContainer() *Info {
	for _, i := range p.Containers {
		if i.Options.Pod.Infra {
			return i
		}
	}
	return nil
}

// State is the pod's, from those of its containers.
func (p *Pod) State() string {
	count := map[Status]int{}
	for _, i := range p.Containers {
		count[i.Status]++
	}
	all := len(p.Containers)
	running, exited := count[StatusRunning]+count[StatusRestarting], count[StatusExited]
	switch {
	case all == 0:
		return PodCreated
	case running == all:
		return PodRunning
	case running > 0:
		return PodDegraded
	case count[StatusPaused] == all:
		return PodPaused
	case exited == all:
		return PodExited
	case exited > 0:
		return PodStopped
	}
	return PodCreated
}

// Joins are the namespaces of the pod that a container of it is in; nil: none.
func (p *Pod) Joins() *Joins {
	infra := p.InfraContainer()
	if infra == nil || len(p.Share) == 0 {
		return nil
	}
	j := &Joins{User: "container:" + infra.ID}
	for _, one := range j.All() {
		if slices.Contains(p.Share, one.Kind) {
			*one.To = j.User
		}
	}
	return j
}

// endPod ends the pod with the last of its containers, where it wants that.
// They have all said how they ended before they look, so one of two that end
// at once finds no other.
func endPod(d storage.Dirs, o *Options) {
	if o.Pod == nil || !o.Pod.Ends || o.Pod.Infra {
		return
	}
	p, err := FindPod(d, o.Pod.ID)
	if err != nil {
		return
	}
	for _, i := range p.Containers {
		if !i.Options.Pod.Infra && i.ID != o.ID && (i.Running() || i.Status == StatusRestarting) {
			return
		}
	}
	if infra := p.InfraContainer(); infra != nil && infra.Running() {
		_ = infra.Stop(unix.SIGTERM, patience)
	}
}

// RemovePod removes a pod that has no containers any more.
func RemovePod(h Host, p *Pod) error {
	left, err := h.Dirs.RemovePod(p.Entry(), p.Name)
	if errors.Is(err, os.ErrPermission) && strings.HasPrefix(left, h.Dirs.Data) {
		err = RemoveMapped(h.IDs, left)
	}
	if err == nil {
		p.Emit(h.Dirs, "remove")
	}
	return err
}
