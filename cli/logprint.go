package cli

import (
	"bufio"
	"io"
	"sync"

	"containers/rl/container"
)

// logStreams are our own two, shared by all whose logs are shown. The text is
// flushed when the other stream is written to, so that both keep their order.
type logStreams struct {
	mu       sync.Mutex
	out, err *bufio.Writer
	last     *bufio.Writer
}

func newLogStreams(s Streams) *logStreams {
	stream := func(w io.Writer) *bufio.Writer { return bufio.NewWriterSize(w, 256<<10) }
	return &logStreams{out: stream(s.Out), err: stream(s.Err)}
}

// to gives the stream of a name, or nil.
func (s *logStreams) to(name string) (w *bufio.Writer, err error) {
	switch name {
	case "stdout":
		w = s.out
	case "stderr":
		w = s.err
	default:
		return nil, nil // none of ours
	}
	if s.last != nil && s.last != w {
		err = s.last.Flush()
	}
	s.last = w
	return w, err
}

// logPrinter gives a container's streams back as they were.
type logPrinter struct {
	streams                *logStreams
	stamps                 bool
	live                   bool // a person may be watching
	whole                  bool // others write too: whole lines only
	before, after, details string
	parts                  [2]part // of stdout and stderr
}

// part is a line without its end.
type part struct {
	shown bool
	held  []byte // with whole
}

func (p *logPrinter) part(stream string) *part {
	if stream == "stderr" {
		return &p.parts[1]
	}
	return &p.parts[0]
}

func newLogPrinter(s Streams, live bool) *logPrinter {
	return &logPrinter{streams: newLogStreams(s), live: live}
}

// stampTime is docker's: nine digits always.
const stampTime = "2006-01-02T15:04:05.000000000Z07:00"

func (p *logPrinter) print(l container.Line) error {
	if part := p.part(l.Stream); p.whole {
		if !l.Ended {
			part.held = append(part.held, l.Text...)
			return nil
		}
		if len(part.held) > 0 {
			l.Text, part.held = append(part.held, l.Text...), nil
		}
	}
	p.streams.mu.Lock()
	defer p.streams.mu.Unlock()
	w, err := p.streams.to(l.Stream)
	if w == nil || err != nil {
		return err
	}
	p.line(w, l)
	if !p.live {
		return nil
	}
	return w.Flush()
}

// line: what a writer could not write, its next Flush says.
func (p *logPrinter) line(w *bufio.Writer, l container.Line) {
	part := p.part(l.Stream)
	if !part.shown {
		w.WriteString(p.before)
		if p.stamps {
			w.WriteString(l.Time.Format(stampTime) + " ")
		}
		w.WriteString(p.details)
	}
	w.Write(l.Text)
	if part.shown = !l.Ended; l.Ended {
		w.WriteString(p.after)
		w.WriteByte('\n')
	}
}

// end writes what is left.
func (p *logPrinter) end() error {
	for _, name := range []string{"stdout", "stderr"} {
		p.streams.mu.Lock()
		w, err := p.streams.to(name)
		if err == nil {
			if text := p.part(name).held; len(text) > 0 {
				p.line(w, container.Line{Stream: name, Text: text})
			}
			err = w.Flush()
		}
		p.streams.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}
