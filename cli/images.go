package cli

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"
	"time"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/storage"
	"containers/rl/storage/layers"
)

// imageRow is an image under one of its names.
type imageRow struct {
	img  *storage.Image
	name string
	long bool
}

// imageColumns are docker's and podman's (docker-images(1), podman-images(1)).
var imageColumns = map[string]column[imageRow]{
	"Repository": {"REPOSITORY", func(r imageRow) any { repository, _ := splitTag(r.name); return repository }},
	"Tag":        {"TAG", func(r imageRow) any { _, tag := splitTag(r.name); return tag }},
	"ID":         {"IMAGE ID", func(r imageRow) any { return imageID(r.img, r.long) }}, "Id": {"IMAGE ID", func(r imageRow) any { return imageID(r.img, r.long) }},
	"Digest": {"DIGEST", func(r imageRow) any { return r.img.Digest }}, "Size": {"SIZE", func(r imageRow) any { return humanSize(r.img.Size) }},
	"VirtualSize": {"VIRTUAL SIZE", func(r imageRow) any { return humanSize(r.img.Size) }}, "Created": {"CREATED", func(r imageRow) any { return ago(r.img.Created) }},
	"CreatedSince": {"CREATED", func(r imageRow) any { return ago(r.img.Created) }}, "CreatedTime": {"CREATED TIME", func(r imageRow) any { return r.img.Created.String() }},
	"CreatedAt": {"CREATED AT", func(r imageRow) any { return r.img.Created.String() }}, "Labels": {"LABELS", func(r imageRow) any { return strings.Join(r.img.Settings.Labels, ",") }},
}

const (
	imagesTable        = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.Created}}\t{{.Size}}"
	imagesDigestsTable = "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.Created}}\t{{.Size}}"
)

// imagesOptions are the flags of images.
type imagesOptions struct {
	quiet, long, noHead, digests bool
	format, order                string
	filters                      []string
}

func imagesFlags(f *flags.Set) func(Streams, []string) error {
	o := &imagesOptions{}
	f.BoolP("all", "a", false, "accepted for docker's sake: rl keeps no intermediate images")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "show ids alone")
	f.BoolVar(&o.long, "no-trunc", false, "show whole ids")
	f.BoolVar(&o.digests, "digests", false, "show digests")
	f.BoolVarP(&o.noHead, "noheading", "n", false, "leave out the head of the table")
	f.StringVar(&o.format, "format", "", "json, [table] TEMPLATE, or nothing for a table")
	f.StringVar(&o.order, "sort", "created", "created|id|repository|size|tag")
	f.StringArrayVarP(&o.filters, "filter", "f", nil, "reference|label|dangling|id=VALUE")
	return func(s Streams, args []string) error {
		if len(args) > 1 {
			return usageError{Text: "images takes one name at most", Command: "images"}
		}
		if len(args) == 1 {
			o.filters = append(o.filters, "reference="+args[0])
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		list, err := host.Dirs.Images()
		if err != nil {
			return err
		}
		rows, err := o.rows(list)
		if err != nil {
			return usageError{Text: err.Error(), Command: "images"}
		}
		return o.print(s, rows)
	}
}

func (o *imagesOptions) rows(list []*storage.Image) (rows []imageRow, err error) {
	sort.SliceStable(list, func(i, j int) bool { return list[i].Created.After(list[j].Created) })
	for _, img := range list {
		for _, name := range namesOr(img, "<none>:<none>") {
			wanted := true
			for _, text := range o.filters {
				matches, err := imageFilter(text, img, name)
				if err != nil {
					return nil, err
				}
				wanted = wanted && matches
			}
			if wanted {
				rows = append(rows, imageRow{img, name, o.long})
			}
		}
	}
	less, ok := map[string]func(a, b imageRow) bool{
		"created": nil, "id": func(a, b imageRow) bool { return a.img.ID < b.img.ID }, "size": func(a, b imageRow) bool { return a.img.Size < b.img.Size },
		"repository": func(a, b imageRow) bool { return a.name < b.name },
		"tag":        func(a, b imageRow) bool { _, x := splitTag(a.name); _, y := splitTag(b.name); return x < y },
	}[o.order]
	if !ok {
		return nil, fmt.Errorf("--sort %s: created, id, repository, size or tag", o.order)
	}
	if less != nil {
		sort.SliceStable(rows, func(i, j int) bool { return less(rows[i], rows[j]) })
	}
	return rows, nil
}

