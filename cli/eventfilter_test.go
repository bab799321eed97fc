package cli

import (
	"testing"
	"time"

	"containers/rl/container"
)

func TestEventFilters(t *testing.T) {
	died := container.Event{Type: "container", Status: "died", ID: "abc123", Name: "web", Image: "nginx", Attributes: []string{"pod_id=p1", "a=b", "exitCode=3"}}
	pulled := container.Event{Type: "image", Status: "pull", ID: "def456", Name: "docker.io/library/nginx:latest"}
	pod := container.Event{Type: "pod", Status: "create", ID: "abc999", Name: "web"}
	volume := container.Event{Type: "volume", Status: "create", Name: "data"}
	for _, c := range []struct {
		filters []string
		event   container.Event
		want    bool
	}{
		{nil, died, true},
		{[]string{"event=died"}, died, true},
		{[]string{"event=die"}, died, true},
		{[]string{"status=DIED"}, died, true},
		{[]string{"event=start", "event=died"}, died, true},
		{[]string{"event=died", "container=db"}, died, false},
		{[]string{"container=abc"}, died, true},
		{[]string{"container=web"}, pod, false},
		{[]string{"pod=web"}, pod, true},
		{[]string{"POD=abc"}, pod, true},
		{[]string{"label=a"}, died, true},
		{[]string{"label=a=b"}, died, true},
		{[]string{"label=a=c"}, died, false},
		{[]string{"image=nginx"}, died, true},
		{[]string{"image=nginx"}, pulled, true},
		{[]string{"image=docker.io/library/nginx"}, died, true},
		{[]string{"image=def4"}, pulled, true},
		{[]string{"image=other"}, pulled, false},
		{[]string{"volume=data", "type=volume"}, volume, true},
		{[]string{"volume=da"}, volume, false},
	} {
		test, err := eventFilters(c.filters)
		if err != nil {
			t.Errorf("%v: %v", c.filters, err)
		} else if got := test(c.event); got != c.want {
			t.Errorf("%v of %+v: %v", c.filters, c.event, got)
		}
	}
	for _, text := range []string{"", "event", "event=", "nonsense=1"} {
		if _, err := eventFilters([]string{text}); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestEventSpan(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		c        eventsCommand
		from, to time.Time
	}{
		{eventsCommand{stream: true}, now, time.Time{}},
		{eventsCommand{}, time.Time{}, time.Time{}},
		{eventsCommand{stream: true, since: "10m"}, now.Add(-10 * time.Minute), time.Time{}},
		{eventsCommand{stream: true, until: "10m"}, time.Time{}, now.Add(10 * time.Minute)},
		{eventsCommand{since: "1h", until: "-5m"}, now.Add(-time.Hour), now.Add(-5 * time.Minute)},
		{eventsCommand{since: "1700000000", until: "2023-11-14T22:13:21.5Z"}, time.Unix(1700000000, 0), time.Unix(1700000001, 5e8)},
	} {
		from, to, err := c.c.span(now)
		if err != nil || !from.Equal(c.from) || !to.Equal(c.to) {
			t.Errorf("%+v: %v to %v, %v", c.c, from, to, err)
		}
	}
}
