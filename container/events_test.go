package container

import (
	"slices"
	"testing"
	"time"

	"containers/rl/storage"
)

// What was written comes back, whatever is in the names; what is no line of
// ours is passed over.
func TestEvents(t *testing.T) {
	d := storage.Dirs{Data: t.TempDir()}
	o := &Options{ID: "abc", Name: `a "name" \ `, ImageName: "i:1\nx", Labels: map[string]string{"b": "c d", "a": ""}}
	emit(d, o.event("create"), o.event("died", "exitCode=3"))
	var got []Event
	take := func(e Event) error { got = append(got, e); return nil }
	if err := Events(d, time.Time{}, time.Time{}, false, take); err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	e := got[1]
	if e.Status != "died" || e.ID != "abc" || e.Name != o.Name || e.Image != o.ImageName || !slices.Equal(e.Attributes, []string{"a=", "b=c d", "exitCode=3"}) || time.Since(e.Time) > time.Minute {
		t.Errorf("%+v", e)
	}
	got = nil
	if err := Events(d, time.Now().Add(time.Hour), time.Time{}, false, take); err != nil || len(got) != 0 {
		t.Errorf("of the future: %v, %v", got, err)
	}
	for _, line := range []string{"", "\n", "x", "1 container start id", `1 container start id "name`, `x container start id "n" "i"`} {
		if e, ok := parseEvent(line); ok {
			t.Errorf("%q is taken for %v", line, e)
		}
	}
}