// imageFilter: a reference may leave out the registry and the tag, and have
// wildcards (docker-images(1)).
func imageFilter(text string, img *storage.Image, name string) (bool, error) {
	key, value, ok := strings.Cut(text, "=")
	switch {
	case ok && key == "reference":
		return matchesReference(value, name), nil
	case ok && key == "id":
		return strings.HasPrefix(img.ID, strings.TrimPrefix(value, "sha256:")), nil
	case ok && key == "dangling":
		return (value == "true") == (len(img.Names) == 0), nil
	case ok && key == "label":
		return slices.ContainsFunc(img.Settings.Labels, func(l string) bool { return l == value || strings.HasPrefix(l, value+"=") }), nil
	}
	return false, fmt.Errorf("--filter %s: reference, label, dangling or id=VALUE", text)
}

func matchesReference(pattern, name string) bool {
	repository, tag := splitTag(name)
	short := strings.TrimPrefix(strings.TrimPrefix(repository, "docker.io/"), "library/")
	for _, repository := range []string{repository, strings.TrimPrefix(repository, "docker.io/"), short, repository[strings.LastIndexByte(repository, '/')+1:]} {
		for _, full := range []string{repository, repository + ":" + tag} {
			if matches, _ := path.Match(pattern, full); matches {
				return true
			}
		}
	}
	return false
}

func (o *imagesOptions) print(s Streams, rows []imageRow) error {
	l := listing[imageRow]{table: imagesTable, columns: imageColumns, noHead: o.noHead}
	if o.digests {
		l.table = imagesDigestsTable
	}
	if o.format == "json" {
		return l.print(s.Out, "json", nil, imagesJSON(rows))
	}
	if o.quiet {
		for _, r := range rows {
			if _, err := fmt.Fprintln(s.Out, imageID(r.img, o.long)); err != nil {
				return err
			}
		}
		return nil
	}
	return l.print(s.Out, o.format, rows, nil)
}

func imageID(img *storage.Image, long bool) string {
	if long {
		return "sha256:" + img.ID
	}
	return short(img.ID)
}

// imageJSON is an image as `images --format json` shows it.
type imageJSON struct {
	ID          string `json:"Id"`
	RepoTags    []string
	RepoDigests []string
	Names       []string
	Digest      string
	Size        int64
	VirtualSize int64
	Labels      map[string]string
	Created     int64
	CreatedAt   string
}

func imagesJSON(rows []imageRow) []imageJSON {
	list, seen := []imageJSON{}, map[string]bool{}
	for _, r := range rows {
		if seen[r.img.ID] {
			continue
		}
		seen[r.img.ID] = true
		v := imageJSON{ID: r.img.ID, Names: r.img.Names, RepoTags: []string{}, RepoDigests: []string{}, Digest: r.img.Digest, Size: r.img.Size, VirtualSize: r.img.Size,
			Labels: map[string]string{}, Created: unixOr(r.img.Created), CreatedAt: stamp(r.img.Created)}
		for _, name := range r.img.Names {
			if repository, tag := splitTag(name); tag != "<none>" {
				v.RepoTags, v.RepoDigests = append(v.RepoTags, name), append(v.RepoDigests, repository+"@"+r.img.Digest)
			}
		}
		for _, label := range r.img.Settings.Labels {
			name, value, _ := strings.Cut(label, "=")
			v.Labels[name] = value
		}
		list = append(list, v)
	}
	return list
}

func namesOr(img *storage.Image, none string) []string {
	if len(img.Names) == 0 {
		return []string{none}
	}
	return img.Names
}

