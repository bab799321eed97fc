package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
)

// diskRow is a kind of things that take disk space, as podman-system-df(1) shows it.
type diskRow struct {
	Type           string
	Total          int
	Active         int
	RawSize        int64
	RawReclaimable int64
	TotalCount     int
	Size           string
	Reclaimable    string
}

var diskColumns = map[string]column[diskRow]{
	"Type": {"TYPE", func(r diskRow) any { return r.Type }}, "Total": {"TOTAL", func(r diskRow) any { return r.Total }},
	"TotalCount": {"TOTAL", func(r diskRow) any { return r.Total }}, "Active": {"ACTIVE", func(r diskRow) any { return r.Active }},
	"Size": {"SIZE", func(r diskRow) any { return r.Size }}, "Reclaimable": {"RECLAIMABLE", func(r diskRow) any { return r.Reclaimable }},
	"RawSize": {"RAW SIZE", func(r diskRow) any { return r.RawSize }}, "RawReclaimable": {"RAW RECLAIMABLE", func(r diskRow) any { return r.RawReclaimable }},
}

const diskTable = "{{.Type}}\t{{.Total}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}"

// complete computes what is shown of the numbers.
func (r diskRow) complete() diskRow {
	r.TotalCount, r.Size = r.Total, wideSize(r.RawSize)
	percent := 0
	if r.RawSize > 0 {
		percent = int(float64(r.RawReclaimable)/float64(r.RawSize)*100 + 0.5)
	}
	r.Reclaimable = fmt.Sprintf("%s (%d%%)", wideSize(r.RawReclaimable), percent)
	return r
}

// diskUse is all there is.
type diskUse struct {
	images     *imageViews
	containers []*container.Info
	sizes      map[string]sizes
	volumes    []volumeUse
}

// volumeUse is a volume, who has it and what it takes.
type volumeUse struct {
	Name  string
	Links int
	Size  int64
}

func systemDfFlags(f *flags.Set) func(Streams, []string) error {
	format := f.String("format", "", "json, [table] TEMPLATE, or nothing for a table")
	verbose := f.BoolP("verbose", "v", false, "show each image, container and volume")
	return func(s Streams, args []string) error {
		switch {
		case len(args) > 0:
			return usageError{Text: "system df takes no argument", Command: "system df"}
		case *verbose && *format != "":
			return usageError{Text: "cannot combine --format and --verbose flags", Command: "system df"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		u, err := measureDisk(host)
		if err != nil {
			return err
		}
		if *verbose {
			return u.printAll(s)
		}
		rows := []diskRow{u.imageRow(), u.containerRow(), u.volumeRow()}
		return listing[diskRow]{table: diskTable, columns: diskColumns}.print(s.Out, *format, rows, rows)
	}
}

func measureDisk(host container.Host) (u *diskUse, err error) {
	u = &diskUse{}
	if u.images, err = viewImages(host); err != nil {
		return nil, err
	}
	if u.containers, err = container.List(host.Dirs); err != nil {
		return nil, err
	}
	if u.sizes, err = measure(host, u.containers); err != nil {
		return nil, err
	}
	u.volumes, err = volumeUses(host, u.containers)
	return u, err
}

// volumeUses looks at the directories of volumes.
func volumeUses(host container.Host, list []*container.Info) (uses []volumeUse, err error) {
	root := filepath.Join(host.Dirs.Data, "volumes")
	entries, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var dirs []string
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		u := volumeUse{Name: e.Name()}
		for _, i := range list {
			if slices.Contains(i.Volumes(), u.Name) {
				u.Links++
			}
		}
		uses, dirs = append(uses, u), append(dirs, filepath.Join(root, u.Name, "_data"))
	}
	if len(dirs) == 0 {
		return uses, nil
	}
	measured, err := sizesInside(host, dirs)
	for n := range measured {
		uses[n].Size = measured[n]
	}
	return uses, err
}

// imageRow counts each layer once; what images of containers need stays.
func (u *diskUse) imageRow() diskRow {
	r := diskRow{Type: "Images", Total: len(u.images.list)}
	all, kept := map[string]int64{}, map[string]int64{}
	for _, v := range u.images.list {
		if len(v.Containers) > 0 {
			r.Active++
		}
		if v.readOnly() {
			continue // others have it on their disk
		}
		for _, l := range v.Layers {
			all[l.ID] = l.Size
			if len(v.Containers) > 0 {
				kept[l.ID] = l.Size
			}
		}
	}
	r.RawSize = reclaimed(all)
	r.RawReclaimable = r.RawSize - reclaimed(kept)
	return r.complete()
}

func (u *diskUse) containerRow() diskRow {
	r := diskRow{Type: "Containers", Total: len(u.containers)}
	for _, i := range u.containers {
		size := u.sizes[i.ID].RW
		r.RawSize += size
		if i.Status == container.StatusRunning || i.Status == container.StatusPaused {
			r.Active++
		} else {
			r.RawReclaimable += size
		}
	}
	return r.complete()
}

func (u *diskUse) volumeRow() diskRow {
	r := diskRow{Type: "Local Volumes", Total: len(u.volumes)}
	for _, v := range u.volumes {
		r.RawSize += v.Size
		if v.Links > 0 {
			r.Active++
		} else {
			r.RawReclaimable += v.Size
		}
	}
	return r.complete()
}

// users counts the images that have a layer.
func (u *diskUse) users() map[string]int {
	users := map[string]int{}
	for _, v := range u.images.list {
		for _, l := range v.Layers {
			users[l.ID]++
		}
	}
	return users
}

const (
	diskImages     = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}"
	diskContainers = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.Created}}\t{{.Status}}\t{{.Names}}"
	diskVolumes    = "{{.VolumeName}}\t{{.Links}}\t{{.Size}}"
)

