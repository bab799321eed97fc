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
	begun                  map[string]bool   // a line without its end was written
	held                   map[string][]byte // the same with whole
}

func newLogPrinter(s Streams, live bool) *logPrinter {
	return &logPrinter{streams: newLogStreams(s), live: live}
}

// stampTime is docker's: nine digits always.
const stampTime = "2006-01-02T15:04:05.000000000Z07:00"

func (p *logPrinter) print(l container.Line) error {
	if p.begun == nil {
		p.begun, p.held = map[string]bool{}, map[string][]byte{}
	}
	if p.whole && !l.Ended {
		p.held[l.Stream] = append(p.held[l.Stream], l.Text...)
		return nil
	}
	if held := p.held[l.Stream]; len(held) > 0 {
		l.Text = append(held, l.Text...)
		p.held[l.Stream] = nil
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
	if !p.begun[l.Stream] {
		w.WriteString(p.before)
		if p.stamps {
			w.WriteString(l.Time.Format(stampTime) + " ")
		}
		w.WriteString(p.details)
	}
	w.Write(l.Text)
	if p.begun[l.Stream] = !l.Ended; l.Ended {
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
			if text := p.held[name]; len(text) > 0 {
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
