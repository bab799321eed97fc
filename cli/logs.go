package cli

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
)

func logsFlags(f *flags.Set) func(Streams, []string) error {
	q := container.LogQuery{}
	f.BoolVarP(&q.Follow, "follow", "f", false, "go on until the container ends")
	since := f.String("since", "", "leave out what is older: a time, or a duration before now")
	until := f.String("until", "", "leave out what is younger")
	tail := f.StringP("tail", "n", "all", "the last lines only")
	stamps := f.BoolP("timestamps", "t", false, "show the time of each line")
	names := f.Bool("names", false, "show the name of the container before each line")
	return func(s Streams, args []string) (err error) {
		bad := func(err error) error { return usageError{Text: err.Error(), Command: "logs"} }
		if len(args) == 0 {
			return bad(fmt.Errorf("logs needs a container"))
		}
		if q.Since, err = parseTime(*since, time.Now()); err != nil {
			return bad(fmt.Errorf("--since: %w", err))
		}
		if q.Until, err = parseTime(*until, time.Now()); err != nil {
			return bad(fmt.Errorf("--until: %w", err))
		}
		if q.Tail = -1; *tail != "all" {
			if q.Tail, err = strconv.Atoi(*tail); err != nil {
				return bad(fmt.Errorf("--tail %s: a number of lines, or all", *tail))
			}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		for _, ref := range args {
			info, err := container.Find(host.Dirs, ref)
			if err != nil {
				return err
			}
			p := newLogPrinter(s, *stamps)
			p.live = q.Follow
			if *names || len(args) > 1 {
				p.name = info.Name() + " "
			}
			if err := info.Logs(q, p.print); err != nil {
				return err
			}
			if err := p.flush(); err != nil {
				return err
			}
		}
		return nil
	}
}

// logPrinter gives each stream back as it was.
type logPrinter struct {
	streams map[string]*logStream
	last    *logStream
	stamps  bool
	live    bool
	name    string
}

type logStream struct {
	w     *bufio.Writer
	begun bool // a line without its end was written
}

func newLogPrinter(s Streams, stamps bool) *logPrinter {
	stream := func(w io.Writer) *logStream { return &logStream{w: bufio.NewWriterSize(w, 64<<10)} }
	return &logPrinter{streams: map[string]*logStream{"stdout": stream(s.Out), "stderr": stream(s.Err)}, stamps: stamps}
}

func (p *logPrinter) print(l container.Line) error {
	s := p.streams[l.Stream]
	if s == nil {
		return nil // none of ours
	}
	if p.last != nil && p.last != s { // in the order in which they were written
		if err := p.last.w.Flush(); err != nil {
			return err
		}
	}
	p.last = s
	if !s.begun {
		s.w.WriteString(p.name)
		if p.stamps {
			s.w.WriteString(l.Time.Format(time.RFC3339Nano) + " ")
		}
	}
	s.w.Write(l.Text)
	if s.begun = !l.Ended; l.Ended {
		s.w.WriteByte('\n')
	}
	if !p.live {
		return nil
	}
	return s.w.Flush() // a person may be watching
}

func (p *logPrinter) flush() error {
	for _, name := range []string{"stdout", "stderr"} {
		if err := p.streams[name].w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// parseTime reads docker's times: RFC 3339 and its beginnings, seconds since
// 1970, or a duration before now.
func parseTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02Z07:00", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
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