// printAll is the verbose form.
func (u *diskUse) printAll(s Streams) error {
	users := u.users()
	shared := func(v *imageView) (n int64) {
		for _, l := range v.Layers {
			if users[l.ID] > 1 {
				n += l.Size
			}
		}
		return n
	}
	columns := map[string]column[imageRow]{
		"Repository": imageColumns["Repository"], "Tag": imageColumns["Tag"], "ID": imageColumns["ID"], "Containers": imageColumns["Containers"],
		"CreatedSince": {"CREATED", func(r imageRow) any { return since(r.Created) }}, "Size": {"SIZE", func(r imageRow) any { return wideSize(r.Size) }},
		"SharedSize": {"SHARED SIZE", func(r imageRow) any { return wideSize(shared(r.imageView)) }},
		"UniqueSize": {"UNIQUE SIZE", func(r imageRow) any { return wideSize(r.Size - shared(r.imageView)) }},
	}
	var rows []imageRow
	for _, v := range u.images.list {
		for _, name := range namesOr(v.Image, "<none>:<none>") {
			rows = append(rows, imageRow{v, name, false})
		}
	}
	fmt.Fprint(s.Out, "Images space usage:\n\n")
	if err := (listing[imageRow]{table: diskImages, columns: columns}).print(s.Out, "", rows, nil); err != nil {
		return err
	}
	fmt.Fprint(s.Out, "\nContainers space usage:\n\n")
	if err := u.containerListing().print(s.Out, "", u.containers, nil); err != nil {
		return err
	}
	fmt.Fprint(s.Out, "\nLocal Volumes space usage:\n\n")
	return listing[volumeUse]{table: diskVolumes, columns: map[string]column[volumeUse]{
		"VolumeName": {"VOLUME NAME", func(v volumeUse) any { return v.Name }}, "Links": {"LINKS", func(v volumeUse) any { return v.Links }},
		"Size": {"SIZE", func(v volumeUse) any { return wideSize(v.Size) }},
	}}.print(s.Out, "", u.volumes, nil)
}

func (u *diskUse) containerListing() listing[*container.Info] {
	return listing[*container.Info]{table: diskContainers, columns: map[string]column[*container.Info]{
		"ID": {"CONTAINER ID", func(i *container.Info) any { return short(i.ID) }}, "Image": {"IMAGE", func(i *container.Info) any { return short(i.ImageID) }},
		"Command":      {"COMMAND", func(i *container.Info) any { return strings.Join(i.Command, " ") }},
		"LocalVolumes": {"LOCAL VOLUMES", func(i *container.Info) any { return len(i.Volumes()) }},
		"Size":         {"SIZE", func(i *container.Info) any { return wideSize(u.sizes[i.ID].RW) }},
		"Created":      {"CREATED", func(i *container.Info) any { return since(i.Created) }},
		"Status":       {"STATUS", func(i *container.Info) any { return string(i.Status) }}, "Names": {"NAMES", func(i *container.Info) any { return i.Name() }},
	}}
}

func since(t time.Time) string { return strings.TrimSuffix(ago(t), " ago") }

// containerSizes are those of what containers wrote.
func containerSizes(host container.Host) (map[string]int64, error) {
	list, err := container.List(host.Dirs)
	if err != nil {
		return nil, err
	}
	measured, err := measure(host, list)
	sizes := map[string]int64{}
	for id, s := range measured {
		sizes[id] = s.RW
	}
	return sizes, err
}
