package netslirp

import (
	"sync"
	"time"
)

// pending counts what is under way; a sync.WaitGroup cannot be waited for with
// a limit.
type pending struct {
	mu    sync.Mutex
	count int
	none  chan struct{} // closed at zero; nil: nobody waits
}

func (p *pending) Add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count += n
	if p.count == 0 && p.none != nil {
		close(p.none)
		p.none = nil
	}
}

func (p *pending) Done() { p.Add(-1) }

// wait waits until there is nothing, or for the limit.
func (p *pending) wait(limit time.Duration) {
	p.mu.Lock()
	if p.count == 0 {
		p.mu.Unlock()
		return
	}
	none := make(chan struct{})
	p.none = none
	p.mu.Unlock()
	select {
	case <-none:
	case <-time.After(limit):
	}
}
