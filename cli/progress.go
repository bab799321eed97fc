package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// progress shows a bar a layer on a terminal, and a line a layer elsewhere.
type progress struct {
	mu     sync.Mutex
	out    io.Writer
	fancy  bool
	quiet  bool
	layers []*layerProgress
	byName map[string]*layerProgress
	drawn  int // lines on the screen
	stop   chan struct{}
	ended  chan struct{}
}

type layerProgress struct {
	name       string
	size, done int64
	state      string
	ok         bool
}

const (
	barWidth = 30
	redraw   = 100 * time.Millisecond
)

func newProgress(out *os.File, quiet bool) *progress {
	p := &progress{out: out, quiet: quiet, byName: map[string]*layerProgress{}, stop: make(chan struct{}), ended: make(chan struct{})}
	p.fancy = !quiet && term.IsTerminal(int(out.Fd())) && os.Getenv("TERM") != "dumb"
	if !p.fancy {
		close(p.ended)
		return p
	}
	go p.animate()
	return p
}

// Start says that a layer of size bytes is being fetched; -1 when unknown.
func (p *progress) Start(layer string, size int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := &layerProgress{name: short(layer), size: size, state: "Pulling"}
	p.layers, p.byName[layer] = append(p.layers, l), l
	if !p.fancy && !p.quiet {
		fmt.Fprintf(p.out, "%s: Pulling (%s)\n", l.name, humanSize(size))
	}
}

// Advance says that n more bytes of a layer have come.
func (p *progress) Advance(layer string, n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l := p.byName[layer]; l != nil {
		l.done += n
	}
}

// Done says that a layer is in the store; cached that it was there before.
func (p *progress) Done(layer string, cached bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.byName[layer]
	if l == nil {
		l = &layerProgress{name: short(layer)}
		p.layers, p.byName[layer] = append(p.layers, l), l
	}
	l.state, l.ok = "Pull complete", true
	if cached {
		l.state = "Already exists"
	}
	if !p.fancy && !p.quiet {
		fmt.Fprintf(p.out, "%s: %s\n", l.name, l.state)
	}
}

// Close draws the last state and leaves the cursor below it.
func (p *progress) Close() {
	close(p.stop)
	<-p.ended
}

func (p *progress) animate() {
	defer close(p.ended)
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.draw()
		case <-p.stop:
			p.draw()
			return
		}
	}
}

func (p *progress) draw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	if p.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", p.drawn)
	}
	for _, l := range p.layers {
		fmt.Fprintf(&b, "\r\x1b[K%s\n", l.line())
	}
	p.drawn = len(p.layers)
	_, _ = io.WriteString(p.out, b.String())
}

func (l *layerProgress) line() string {
	if l.ok || l.size <= 0 {
		return l.name + ": " + l.state
	}
	full := int(min(l.done, l.size) * barWidth / l.size)
	bar := strings.Repeat("=", full) + strings.Repeat(" ", barWidth-full)
	return fmt.Sprintf("%s: %s [%s] %s/%s", l.name, l.state, bar, humanSize(l.done), humanSize(l.size))
}

// short is the form of a digest that docker shows.
func short(digest string) string {
	_, hex, ok := strings.Cut(digest, ":")
	if !ok {
		hex = digest
	}
	return hex[:min(12, len(hex))]
}

// humanSize is docker's: decimal units, three digits.
func humanSize(n int64) string {
	if n < 0 {
		return "unknown size"
	}
	value, unit := float64(n), 0
	units := []string{"B", "kB", "MB", "GB", "TB", "PB"}
	for value >= 1000 && unit < len(units)-1 {
		value, unit = value/1000, unit+1
	}
	return fmt.Sprintf("%.3g%s", value, units[unit])
}
