package cli

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
)

// imageRow is an image under one of its names.
type imageRow struct {
	*imageView
	name string
	long bool
}

// imageColumns are docker's and podman's (docker-images(1), podman-images(1)).
var imageColumns = map[string]column[imageRow]{
	"Repository":     {"REPOSITORY", func(r imageRow) any { repository, _ := splitTag(r.name); return repository }},
	"Tag":            {"TAG", func(r imageRow) any { _, tag := splitTag(r.name); return tag }},
	"ID":             {"IMAGE ID", func(r imageRow) any { return r.shownID() }},
	"Id":             {"IMAGE ID", func(r imageRow) any { return r.shownID() }},
	"Digest":         {"DIGEST", func(r imageRow) any { return r.Digest }},
	"Size":           {"SIZE", func(r imageRow) any { return spacedSize(r.Size) }},
	"VirtualSize":    {"VIRTUAL SIZE", func(r imageRow) any { return r.Size }},
	"SharedSize":     {"SHARED SIZE", func(imageRow) any { return 0 }},
	"UniqueSize":     {"UNIQUE SIZE", func(r imageRow) any { return spacedSize(r.Size) }},
	"Created":        {"CREATED", func(r imageRow) any { return ago(r.Created) }},
	"CreatedSince":   {"CREATED", func(r imageRow) any { return ago(r.Created) }},
	"CreatedTime":    {"CREATED TIME", func(r imageRow) any { return utc(r.Created).String() }},
	"CreatedAt":      {"CREATED AT", func(r imageRow) any { return utc(r.Created).String() }},
	"Labels":         {"LABELS", func(r imageRow) any { return r.labels() }},
	"History":        {"HISTORY", func(r imageRow) any { return strings.Join(r.NamesHistory, ", ") }},
	"Names":          {"NAMES", func(r imageRow) any { return r.Names }},
	"RepoTags":       {"REPO TAGS", func(r imageRow) any { return r.repoTags() }},
	"RepoDigests":    {"REPO DIGESTS", func(r imageRow) any { return r.repoDigests() }},
	"Containers":     {"CONTAINERS", func(r imageRow) any { return len(r.imageView.Containers) }},
	"ReadOnly":       {"R/O", func(r imageRow) any { return r.readOnly() }},
	"Dangling":       {"DANGLING", func(r imageRow) any { return r.dangling() }},
	"ParentId":       {"PARENT ID", func(r imageRow) any { return r.parentID() }},
	"Os":             {"OS", func(r imageRow) any { return r.Spec.OS }},
	"Arch":           {"ARCH", func(r imageRow) any { return r.Spec.Architecture }},
	"IsManifestList": {"IS MANIFEST LIST", func(r imageRow) any { return r.List }},
}

const (
	imagesTable = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.Created}}\t{{.Size}}"
	digestField = "\t{{.Digest}}\t{{.ID}}"
)

// imagesOptions are the flags of images.
type imagesOptions struct {
	all, quiet, long, noHead, digests, history bool
	format, order                              string
	filters                                    []string
}

