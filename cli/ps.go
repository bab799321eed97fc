package cli

import (
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
)

// listingOptions are the flags of ps (podman-ps(1), docker-ps(1)).
type listingOptions struct {
	all, quiet, long, latest, noHeader, size, namespaces, pod bool
	last, format, order, watch                                string
	filters                                                   []string

	number int // of --last; 0: all
}

// roomy: a list of a thousand containers is done before a collection, which
// would take a fourth of the time, frees much.
const roomy = 800

func psFlags(f *flags.Set) func(Streams, []string) error {
	o := &listingOptions{}
	f.BoolVarP(&o.all, "all", "a", false, "show those too that do not run")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "show ids alone")
	f.BoolVar(&o.long, "no-trunc", false, "show whole ids and commands")
	f.BoolVarP(&o.latest, "latest", "l", false, "show the one that was made last")
	f.StringVarP(&o.last, "last", "n", "-1", "show so many that were made last")
	f.StringVar(&o.format, "format", "", "json, [table] TEMPLATE, or nothing for a table")
	f.BoolVarP(&o.size, "size", "s", false, "measure what containers wrote")
	f.BoolVar(&o.namespaces, "ns", false, "show namespaces")
	f.BoolVar(&o.namespaces, "namespace", false, "the same")
	f.BoolVarP(&o.pod, "pod", "p", false, "show pods")
	f.BoolVar(&o.noHeader, "noheading", false, "leave out the head of the table")
	f.StringVar(&o.order, "sort", "", "command|created|id|image|names|runningfor|size|status (default: the newest first)")
	f.StringVarP(&o.watch, "watch", "w", "", "show them again every so many seconds")
	f.Bool("external", false, "accepted for podman's sake: rl has no others")
	f.Bool("sync", false, "accepted for podman's sake: what is shown is always the kernel's word")
	f.StringArrayVarP(&o.filters, "filter", "f", nil, "id|name|label|status|exited|ancestor|before|since|until|volume|health|pod|network|publish|expose=VALUE")
	return func(s Streams, args []string) error {
		if err := exactly("ps", args, 0); err != nil {
			return err
		}
		seconds, err := o.check()
		if err != nil {
			return usageError{Text: err.Error(), Command: "ps"}
		}
		if seconds == 0 {
			debug.SetGCPercent(roomy)
		}
		for {
			if seconds > 0 && term.IsTerminal(int(s.Out.Fd())) {
				fmt.Fprint(s.Out, "\x1b[H\x1b[2J")
			}
			if err := o.show(s); err != nil || seconds == 0 {
				return err
			}
			time.Sleep(time.Duration(seconds) * time.Second)
		}
	}
}

func (o *listingOptions) check() (seconds uint64, err error) {
	last, err := strconv.Atoi(o.last)
	if err != nil {
		return 0, fmt.Errorf("invalid argument %q for \"-n, --last\" flag: %w", o.last, err)
	}
	if o.watch != "" {
		if seconds, err = strconv.ParseUint(o.watch, 10, 31); err != nil {
			return 0, fmt.Errorf("invalid argument %q for \"-w, --watch\" flag: %w", o.watch, err)
		}
	}
	switch {
	case o.latest && last >= 0:
		return 0, errors.New("last and latest are mutually exclusive")
	case o.latest && o.watch != "":
		return 0, errors.New("the watch and latest flags cannot be used together")
	case o.quiet && (o.size || o.namespaces):
		return 0, errors.New("quiet conflicts with size and namespace")
	case o.size && o.namespaces:
		return 0, errors.New("size and namespace options conflict")
	}
	if o.number = max(0, last); o.latest {
		o.number = 1
	}
	if o.order == "size" {
		o.size = true
	}
	if o.order != "" {
		err = psSort(nil, o.order)
	}
	return seconds, err
}

func (o *listingOptions) show(s Streams) error {
	host, entries, err := start.ListHost()
	if err != nil {
		return err
	}
	list, unread := container.ListOf(host.Dirs, entries, time.Now())
	if list, err = o.pick(list); err != nil {
		return err
	}
	var measured map[string]sizes
	if o.size || namesField(o.format, "Size") {
		if measured, err = measure(host, list); err != nil {
			return err
		}
	}
	rows, seen := []psRow{}, exposer{}
	for _, i := range list {
		row := psRow{info: i, long: o.long, seen: seen}
		if size, ok := measured[i.ID]; ok {
			row.size = &size
		}
		rows = append(rows, row)
	}
	if o.order != "" {
		_ = psSort(rows, o.order) // checked before
	}
	return errors.Join(o.print(s.Out, rows), unread)
}

// pick leaves those that are asked for, the newest first.
func (o *listingOptions) pick(list []*container.Info) ([]*container.Info, error) {
	slices.SortFunc(list, func(a, b *container.Info) int { return b.Created.Compare(a.Created) })
	tests, err := psFilters(o.filters, list)
	if err != nil {
		return nil, usageError{Text: err.Error(), Command: "ps"}
	}
	if !o.all && o.number == 0 && !slices.ContainsFunc(o.filters, func(f string) bool { return strings.HasPrefix(f, "status=") || strings.HasPrefix(f, "exited=") }) {
		tests = append(tests, active)
	}
	list = slices.DeleteFunc(list, func(i *container.Info) bool { return !allHold(tests, i) })
	if o.number > 0 {
		list = list[:min(o.number, len(list))]
	}
	return list, nil
}

func (o *listingOptions) print(w io.Writer, rows []psRow) error {
	table, format := psTable, o.format
	switch {
	case o.namespaces:
		table = psNSTable
	case o.pod:
		table += "\t{{.Pod}}\t{{.PodName}}"
	}
	if o.size {
		table += "\t{{.Size}}"
	}
	if o.quiet && format != "json" {
		format = "{{.ID}}"
	}
	l := listing[psRow]{table: table, columns: psColumns, noHead: o.noHeader, labels: func(r psRow) map[string]string { return r.info.Options.Labels }}
	var whole []psJSON
	if format == "json" {
		whole = []psJSON{}
		for _, r := range rows {
			whole = append(whole, r.json(o.namespaces))
		}
	}
	return l.print(w, format, rows, whole)
}
