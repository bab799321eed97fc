package cli

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/term"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
)

// statsRow is one container's usage.
type statsRow struct {
	info      *container.Info
	now, then container.Usage
	long      bool
}

// statsColumns are docker's and podman's (docker-stats(1), podman-stats(1)).
var statsColumns = map[string]column[statsRow]{
	"Container": {"CONTAINER", func(r statsRow) any { return r.id() }}, "ID": {"ID", func(r statsRow) any { return r.id() }},
	"Name": {"NAME", func(r statsRow) any { return r.info.Name() }}, "CPUPerc": {"CPU %", func(r statsRow) any { return r.cpu() + "%" }},
	"CPU": {"CPU", func(r statsRow) any { return r.cpu() }}, "MemUsage": {"MEM USAGE / LIMIT", func(r statsRow) any { return r.memory() }},
	"MemUsageBytes": {"MEM USAGE / LIMIT", func(r statsRow) any { return r.memoryBinary() }}, "MemPerc": {"MEM %", func(r statsRow) any { return r.memoryPart() }},
	"NetIO":   {"NET IO", func(r statsRow) any { return pair(r.now.NetIn, r.now.NetOut) }},
	"BlockIO": {"BLOCK IO", func(r statsRow) any { return pair(r.now.BlockIn, r.now.BlockOut) }},
	"PIDs":    {"PIDS", func(r statsRow) any { return r.now.PIDs }}, "PIDS": {"PIDS", func(r statsRow) any { return r.now.PIDs }},
	"CPUTime": {"CPU TIME", func(r statsRow) any { return r.now.CPU.String() }}, "UpTime": {"CPU TIME", func(r statsRow) any { return r.now.CPU.String() }},
	"AVGCPU": {"AVG CPU %", func(r statsRow) any { return r.average() }},
}

const statsTable = "{{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}\t{{.CPUTime}}\t{{.AVGCPU}}"

func (r statsRow) id() string {
	if r.long {
		return r.info.ID
	}
	return short(r.info.ID)
}

func pair(a, b uint64) string { return humanSize(int64(a)) + " / " + humanSize(int64(b)) }

func (r statsRow) cpu() string {
	span := r.now.At.Sub(r.then.At)
	if r.then.At.IsZero() || span <= 0 || r.now.CPU < r.then.CPU {
		return "0.00"
	}
	return fmt.Sprintf("%.2f", 100*float64(r.now.CPU-r.then.CPU)/float64(span))
}

func (r statsRow) average() string {
	if r.now.At.IsZero() {
		return "0.00%"
	}
	return fmt.Sprintf("%.2f%%", 100*float64(r.now.CPU)/float64(max(time.Since(r.info.State.Started), time.Millisecond)))
}

func (r statsRow) memory() string { return pair(r.now.Memory, r.now.Limit) }

func (r statsRow) memoryBinary() string {
	return fmt.Sprintf("%.4gMiB / %.4gGiB", float64(r.now.Memory)/(1<<20), float64(r.now.Limit)/(1<<30))
}

func (r statsRow) memoryPart() string {
	return fmt.Sprintf("%.2f%%", 100*float64(r.now.Memory)/float64(max(r.now.Limit, 1)))
}

type statsJSON struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	CPUTime  string `json:"cpu_time"`
	CPUPerc  string `json:"cpu_percent"`
	AVGCPU   string `json:"avg_cpu"`
	MemUsage string `json:"mem_usage"`
	MemPerc  string `json:"mem_percent"`
	NetIO    string `json:"net_io"`
	BlockIO  string `json:"block_io"`
	PIDs     string `json:"pids"`
}

func (r statsRow) json() statsJSON {
	return statsJSON{r.id(), r.info.Name(), r.now.CPU.String(), r.cpu() + "%", r.average(), r.memory(), r.memoryPart(), pair(r.now.NetIn, r.now.NetOut),
		pair(r.now.BlockIn, r.now.BlockOut), strconv.Itoa(r.now.PIDs)}
}

// statsOptions are the flags of stats.
type statsOptions struct {
	all, once, noReset, long bool
	format, interval         string
	refs                     []string
	show                     listing[statsRow]
	pick                     func() ([]*container.Info, error) // nil: by refs
}

func statsFlags(f *flags.Set) func(Streams, []string) error {
	o := &statsOptions{show: listing[statsRow]{table: statsTable, columns: statsColumns}}
	f.BoolVarP(&o.all, "all", "a", false, "show those too that do not run")
	f.BoolVar(&o.once, "no-stream", false, "show them once")
	f.BoolVar(&o.noReset, "no-reset", false, "do not clear the screen")
	f.BoolVar(&o.long, "no-trunc", false, "show whole ids")
	f.StringVar(&o.format, "format", "", "json, [table] TEMPLATE, or nothing for a table")
	f.StringVarP(&o.interval, "interval", "i", "1", "seconds between measurements")
	return func(s Streams, args []string) error {
		o.refs = args
		seconds, err := strconv.ParseFloat(o.interval, 64)
		if err != nil || seconds <= 0 || seconds > 86400 {
			return usageError{Text: fmt.Sprintf("--interval %s: a number of seconds", o.interval), Command: "stats"}
		}
		if o.all && len(args) > 0 {
			return usageError{Text: "--all and names of containers cannot be used together", Command: "stats"}
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
	found, err := container.List(host.Dirs)
	for _, i := range found {
		if o.all || i.Running() {
			list = append(list, i)
		}
	}
	return list, err
}
