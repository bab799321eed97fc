package netslirp

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{}
		var calls atomic.Int32
		s.quiet.packet() // nobody wants to know yet
		s.WhenQuiet(0, func() { calls.Add(1) })
		expect := func(after time.Duration, want int32) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if got := calls.Load(); got != want {
				t.Errorf("%d calls, not %d", got, want)
			}
		}
		expect(firstQuiet-1, 0)
		s.quiet.packet()
		expect(firstQuiet, 0)
		expect(firstQuiet, 1)
		expect(time.Hour, 1) // told once
		s.quiet.packet()
		expect(2*firstQuiet-1, 1)
		expect(1, 2)
		for range 20 {
			s.quiet.packet()
			time.Sleep(2 * lastQuiet)
		}
		expect(0, 22)
		s.quiet.packet()
		expect(lastQuiet-1, 22)
		expect(1, 23)
	})
}

// What comes while f runs is told of as well.
func TestQuietMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{}
		var calls atomic.Int32
		s.WhenQuiet(0, func() {
			if calls.Add(1) == 1 {
				s.quiet.packet()
			}
		})
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := calls.Load(); got != 2 {
			t.Errorf("%d calls, not 2", got)
		}
	})
}