func imagesFlags(f *flags.Set) func(Streams, []string) error {
	o := &imagesOptions{}
	f.BoolVarP(&o.all, "all", "a", false, "show images without a name of which others are made, too")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "show ids alone")
	f.BoolVar(&o.long, "no-trunc", false, "show whole ids")
	f.BoolVar(&o.digests, "digests", false, "show digests")
	f.BoolVar(&o.history, "history", false, "show the names that an image had")
	f.BoolVarP(&o.noHead, "noheading", "n", false, "leave out the head of the table")
	f.StringVar(&o.format, "format", "", "json, [table] TEMPLATE, or nothing for a table")
	f.StringVar(&o.order, "sort", "created", "created|id|repository|size|tag")
	f.StringArrayVarP(&o.filters, "filter", "f", nil, "id|before|since|containers|dangling|digest|intermediate|label|manifest|readonly|reference|until=VALUE")
	return func(s Streams, args []string) error {
		if len(args) > 1 {
			return usageError{Text: "images takes one name at most", Command: "images"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		all, err := viewImages(host)
		if err != nil {
			return err
		}
		all.warn(s)
		rows, err := o.rows(all, args)
		if err != nil {
			return err
		}
		return errors.Join(o.print(s, rows), all.unread)
	}
}

// imageOrders are the values of --sort.
var imageOrders = map[string]func(a, b imageRow) bool{
	"created":    func(a, b imageRow) bool { return a.Created.After(b.Created) },
	"id":         func(a, b imageRow) bool { return a.ID < b.ID },
	"size":       func(a, b imageRow) bool { return a.Size < b.Size },
	"repository": func(a, b imageRow) bool { return a.name < b.name },
	"tag":        func(a, b imageRow) bool { _, x := splitTag(a.name); _, y := splitTag(b.name); return x < y },
}

func (o *imagesOptions) rows(all *imageViews, args []string) (rows []imageRow, err error) {
	less, ok := imageOrders[o.order]
	if !ok {
		return nil, fmt.Errorf("%q is not a valid field for sorting. Choose from: size, tag, created, id, repository", o.order)
	}
	tests, err := imageFilters(o.filters, all)
	if err != nil {
		return nil, err
	}
	pattern, id := "", ""
	if len(args) == 1 {
		if pattern = args[0]; !matchesAny(all, pattern) {
			if img, err := all.find(pattern); err == nil {
				id = img.ID
			}
		}
	}
	for _, v := range all.list {
		if v.intermediate() && !o.all && !tests.asks("intermediate") && !tests.asks("dangling") {
			continue
		}
		for _, name := range namesOr(v.Image, "<none>:<none>") {
			named := pattern == "" || id == v.ID || id == "" && matchesReference(pattern, name)
			if named && tests.hold(v, name) {
				rows = append(rows, imageRow{v, name, o.long})
			}
		}
	}
	sort.SliceStable(rows, func(i, j int) bool { return less(rows[i], rows[j]) })
	return rows, nil
}

func matchesAny(all *imageViews, pattern string) bool {
	for _, v := range all.list {
		for _, name := range v.Names {
			if matchesReference(pattern, name) {
				return true
			}
		}
	}
	return false
}

func (o *imagesOptions) print(s Streams, rows []imageRow) error {
	l := listing[imageRow]{table: imagesTable, columns: imageColumns, noHead: o.noHead}
	if o.digests {
		l.table = strings.Replace(l.table, "\t{{.ID}}", digestField, 1)
	}
	if slices.ContainsFunc(rows, func(r imageRow) bool { return r.readOnly() }) {
		l.table += "\t{{.ReadOnly}}"
	}
	if o.history {
		l.table += "\t{{.History}}"
	}
	if o.format == "json" {
		return l.print(s.Out, "json", nil, imagesJSON(rows))
	}
	if o.quiet {
		return printIDs(s, rows)
	}
	return l.print(s.Out, o.format, rows, nil)
}

// printIDs prints each once.
func printIDs(s Streams, rows []imageRow) error {
	seen := map[string]bool{}
	for _, r := range rows {
		if seen[r.ID] {
			continue
		}
		seen[r.ID] = true
		if _, err := fmt.Fprintln(s.Out, r.shownID()); err != nil {
			return err
		}
	}
	return nil
}

func (r imageRow) shownID() string {
	if r.long {
		return "sha256:" + r.ID
	}
	return short(r.ID)
}

func (r imageRow) parentID() string {
	if r.Parent == nil {
		return ""
	}
	return r.Parent.ID
}

// utc is a time as podman shows that of an image: in seconds.
func utc(t time.Time) time.Time { return time.Unix(unixOr(t), 0).UTC() }

// imageJSON is an image as `images --format json` shows it.
type imageJSON struct {
	ID             string `json:"Id"`
	ParentId       string
	RepoTags       []string
	RepoDigests    []string
	Size           int64
	SharedSize     int
	VirtualSize    int64
	Labels         map[string]string
	Containers     int
	Dangling       bool `json:",omitempty"`
	ReadOnly       bool `json:",omitempty"`
	IsManifestList bool
	Names          []string
	Digest         string
	History        []string
	Created        int64
	CreatedAt      string
	Arch, Os       string
}

func imagesJSON(rows []imageRow) []imageJSON {
	list, seen := []imageJSON{}, map[string]bool{}
	for _, r := range rows {
		if seen[r.ID] {
			continue
		}
		seen[r.ID] = true
		v := imageJSON{ID: r.ID, ParentId: r.parentID(), Names: r.Names, RepoTags: r.repoTags(), RepoDigests: r.repoDigests(), Digest: r.Digest, Size: r.Size, VirtualSize: r.Size,
			Labels: r.labels(), Containers: len(r.imageView.Containers), Dangling: r.dangling(), ReadOnly: r.readOnly(), IsManifestList: r.List, History: r.NamesHistory,
			Created: unixOr(r.Created), CreatedAt: utc(r.Created).Format(time.RFC3339), Arch: r.Spec.Architecture, Os: r.Spec.OS}
		list = append(list, v)
	}
	return list
}

// spacedSize is podman's: three digits, and a space before the unit.
func spacedSize(n int64) string {
	text := humanSize(n)
	at := strings.IndexFunc(text, func(c rune) bool { return c >= 'A' && c <= 'z' })
	return text[:at] + " " + text[at:]
}
