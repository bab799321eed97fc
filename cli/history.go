package cli

import (
	"encoding/json"
	"fmt"
	"time"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
)

// historyRow is a step in the making of an image, the last first.
type historyRow struct {
	id      string
	created time.Time
	by      string
	size    int64
	comment string
	tags    []string
	human   bool
	long    bool
}

// historyColumns are docker's and podman's (podman-history(1)).
var historyColumns = map[string]column[historyRow]{
	"ID":           {"ID", func(r historyRow) any { return r.shownID() }},
	"Created":      {"CREATED", func(r historyRow) any { return r.when() }},
	"CreatedSince": {"CREATED", func(r historyRow) any { return r.when() }},
	"CreatedAt":    {"CREATED AT", func(r historyRow) any { return utc(r.created).Format(time.RFC3339) }},
	"CreatedBy":    {"CREATED BY", func(r historyRow) any { return r.shownBy() }},
	"Size":         {"SIZE", func(r historyRow) any { return r.shownSize() }},
	"Comment":      {"COMMENT", func(r historyRow) any { return r.comment }},
	"Tags":         {"TAGS", func(r historyRow) any { return r.tags }},
}

const historyTable = "{{.ID}}\t{{.Created}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"

func historyFlags(f *flags.Set) func(Streams, []string) error {
	format := f.String("format", "", "json, [table] TEMPLATE, or nothing for a table")
	human := f.BoolP("human", "H", true, "show ages and sizes for people")
	long := f.Bool("no-trunc", false, "show whole ids and commands")
	quiet := f.BoolP("quiet", "q", false, "show ids alone")
	f.String("platform", "", "accepted for docker's sake")
	return func(s Streams, args []string) error {
		if len(args) != 1 {
			return usageError{Text: "history needs an image", Command: "history"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		all, err := viewImages(host)
		if err != nil {
			return err
		}
		v, err := all.findImage(args[0])
		if err != nil {
			return err
		}
		rows := all.history(v)
		for i := range rows {
			rows[i].human, rows[i].long = *human, *long
		}
		if *quiet {
			for _, r := range rows {
				fmt.Fprintln(s.Out, r.shownID())
			}
			return nil
		}
		if *format == "json" {
			return printHistory(s, rows)
		}
		return listing[historyRow]{table: historyTable, columns: historyColumns}.print(s.Out, *format, rows, nil)
	}
}

// history has a row for each step that the configuration names, and for each
// layer beyond. A step has the id of the image that it made, if that is here.
func (all *imageViews) history(v *imageView) (rows []historyRow) {
	layer := 0
	for i, h := range v.Spec.History {
		r := historyRow{id: "<missing>", by: h.CreatedBy, comment: h.Comment}
		if h.Created != nil {
			r.created = *h.Created
		}
		if !h.EmptyLayer && layer < len(v.Layers) {
			r.size = v.Layers[layer].Size
			layer++
		}
		for at := v.Parent; at != nil; at = at.Parent {
			if len(at.Spec.History) == i+1 {
				r.id, r.tags = at.ID, at.Names
			}
		}
		rows = append(rows, r)
	}
	for ; layer < len(v.Layers); layer++ {
		rows = append(rows, historyRow{id: "<missing>", size: v.Layers[layer].Size, created: v.Created})
	}
	if len(rows) > 0 {
		rows[len(rows)-1].id, rows[len(rows)-1].tags = v.ID, v.Names
	}
	for i, j := 0, len(rows)-1; i < j; i, j = i+1, j-1 {
		rows[i], rows[j] = rows[j], rows[i]
	}
	return rows
}

func (r historyRow) shownID() string {
	if r.long || r.id == "<missing>" {
		return r.id
	}
	return short(r.id)
}

func (r historyRow) when() string {
	if r.human {
		return ago(r.created)
	}
	return utc(r.created).Format(time.RFC3339)
}

// shownBy: docker's and podman's have 45 characters.
func (r historyRow) shownBy() string {
	const most = 45
	if by := []rune(r.by); !r.long && len(by) > most {
		return string(by[:most-3]) + "..."
	}
	return r.by
}

func (r historyRow) shownSize() string {
	if r.human {
		return spacedSize(r.size)
	}
	return fmt.Sprint(r.size)
}

// historyJSON has the names of podman's manual page and those that podman writes.
type historyJSON struct {
	ID        string    `json:"id"`
	Created   time.Time `json:"created"`
	CreatedBy string    `json:"createdBy,omitempty"`
	By        string    `json:"CreatedBy,omitempty"`
	Size      int64     `json:"size"`
	Comment   string    `json:"comment"`
	Tags      []string  `json:"tags,omitempty"`
	At        string    `json:"Created"`
}

func printHistory(s Streams, rows []historyRow) error {
	list := []historyJSON{}
	for _, r := range rows {
		list = append(list, historyJSON{r.id, r.created.UTC(), r.by, r.by, r.size, r.comment, r.tags, utc(r.created).Format(time.RFC3339)})
	}
	return json.NewEncoder(s.Out).Encode(list)
}
