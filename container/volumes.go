package container

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"containers/rl/storage"
	"containers/rl/userns"
)

// The types of a mount of Options that the specification does not have; see
// resolve. Source is a volume's name, "" for one of its own; or an image.
const (
	TypeVolume = "volume"
	TypeImage  = "image"
)

// What Options.ImageVolumes may be beside "", which is podman's bind.
const (
	ImageVolumesTmpfs  = "tmpfs"
	ImageVolumesIgnore = "ignore"
)

// LocalDriver is the one that there is.
const LocalDriver = "local"

// ErrDriver says so.
var ErrDriver = errors.New("there is no volume driver but local")

// CheckVolumeName accepts what can be a volume's name.
func CheckVolumeName(name string) error { return storage.CheckVolumeName(name) }

// RoleFill is the name under which our binary starts again to fill new volumes
// and to change owners. Its argument is a Fill.
const RoleFill = "rl-fill"

// Fill is what it is to do, as root of the container's user namespace.
type Fill struct {
	Layers   []string // of the image, topmost first; or
	Flat     bool     // no overlay can be mounted of them
	Rootfs   string
	Scratch  string // a directory of ours to mount on
	SingleID bool
	Places   []FillPlace
}

// FillPlace is one directory. It answers with a byte, in turn: FillEmpty or
// FillDone.
type FillPlace struct {
	Data     string // on the host
	Path     string // in the container
	Copy     bool   // what the image has at Path
	Chown    bool   // as the image's directory, or UID and GID where it has none
	Tree     bool   // give all of it to UID and GID, whatever the image has
	Own      bool   // give Data itself to UID and GID, which are not the user's
	UID, GID uint32
}

// The answers.
const (
	FillEmpty byte = 'e'
	FillDone  byte = 'd'
)

// openVolumes holds all volumes that a container has, makes those that are
// missing, and fills the new ones. It comes before the container's own
// directory: what is made here for a container that then fails is removed by
// dropVolumes, and a --rm container's by the next command if we are killed.
func (o *Options) openVolumes(h Host, made bool) error {
	if !made {
		o.imageVolumes()
	}
	for n := range o.Mounts {
		if m := &o.Mounts[n]; m.Type == TypeVolume {
			if err := o.openVolume(h, m, made); err != nil {
				return err
			}
		}
	}
	places, fillings, err := o.places()
	if err == nil && len(places) > 0 {
		err = o.fill(h, places, fillings)
	}
	for _, f := range fillings {
		if f != nil {
			f.Close()
		}
	}
	return err
}

// imageVolumes adds those that the image declares, where nothing is mounted.
func (o *Options) imageVolumes() {
	if o.Image == nil || len(o.Image.Settings.Volumes) == 0 || o.ImageVolumes == ImageVolumesIgnore {
		return
	}
	o.Mounts = slices.Clone(o.Mounts)
	for _, name := range o.Image.Settings.Volumes {
		name = path.Clean("/" + name)
		if name == "/" || slices.ContainsFunc(o.Mounts, func(m specs.Mount) bool { return m.Destination == name }) {
			continue
		}
		m := specs.Mount{Type: TypeVolume, Destination: name}
		if o.ImageVolumes == ImageVolumesTmpfs {
			m = specs.Mount{Type: "tmpfs", Source: "tmpfs", Destination: name, Options: []string{"nosuid", "nodev", "rw", CopyUp}}
		}
		o.Mounts = append(o.Mounts, m)
	}
}

// openVolume finds or makes the volume of a mount.
func (o *Options) openVolume(h Host, m *specs.Mount, made bool) error {
	if m.Source != "" {
		v, err := h.Dirs.HoldVolume(m.Source)
		if err == nil {
			o.volumes = append(o.volumes, v)
		}
		if made || !errors.Is(err, storage.ErrNoVolume) {
			return err
		}
	}
	v := storage.Volume{Name: m.Source, Driver: LocalDriver}
	m.Options = slices.DeleteFunc(slices.Clone(m.Options), func(option string) bool {
		if label, ok := strings.CutPrefix(option, "volume-label="); ok {
			v.Labels = append(v.Labels, label)
			return true
		}
		opt, ok := strings.CutPrefix(option, "volume-opt=")
		if ok {
			v.Options = append(v.Options, opt)
		}
		return ok
	})
	if m.Source == "" {
		if err := o.anonymous(h, &v); err != nil {
			return err
		}
	}
	if err := CheckVolumeOwner(h, &v); err != nil {
		return err
	}
	volume, err := h.Dirs.CreateVolume(v)
	if err == nil {
		if hasOwner(volume) {
			o.ownedVolumes = append(o.ownedVolumes, v.Name)
		}
		emit(h.Dirs, volumeEvent("create", v.Name))
	} else if errors.Is(err, storage.ErrVolumeExists) { // another was faster
		volume, err = h.Dirs.HoldVolume(v.Name)
	}
	if err != nil {
		return err
	}
	m.Source = v.Name
	o.volumes = append(o.volumes, volume)
	return nil
}