// splitTag: a colon of a port is followed by a slash.
func splitTag(name string) (repository, tag string) {
	if repository, _, ok := strings.Cut(name, "@"); ok {
		return repository, "<none>"
	}
	at := strings.LastIndexByte(name, ':')
	if at < 0 || strings.ContainsRune(name[at:], '/') {
		return name, "<none>"
	}
	return name[:at], name[at+1:]
}

// ago is docker's column.
func ago(t time.Time) string {
	if t.IsZero() || t.Unix() <= 0 {
		return "N/A"
	}
	return duration(time.Since(t)) + " ago"
}

// duration is said as docker does (units.HumanDuration).
func duration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return "Less than a second"
	case d < 2*time.Second:
		return "1 second"
	case d >= time.Minute && d < 2*time.Minute:
		return "About a minute"
	case d >= time.Hour && d < 2*time.Hour:
		return "About an hour"
	}
	for _, unit := range []struct {
		name  string
		long  time.Duration
		until time.Duration
	}{{"seconds", time.Second, time.Minute}, {"minutes", time.Minute, time.Hour}, {"hours", time.Hour, 2 * day}, {"days", day, 14 * day},
		{"weeks", 7 * day, 60 * day}, {"months", 30 * day, 730 * day}} {
		if d < unit.until {
			return fmt.Sprintf("%d %s", d/unit.long, unit.name)
		}
	}
	return fmt.Sprintf("%d years", d/(365*day))
}

func rmiFlags(f *flags.Set) func(Streams, []string) error {
	force := f.BoolP("force", "f", false, "remove all names of an image given by its id")
	return func(_ Streams, args []string) error {
		if len(args) == 0 {
			return usageError{Text: "rmi needs an image", Command: "rmi"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		free, used := freeImages(host, args, *force)
		if len(free) > 0 {
			words := []string{host.Dirs.Data, host.Dirs.Run, fmt.Sprint(*force)}
			err = inside(host, roleRmi, append(words, free...)...)
		}
		if used != nil {
			return removalCode(used, storage.ErrNoImage, storage.ErrInUse)
		}
		return err
	}
}

// rmiInside goes on with the next image after an error, as docker does.
func rmiInside(s Streams, args []string) (err error) {
	if len(args) < 4 {
		return errors.New(roleRmi + " is for rl itself")
	}
	store, err := layers.Open(storage.Dirs{Data: args[0], Run: args[1]})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	var failed []error
	for _, ref := range args[3:] {
		untagged, deleted, err := store.RemoveImage(ref, args[2] == "true")
		if err != nil {
			failed = append(failed, err)
		}
		for _, name := range untagged {
			fmt.Fprintf(s.Out, "Untagged: %s\n", name)
		}
		for _, id := range deleted {
			fmt.Fprintf(s.Out, "Deleted: %s\n", id)
		}
	}
	return removalCode(errors.Join(failed...), storage.ErrNoImage, storage.ErrInUse)
}

// freeImages gives those of the images that no container has, whether it runs or
// not. With force such containers are removed (podman-rmi(1)).
func freeImages(host container.Host, refs []string, force bool) (free []string, used error) {
	list, err := container.List(host.Dirs)
	if err != nil {
		return nil, err
	}
	names, err := host.Dirs.Names()
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, ref := range refs {
		err := freeImage(host, list, names, ref, force)
		if err == nil {
			free = append(free, ref)
		}
		failed = append(failed, err)
	}
	return free, errors.Join(failed...)
}

func freeImage(host container.Host, list []*container.Info, names map[string][]string, ref string, force bool) error {
	img, err := host.Dirs.Lookup(ref)
	if err != nil {
		return nil // the second self says so
	}
	img.Close()
	if _, err := host.Dirs.FullName(ref); err == nil && len(names[img.ID]) > 1 {
		return nil // only a name goes
	}
	for _, i := range list {
		switch {
		case i.ImageID != img.ID:
		case !force:
			return fmt.Errorf("removing image %s: container %s uses it: %w: rl rm %[2]s, or rl rmi --force %[1]s", ref, i.Name(), storage.ErrInUse)
		default:
			if err := container.Delete(host, i, true); err != nil {
				return err
			}
		}
	}
	return nil
}
