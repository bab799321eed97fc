package netslirp

import (
	"sync/atomic"
	"time"
)

// quiet tells of the silence after a container has sent something. It costs
// nothing while none is awaited: there is one timer then, and none later.
type quiet struct {
	packets atomic.Uint64
	awaited atomic.Bool
	after   atomic.Pointer[func()]
	limit   time.Duration // of the one goroutine that waits
}

// A silence is the longer the more often there was one: with a request every
// few seconds there soon is none any more.
const (
	firstQuiet = 500 * time.Millisecond
	lastQuiet  = time.Minute
)

// WhenQuiet has f called after the container has sent nothing for a while, each
// time that it had sent something.
func (s *Server) WhenQuiet(f func()) {
	s.quiet.after.Store(&f)
	s.quiet.await()
}

// packet is called for each packet.
func (q *quiet) packet() {
	q.packets.Add(1)
	if !q.awaited.Load() {
		q.await()
	}
}

func (q *quiet) await() {
	if q.after.Load() == nil || !q.awaited.CompareAndSwap(false, true) {
		return
	}
	q.limit = min(max(2*q.limit, firstQuiet), lastQuiet)
	seen := q.packets.Load()
	time.AfterFunc(q.limit, func() { q.look(seen) })
}

// look ends the waiting when nothing has come since seen were counted.
func (q *quiet) look(seen uint64) {
	now := q.packets.Load()
	if now != seen {
		time.AfterFunc(q.limit, func() { q.look(now) })
		return
	}
	(*q.after.Load())()
	q.awaited.Store(false)
	if q.packets.Load() != now { // it came while nobody was told any more
		q.await()
	}
}