func (o *Options) anonymous(h Host, v *storage.Volume) error {
	id := make([]byte, 32)
	if _, err := unix.Getrandom(id, 0); err != nil {
		return fmt.Errorf("making a volume's name: %w", err)
	}
	v.Name, v.Anonymous = hex.EncodeToString(id), true
	o.anonymousVolumes = append(o.anonymousVolumes, v.Name)
	if o.Remove {
		v.Owner = o.ID
		_ = RemoveMapped(h.IDs, h.Dirs.SweepVolumes()...) // who makes such volumes clears away those of the dead
	}
	return nil
}

// closeVolumes lets go of them.
func (o *Options) closeVolumes() {
	for _, v := range o.volumes {
		v.Close()
	}
	o.volumes, o.anonymousVolumes, o.ownedVolumes = nil, nil, nil
}

// dropVolumes lets go of them, and removes those that go with the container:
// all of a container that was removed, or what was made for one that failed.
func (o *Options) dropVolumes(h Host, removed bool) error {
	names := o.anonymousVolumes
	if removed {
		names = anonymousOf(h.Dirs, o) // one that was left to another process holds none
	}
	o.closeVolumes()
	return removeVolumes(h, names, o.ID)
}

// removeVolumes leaves those alone that another container has.
func removeVolumes(h Host, names []string, except string) error {
	var failed []error
	for _, name := range names {
		err := RemoveVolume(h, name, except)
		if err != nil && !errors.Is(err, storage.ErrVolumeInUse) && !errors.Is(err, storage.ErrNoVolume) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// RemoveVolume removes a volume that no container has, but for except.
func RemoveVolume(h Host, name, except string) error {
	left, err := h.Dirs.RemoveVolume(name, func() error {
		used, err := VolumeUsers(h.Dirs)
		if err != nil {
			return err
		}
		users := slices.DeleteFunc(used[name], func(id string) bool { return id == except })
		if len(users) > 0 {
			return fmt.Errorf("volume %s is being used by the following container(s): %s: %w", name, strings.Join(users, ", "), storage.ErrVolumeInUse)
		}
		return nil
	})
	if err != nil {
		return err
	}
	emit(h.Dirs, volumeEvent("remove", name))
	if left == "" {
		return nil
	}
	return RemoveMapped(h.IDs, left)
}

func volumeEvent(status, name string) Event {
	return Event{Time: time.Now(), Type: "volume", Status: status, Name: name}
}

// VolumeUsers gives the ids of the containers that have each volume.
func VolumeUsers(d storage.Dirs) (map[string][]string, error) {
	list, err := List(d)
	users := map[string][]string{}
	for _, i := range list {
		for _, name := range i.Volumes() {
			users[name] = append(users[name], i.ID)
		}
	}
	return users, err
}

// Volumes are the names of the container's volumes.
func (i *Info) Volumes() (names []string) {
	for _, m := range i.Options.Mounts {
		if m.Type == TypeVolume && !slices.Contains(names, m.Source) {
			names = append(names, m.Source)
		}
	}
	return names
}

// VolumeData is where the files of one of the container's volumes are.
func (i *Info) VolumeData(name string) string {
	return storage.Dirs{Data: path.Dir(path.Dir(i.Dir))}.VolumeData(name)
}

// RemoveVolumes removes the anonymous volumes of a container that was removed.
func (i *Info) RemoveVolumes(h Host) error {
	return removeVolumes(h, anonymousOf(h.Dirs, &i.Options), i.ID)
}

func anonymousOf(d storage.Dirs, o *Options) (names []string) {
	for _, m := range o.Mounts {
		if m.Type != TypeVolume {
			continue
		}
		if v, err := d.FindVolume(m.Source); err == nil && v.Name == m.Source && v.Anonymous {
			names = append(names, v.Name)
		}
	}
	return names
}

// places are the directories that have to be filled or given to someone. The
// volumes are in the order of their names: that is how all take the locks.
func (o *Options) places() (places []FillPlace, fillings []*storage.Filling, err error) {
	mounts := slices.Clone(o.Mounts)
	slices.SortStableFunc(mounts, func(a, b specs.Mount) int { return strings.Compare(a.Source, b.Source) })
	owned := map[string]bool{}
	filled := map[string]bool{} // a volume in two places is filled for the first: its lock is taken once
	for _, m := range mounts {
		place := FillPlace{Data: m.Source, Path: m.Destination, Tree: slices.Contains(m.Options, "U") && (m.Type == TypeVolume || m.Type == "bind") &&
			!slices.Contains(m.Options, "O")} // of an overlay the user gets the root; the files below are the host's
		var filling *storage.Filling
		if m.Type == TypeVolume {
			v := o.volume(m.Source)
			mounted, err := volumeMount(v, m)
			if err != nil || mounted.Type != "bind" {
				continue // it is made for each start
			}
			place.Data = mounted.Source
			if place.Data == v.Data() && !slices.Contains(m.Options, "nocopy") && !hasOption(v, "nocopy") && !hasSubpath(m) && !filled[v.Name] { // a part is no place for what the image has
				if filling, err = v.Filling(); err != nil {
					return places, fillings, fmt.Errorf("filling volume %s: %w", v.Name, err)
				}
				filled[v.Name] = true
			}
			if slices.Contains(o.ownedVolumes, v.Name) && !owned[v.Name] {
				uid, gid := VolumeOwner(v)
				places, fillings = append(places, FillPlace{Data: place.Data, Path: place.Path, Own: true, UID: uint32(uid), GID: uint32(gid)}), append(fillings, nil)
				owned[v.Name] = true
			}
			place.Copy, place.Chown = filling != nil, filling != nil && !filling.Owned && !hasOwner(v)
		}
		if place.Copy || place.Tree {
			places, fillings = append(places, place), append(fillings, filling)
		}
	}
	return places, fillings, nil
}

// hasOwner says whether a volume was made with an owner: o=uid=,gid=.
func hasOwner(v *storage.Volume) bool {
	for _, word := range strings.Split(v.Option("o"), ",") {
		if strings.HasPrefix(word, "uid=") || strings.HasPrefix(word, "gid=") {
			return true
		}
	}
	return false
}

func hasOption(v *storage.Volume, name string) bool {
	return slices.ContainsFunc(v.Options, func(option string) bool { return option == name || option == name+"=" || option == "o="+name })
}

func (o *Options) volume(name string) *storage.Volume {
	for _, v := range o.volumes {
		if v.Name == name {
			return v
		}
	}
	return &storage.Volume{Name: name} // openVolumes has them all
}

// fill has the second self do it.
func (o *Options) fill(h Host, places []FillPlace, fillings []*storage.Filling) error {
	request := Fill{Rootfs: o.Rootfs, Scratch: h.Dirs.Run, SingleID: h.IDs.Single(), Places: places}
	root, config := imageRoot{o.Rootfs}, storage.Settings{}
	if o.Image != nil {
		request.Layers, root, config = o.Image.Layers, o.Image.Layers, o.Image.Settings
	}
	user, _, err := root.user(first(o.User, config.User))
	if err != nil {
		return err
	}
	for n, f := range fillings {
		if !places[n].Own {
			places[n].UID, places[n].GID = user.UID, user.GID
		}
		if f != nil {
			if err := f.Begin(); err != nil {
				return err
			}
		}
	}
	if o.Image != nil {
		d, err := ChooseDriver(h)
		if err != nil {
			return err
		}
		request.Flat = d.Name != storage.Overlay
	}
	answers, err := runFill(h, request)
	if err == nil && len(answers) != len(places) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("filling volumes of container %s: %w", o.ID[:12], err)
	}
	for n, f := range fillings {
		if f != nil {
			if err := f.Done(answers[n] == FillEmpty); err != nil {
				return err
			}
		}
	}
	return nil
}

func runFill(h Host, request Fill) (answers []byte, err error) {
	text, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe: %w", err)
	}
	defer reader.Close()
	process, err := userns.CommandWith(h.IDs, RoleFill, []string{string(text)}, [3]int{0, int(writer.Fd()), 2})
	writer.Close()
	if err != nil {
		return nil, err
	}
	answers, err = io.ReadAll(reader)
	return answers, errors.Join(process.Wait(), err)
}
