package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"golang.org/x/term"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
)

// statsOptions are the flags of stats.
type statsOptions struct {
	all, latest, once, noReset, long bool
	format, interval                 string
	refs                             []string
	show                             listing[statsRow]
	pick                             func() ([]*container.Info, error) // nil: by refs
}

func statsFlags(f *flags.Set) func(Streams, []string) error {
	o := &statsOptions{show: listing[statsRow]{table: statsTable, columns: statsColumns}}
	f.BoolVarP(&o.all, "all", "a", false, "show those too that do not run")
	f.BoolVar(&o.once, "no-stream", false, "show them once")
	f.BoolVar(&o.noReset, "no-reset", false, "do not clear the screen")
	f.BoolVar(&o.long, "no-trunc", false, "show whole ids")
	f.StringVar(&o.format, "format", "", "json, [table] TEMPLATE, or nothing for a table")
	f.BoolVarP(&o.latest, "latest", "l", false, "the container that was made last")
	f.StringVarP(&o.interval, "interval", "i", "5", "seconds between measurements")
	return func(s Streams, args []string) error {
		o.refs = args
		seconds, err := strconv.ParseFloat(o.interval, 64)
		if err != nil || seconds <= 0 || seconds > 86400 {
			return usageError{Text: fmt.Sprintf("invalid interval %s, must be a positive number greater zero", o.interval), Command: "stats"}
		}
		if o.all && (o.latest || len(args) > 0) || o.latest && len(args) > 0 {
			return usageError{Text: "--all, --latest and containers cannot be used together", Command: "stats"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		return o.run(s, host, time.Duration(seconds*float64(time.Second)))
	}
}

// run measures twice before it shows anything: a percentage is of a time.
func (o *statsOptions) run(s Streams, host container.Host, interval time.Duration) error {
	then, err := o.measure(host, nil)
	if err != nil {
		return err
	}
	for wait := min(interval, time.Second/2); ; wait = interval {
		time.Sleep(wait)
		now, err := o.measure(host, then)
		if err != nil {
			return err
		}
		if !o.once && !o.noReset && term.IsTerminal(int(s.Out.Fd())) {
			fmt.Fprint(s.Out, "\x1b[H\x1b[2J")
		}
		whole := []statsJSON{}
		for _, r := range now {
			whole = append(whole, r.json())
		}
		if err := o.show.print(s.Out, o.format, now, whole); err != nil || o.once {
			return err
		}
		then = now
	}
}

func (o *statsOptions) measure(host container.Host, before []statsRow) (rows []statsRow, err error) {
	list, err := o.list(host)
	if err != nil {
		return nil, err
	}
	for _, i := range list {
		r := statsRow{info: i, long: o.long}
		if i.Running() {
			if r.now, err = i.Usage(); errors.Is(err, container.ErrNotRunning) {
				continue
			} else if err != nil {
				return nil, err
			}
		}
		for _, b := range before {
			if b.info.ID == i.ID {
				r.then = b.now
			}
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func (o *statsOptions) list(host container.Host) (list []*container.Info, err error) {
	if o.pick != nil {
		return o.pick()
	}
	if o.latest {
		info, err := latestContainer(host)
		return []*container.Info{info}, err
	}
	for _, ref := range o.refs {
		info, err := container.Find(host.Dirs, ref)
		if err != nil {
			return nil, err
		}
		list = append(list, info)
	}
	if len(o.refs) > 0 {
		return list, nil
	}
	list, err = container.List(host.Dirs)
	return slices.DeleteFunc(list, func(i *container.Info) bool { return !o.all && !i.Running() }), err
}
