package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
)

// logsCommand are the flags of logs as they were typed.
type logsCommand struct {
	query                                         container.LogQuery
	since, until, tail                            string
	stamps, names, color, latest, details, follow bool
}

func (c *logsCommand) flags(f *flags.Set) {
	f.BoolVarP(&c.follow, "follow", "f", false, "go on until the container ends")
	f.StringVar(&c.since, "since", "", "leave out what is older: a time, or a duration before now")
	f.StringVar(&c.until, "until", "", "leave out what is younger; with --follow a duration is one from now on")
	f.StringVarP(&c.tail, "tail", "n", "all", "the last lines only; -n without a number is --names")
	f.BoolVarP(&c.stamps, "timestamps", "t", false, "show the time of each line")
	f.BoolVar(&c.names, "names", false, "show the container's name before each line, in place of its id")
	f.BoolVar(&c.color, "color", false, "show each container's lines in another color")
	f.BoolVarP(&c.latest, "latest", "l", false, "the container that was made last")
	f.BoolVar(&c.details, "details", false, "show the container's labels before each line")
}

func logsFlags(f *flags.Set) func(Streams, []string) error {
	c := &logsCommand{}
	c.flags(f)
	return func(s Streams, args []string) error {
		if raw := namesFlag(f.Raw()); raw != nil {
			again := flags.New("logs")
			c.flags(again)
			if err := again.Parse(raw); err != nil {
				return usageError{Text: err.Error(), Command: "logs"}
			}
			args = again.Args()
		}
		if err := c.check(args, time.Now()); err != nil {
			return usageError{Text: err.Error(), Command: "logs"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		list, err := c.find(host, args)
		if err != nil {
			return err
		}
		return c.show(s, list)
	}
}

// namesFlag: -n is docker's --tail and takes a number; it is podman's --names
// and takes nothing. nil: it is not used that way.
func namesFlag(raw []string) []string {
	latest := slices.Contains(raw, "-l") || slices.Contains(raw, "--latest")
	for i, word := range raw {
		if word == "--" {
			break
		}
		if word != "-n" || i+1 == len(raw) {
			continue
		}
		if _, err := strconv.Atoi(raw[i+1]); err != nil && raw[i+1] != "all" || !latest && i+2 == len(raw) && !slices.ContainsFunc(raw[:i], isArgument) {
			changed := slices.Clone(raw)
			changed[i] = "--names"
			return changed
		}
	}
	return nil
}

func isArgument(word string) bool { return !strings.HasPrefix(word, "-") }

func (c *logsCommand) check(args []string, now time.Time) (err error) {
	q := &c.query
	switch {
	case c.latest && len(args) > 0:
		return errors.New("--latest and containers cannot be used together")
	case !c.latest && len(args) == 0:
		return errors.New("logs needs a container: specify at least one container name or ID to log")
	}
	if q.Since, err = parseTime(c.since, now); err != nil {
		return fmt.Errorf("parsing --since %w", err)
	}
	if q.Until, err = parseTime(c.until, now); err != nil {
		return fmt.Errorf("parsing --until %w", err)
	}
	if d, isDuration := time.ParseDuration(c.until); isDuration == nil && c.follow {
		q.Until = now.Add(d)
	}
	q.Follow = c.follow
	if q.Tail = -1; c.tail != "all" {
		if q.Tail, err = strconv.Atoi(c.tail); err != nil {
			return fmt.Errorf("--tail %s: a number of lines, or all", c.tail)
		}
	}
	return nil
}

// find finds all before anything is shown.
func (c *logsCommand) find(host container.Host, args []string) (list []*container.Info, err error) {
	if c.latest {
		info, err := latestContainer(host)
		return []*container.Info{info}, err
	}
	for _, ref := range args {
		info, err := container.Find(host.Dirs, ref)
		if err != nil {
			return nil, err
		}
		list = append(list, info)
	}
	return list, nil
}

// show shows one after the other, or with --follow all at once.
func (c *logsCommand) show(s Streams, list []*container.Info) error {
	out := newLogStreams(s)
	failed := make([]error, len(list))
	var all sync.WaitGroup
	for n, info := range list {
		p := &logPrinter{streams: out, stamps: c.stamps, live: c.follow, whole: c.follow && len(list) > 1}
		c.decorate(p, n, info, len(list) > 1)
		read := func() { failed[n] = errors.Join(readLog(info, c.query, p.print), p.end()) }
		if p.whole {
			all.Go(read)
			continue
		}
		if read(); failed[n] != nil {
			break
		}
	}
	all.Wait()
	return errors.Join(failed...)
}

// decorate says what is before and after each line of a container.
func (c *logsCommand) decorate(p *logPrinter, n int, info *container.Info, several bool) {
	switch {
	case c.names:
		p.before = info.Name() + " "
	case several:
		p.before = info.ID[:12] + " "
	}
	if c.color {
		p.before, p.after = fmt.Sprintf("\x1b[%dm%s", logColors[n%len(logColors)], p.before), "\x1b[0m"
	}
	if c.details {
		var labels []string
		for name, value := range info.Options.Labels {
			labels = append(labels, name+"="+value)
		}
		slices.Sort(labels)
		p.details = strings.Join(labels, ",") + " "
	}
}

// logColors are SGR numbers (console_codes(4)): white first, as podman's.
var logColors = []int{37, 31, 32, 33, 34, 35, 36}

// readLog reads a log wherever it is kept.
func readLog(info *container.Info, q container.LogQuery, each func(container.Line) error) error {
	if info.Options.LogDriver() == container.LogJournald {
		return readJournal(info, q, each)
	}
	return info.Logs(q, each)
}

// parseTime reads docker's times: RFC 3339 and its beginnings, seconds since
// 1970, or a duration before now.
func parseTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && text != "0" {
		return now.Add(-d), nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05.999999999", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02T15", "2006-01-02"} {
		for _, zone := range []string{"Z07:00", ""} {
			if t, err := time.ParseInLocation(layout+zone, text, time.Local); err == nil {
				return t, nil
			}
		}
	}
	whole, fraction, _ := strings.Cut(text, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	nanos, err2 := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	if err != nil || err2 != nil || len(fraction) > 9 {
		return time.Time{}, fmt.Errorf("%q: a time such as 2006-01-02T15:04:05, seconds since 1970, or a duration such as 10m", text)
	}
	return time.Unix(seconds, nanos), nil
}

// inspectedLog is a container's log as docker and podman show it: the options
// in Config are docker's, the rest are podman's.
type inspectedLog struct {
	Type            string
	Config          map[string]string
	Path, Tag, Size string
}

func inspectLog(o *container.Options) inspectedLog {
	l := inspectedLog{Type: o.LogDriver(), Config: map[string]string{}, Path: o.Log.Path, Tag: o.Log.Tag, Size: humanSize(o.Log.MaxSize)}
	if o.Log.MaxSize > 0 {
		l.Config["max-size"] = strconv.FormatInt(o.Log.MaxSize, 10)
	}
	if o.Log.MaxFile > 0 {
		l.Config["max-file"] = strconv.Itoa(o.Log.MaxFile)
	}
	return l
}
