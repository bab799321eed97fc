package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"containers/rl/container"
	"containers/rl/storage"
)

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	for text, want := range map[string]time.Time{
		"": {}, "10m": now.Add(-10 * time.Minute), "2026-01-02T03:04:05Z": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		"2026-01-02": time.Date(2026, 1, 2, 0, 0, 0, 0, time.Local), "2026-01-02T03:04:05.5": now.Add(time.Second / 2), "1136073845": time.Unix(1136073845, 0), "1136073845.25": time.Unix(1136073845, 250000000),
	} {
		if got, err := parseTime(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"yesterday", "2026-13-01", "1.1234567890", "1.x"} {
		if got, err := parseTime(text, now); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

func TestDuration(t *testing.T) {
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		0: "Less than a second", time.Second: "1 second", 59 * time.Second: "59 seconds", 61 * time.Second: "About a minute", 5 * time.Minute: "5 minutes",
		61 * time.Minute: "About an hour", 47 * time.Hour: "47 hours", 3 * day: "3 days", 15 * day: "2 weeks", 90 * day: "3 months", 800 * day: "2 years",
	} {
		if got := duration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func infos() []*container.Info {
	made := func(id, name string, status container.Status, code int, age time.Duration, labels map[string]string) *container.Info {
		i := &container.Info{Entry: storage.Entry{ID: strings.Repeat(id, 64)}, Status: status}
		i.Options.Name, i.Options.Labels, i.Image, i.ImageID = name, labels, "docker.io/library/alpine:3", strings.Repeat("c", 64)
		i.Ended.Code, i.Created = code, time.Unix(1e9, 0).Add(-age)
		return i
	}
	return []*container.Info{
		made("a", "one", container.StatusRunning, 0, 0, map[string]string{"x": "1"}), made("b", "two", container.StatusExited, 3, time.Hour, map[string]string{"x": "2", "y": ""}),
		made("d", "three", container.StatusCreated, 0, 2*time.Hour, nil),
	}
}

func TestFilters(t *testing.T) {
	list := infos()
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_DATA_HOME", "")
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	for filters, want := range map[string]string{
		"id=aaa": "one", "name=t": "two three", "name=^one$": "one", "status=exited": "two", "status=exited status=created": "two three", "label=x": "one two",
		"label=x=2": "two", "label=x label=y": "two", "exited=3": "two", "exited=0": "", "ancestor=alpine": "one two three", "ancestor=alpine:3": "one two three",
		"ancestor=alp": "", "ancestor=ccc": "one two three", "before=two": "three", "since=two": "one", "status=running label=y": "",
	} {
		tests, err := psFilters(strings.Fields(filters), list)
		if err != nil {
			t.Errorf("%s: %v", filters, err)
		}
		var got []string
		for _, i := range list {
			all := true
			for _, test := range tests {
				all = all && test(i)
			}
			if all {
				got = append(got, i.Name())
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", filters, got, want)
		}
	}
	for _, bad := range []string{"x", "nonsense=1", "status=odd", "exited=x", "name=(", "before=nobody"} {
		if _, err := psFilters([]string{bad}, list); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

// Every column of the table has a head, and every head a value.
func TestPsHeaders(t *testing.T) {
	rows := []psRow{}
	for _, i := range infos() {
		rows = append(rows, psRow{info: i})
	}
	for field := range psColumns {
		var b bytes.Buffer
		if err := (&listingOptions{format: "{{." + field + "}}"}).print(&b, rows); err != nil {
			t.Errorf("%s: %v", field, err)
		}
	}
	var b bytes.Buffer
	if err := (&listingOptions{}).print(&b, rows); err != nil || strings.Contains(b.String(), "<no value>") {
		t.Errorf("%s%v", b.String(), err)
	}
}
