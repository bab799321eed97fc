package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/storage"
	"containers/rl/storage/layers"
)

func imagesFlags(f *flags.Set) func(Streams, []string) error {
	quiet := f.BoolP("quiet", "q", false, "show ids alone")
	long := f.Bool("no-trunc", false, "show whole ids")
	format := f.String("format", "", "json, or nothing for a table")
	return func(s Streams, args []string) error {
		if len(args) > 0 {
			return usageError{Text: "images takes no argument", Command: "images"}
		}
		if *format != "" && *format != "json" {
			return usageError{Text: fmt.Sprintf("--format %s: json", *format), Command: "images"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		list, err := host.Dirs.Images()
		if err != nil {
			return err
		}
		sort.Slice(list, func(i, j int) bool { return list[i].Created.After(list[j].Created) })
		switch {
		case *format == "json":
			return imagesJSON(s, list)
		case *quiet:
			return imageIDs(s, list, *long)
		}
		return imagesTable(s, list, *long)
	}
}

func imageID(img *storage.Image, long bool) string {
	if long {
		return "sha256:" + img.ID
	}
	return short(img.ID)
}

func imageIDs(s Streams, list []*storage.Image, long bool) error {
	for _, img := range list {
		if _, err := fmt.Fprintln(s.Out, imageID(img, long)); err != nil {
			return err
		}
	}
	return nil
}

func imagesTable(s Streams, list []*storage.Image, long bool) error {
	w := tabwriter.NewWriter(s.Out, 0, 4, 3, ' ', 0)
	fmt.Fprintln(w, "REPOSITORY\tTAG\tIMAGE ID\tCREATED\tSIZE")
	for _, img := range list {
		for _, name := range namesOr(img, "<none>:<none>") {
			repository, tag := splitTag(name)
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", repository, tag, imageID(img, long), ago(img.Created), humanSize(img.Size))
		}
	}
	return w.Flush()
}

func imagesJSON(s Streams, list []*storage.Image) error {
	type row struct {
		ID      string    `json:"Id"`
		Names   []string  `json:"Names"`
		Digest  string    `json:"Digest"`
		Created time.Time `json:"CreatedAt"`
		Size    int64     `json:"Size"`
	}
	rows := []row{}
	for _, img := range list {
		rows = append(rows, row{img.ID, img.Names, img.Digest, img.Created, img.Size})
	}
	encoder := json.NewEncoder(s.Out)
	encoder.SetIndent("", "    ")
	return encoder.Encode(rows)
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
