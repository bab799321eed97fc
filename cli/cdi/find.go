package cdi

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// mostBytes of a file: those of a machine with 16 graphics cards have 100 kB.
const mostBytes = 4 << 20

// Registry is what the directories hold.
type Registry struct {
	Dirs  []string
	specs []*Spec
	wrong []error // files that cannot be read
}

// Load reads all files of the directories, of which a later one counts more.
func Load(dirs []string) *Registry {
	r := &Registry{Dirs: dirs}
	for n, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			r.wrong = append(r.wrong, err)
		}
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			if ext := path.Ext(name); ext != ".json" && ext != ".yaml" {
				continue
			}
			s, err := read(name)
			if err != nil {
				r.wrong = append(r.wrong, fmt.Errorf("reading %s: %w", name, err))
				continue
			}
			s.file, s.directory = name, n
			r.specs = append(r.specs, s)
		}
	}
	return r
}

func read(name string) (*Spec, error) {
	info, err := os.Stat(name)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > mostBytes) {
		err = fmt.Errorf("no file of at most %d bytes", mostBytes)
	}
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return Parse(name, text)
}

// Wrong are the files that could not be read.
func (r *Registry) Wrong() []error { return r.wrong }

// Names are those of all devices, sorted, numbers as numbers.
func (r *Registry) Names() (list []Name) {
	for _, s := range r.specs {
		for _, d := range s.Devices {
			list = append(list, Name{string(s.Kind), string(d.Name)})
		}
	}
	slices.SortFunc(list, compare)
	return slices.Compact(list)
}

func compare(a, b Name) int {
	if a.Kind != b.Kind {
		return strings.Compare(a.Kind, b.Kind)
	}
	x, errX := strconv.Atoi(a.Device)
	y, errY := strconv.Atoi(b.Device)
	if errX == nil && errY == nil && x != y {
		return x - y
	}
	return strings.Compare(a.Device, b.Device)
}

// OfKind are the devices of a kind, but for one that stands for all.
func (r *Registry) OfKind(kind string) (list []Name) {
	for _, n := range r.Names() {
		if n.Kind == kind && n.Device != all {
			list = append(list, n)
		}
	}
	return list
}

// all is a device that some vendors have; where there is none it means every one.
const all = "all"

// find gives the one device of a name, and its file.
func (r *Registry) find(n Name) (*Spec, *Device, error) {
	var spec *Spec
	var device *Device
	conflict := ""
	for _, s := range r.specs {
		at := slices.IndexFunc(s.Devices, func(d Device) bool { return string(d.Name) == n.Device })
		if string(s.Kind) != n.Kind || at < 0 {
			continue
		}
		if conflict = ""; spec != nil && spec.directory == s.directory {
			conflict = spec.file
		}
		spec, device = s, &s.Devices[at]
	}
	if conflict != "" {
		return nil, nil, fmt.Errorf("conflicting device %q: it is in %s and in %s", n, conflict, spec.file)
	}
	return spec, device, nil
}

// Resolve gives the edits for the devices: of each file once those for all of
// its devices, then those of the device.
func (r *Registry) Resolve(names []Name) ([]Edits, error) {
	var edits []Edits
	var unknown []string
	used := map[*Spec]bool{}
	for _, name := range r.expand(names) {
		spec, device, err := r.find(name)
		if err != nil {
			return nil, err
		}
		if spec == nil {
			unknown = append(unknown, name.String())
			continue
		}
		if !used[spec] {
			edits, used[spec] = append(edits, spec.Edits), true
		}
		edits = append(edits, device.Edits)
	}
	if len(unknown) > 0 {
		return nil, r.unresolvable(unknown)
	}
	return edits, nil
}

// expand leaves out what is there twice.
func (r *Registry) expand(names []Name) (list []Name) {
	for _, n := range names {
		several := []Name{n}
		if spec, _, err := r.find(n); n.Device == all && spec == nil && err == nil {
			if of := r.OfKind(n.Kind); len(of) > 0 {
				several = of
			}
		}
		for _, one := range several {
			if !slices.Contains(list, one) {
				list = append(list, one)
			}
		}
	}
	return list
}

func (r *Registry) unresolvable(names []string) error {
	err := fmt.Errorf("setting up CDI devices: unresolvable CDI devices %s: not in %s", strings.Join(names, ", "), strings.Join(r.Dirs, ", "))
	for _, w := range r.wrong {
		err = fmt.Errorf("%w; %w", err, w)
	}
	return err
}
