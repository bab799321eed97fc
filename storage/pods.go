package storage

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNoPod says that no pod has the name or id asked for.
var ErrNoPod = errors.New("no such pod")

// ErrPodExists says that a pod's name is in use, by a pod or a container.
var ErrPodExists = errors.New("pod already exists")

// PodRecord is the file that says what a pod was made with. A directory with it
// is a pod.
const PodRecord = "pod.json"

// podsLink is where the name of a pod leads to, beside those of containers: no
// two of both have the same.
const podsLink = "../pods"

func (d Dirs) pods() string { return path.Join(d.Data, "pods") }

// CreatePod makes a pod's directory, with an empty root file system for what
// holds its namespaces. It is there as a whole or not at all.
func (d Dirs) CreatePod(id, name string, record []byte) (Entry, error) {
	e := Entry{ID: id, Dir: path.Join(d.pods(), id)}
	if err := checkName(name); err != nil || name == "" {
		return e, errors.Join(err, fmt.Errorf("creating pod %s: a name is needed", id))
	}
	d.healPods()
	making := e.Dir + deadSuffix
	err := os.MkdirAll(path.Join(making, "rootfs"), 0o700)
	if err == nil {
		err = writeLasting(path.Join(making, PodRecord), record)
	}
	if err != nil {
		return e, fmt.Errorf("creating pod %s: %w", name, err)
	}
	unlock, err := d.lockNames()
	if err == nil {
		if err = d.claimPodName(name, id); err == nil {
			err = os.Rename(making, e.Dir)
		}
		unlock()
	}
	if err != nil {
		_ = RemoveTree(unix.AT_FDCWD, making)
	}
	return e, err
}

// healPods removes what killed commands left. There is no lock to tell whether
// one is alive; none takes so long.
func (d Dirs) healPods() {
	entries, _ := os.ReadDir(d.pods())
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasSuffix(e.Name(), deadSuffix) && time.Since(info.ModTime()) > time.Hour {
			_ = RemoveTree(unix.AT_FDCWD, path.Join(d.pods(), e.Name()))
		}
	}
}

func (d Dirs) claimPodName(name, id string) error {
	file := path.Join(d.taken(), name)
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		_ = os.Remove(file)
	}
	err := os.Symlink(path.Join(podsLink, id), file)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("adding pod to state: name %q is in use: %w", name, ErrPodExists)
	}
	return err
}

// Pods lists the pods, in no order.
func (d Dirs) Pods() (list []Entry, err error) {
	entries, err := os.ReadDir(d.pods())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing pods: %w", err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), deadSuffix) {
			list = append(list, Entry{e.Name(), path.Join(d.pods(), e.Name())})
		}
	}
	return list, nil
}

// FindPod finds a pod by its name, its id or the beginning of its id.
func (d Dirs) FindPod(ref string) (Entry, error) {
	none := fmt.Errorf("no pod with name or ID %s found: %w", ref, ErrNoPod)
	if checkName(ref) != nil || ref == "" {
		return Entry{}, none
	}
	if target, err := os.Readlink(path.Join(d.taken(), ref)); err == nil {
		e := Entry{path.Base(target), path.Join(d.pods(), path.Base(target))}
		if path.Dir(target) != podsLink {
			if _, err := d.FindContainer(ref); err == nil {
				return Entry{}, fmt.Errorf("%s is a container, not a pod: %w", ref, ErrNoPod)
			}
		} else if _, err := os.Stat(e.Dir); err == nil {
			return e, nil
		}
	}
	list, err := d.Pods()
	if err != nil {
		return Entry{}, err
	}
	found := Entry{}
	for _, e := range list {
		switch {
		case e.ID == ref:
			return e, nil
		case !strings.HasPrefix(e.ID, ref):
		case found.ID != "":
			return Entry{}, fmt.Errorf("%s: more than one pod id begins so", ref)
		default:
			found = e
		}
	}
	if found.ID == "" {
		return Entry{}, none
	}
	return found, nil
}

// LockPod keeps a pod from being removed (shared), or from getting containers.
func (d Dirs) LockPod(e Entry, exclusive bool) (unlock func(), err error) {
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	file, err := lockDirectory(e.Dir, how)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("no pod with name or ID %s found: %w", e.ID, ErrNoPod)
	}
	if err != nil {
		return nil, fmt.Errorf("locking pod %s: %w", e.ID, err)
	}
	return func() { file.Close() }, nil
}

// RemovePod removes a pod that has no containers, and gives back its name. The
// caller has its lock. The files of other ids that it returns an error for are
// to be removed in the user namespace.
func (d Dirs) RemovePod(e Entry, name string) (left string, err error) {
	left, err = remove(e.Dir)
	d.freeName(name, e.ID)
	return left, err
}
