package netslirp

import (
	"sync/atomic"
	"time"
)

// quiet tells of the silence after a container has sent something. It costs
// nothing while none is awaited: there is one timer then, and none later.
type quiet struct {
	packets atomic.Uint64
	told    atomic.Uint64 // the packets that had come when the silence was told
	awaited atomic.Bool
	after   atomic.Pointer[func()]
	times   atomic.Int64 // how often it was awaited
}

// A silence is the longer the more often there was one: with a request every
// few seconds there soon is none any more.
const (
	firstQuiet = 500 * time.Millisecond
	lastQuiet  = time.Minute
	mostQuiet  = 7 // times that it becomes longer
)

func (q *quiet) limit() time.Duration {
	return min(firstQuiet<<min(q.times.Load(), mostQuiet), lastQuiet)
}

// WhenQuiet has f called after the container has sent nothing for a while, each
// time that it had sent something, and when the last of what it had begun has
// ended. times is how often that was awaited by a server before this one.
func (s *Server) WhenQuiet(times int, f func()) {
	s.quiet.times.Store(int64(times) - 1)
	s.quiet.after.Store(&f)
	s.quiet.await()
}

// Quiets is how often silence was awaited, for the WhenQuiet of the next server.
func (s *Server) Quiets() int { return int(min(s.quiet.times.Load()+1, mostQuiet)) }

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
	q.times.Add(1)
	seen := q.packets.Load()
	time.AfterFunc(q.limit(), func() { q.look(seen) })
}

// look ends the waiting when nothing has come since seen were counted.
func (q *quiet) look(seen uint64) {
	now := q.packets.Load()
	if now != seen {
		time.AfterFunc(q.limit(), func() { q.look(now) })
		return
	}
	q.told.Store(now)
	(*q.after.Load())()
	q.awaited.Store(false)
	if q.packets.Load() != now { // it came while nobody was told any more
		q.await()
	}
}

// activity counts what may still have something to say, though the container is
// silent: connections, flows of datagrams, questions without an answer.
type activity struct {
	count atomic.Int64
	quiet *quiet
}

func (a *activity) began() { a.count.Add(1) }

func (a *activity) ended() {
	if a.count.Add(-1) == 0 {
		a.quiet.await()
	}
}
