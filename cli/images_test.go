package cli

import (
	"testing"
	"time"
)

func TestMatchesReference(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"alpine", "docker.io/library/alpine:latest", true}, {"library/alpine", "docker.io/library/alpine:3", true}, {"alpine:3", "docker.io/library/alpine:3", true},
		{"alpine:4", "docker.io/library/alpine:3", false}, {"*", "localhost/a:1", true}, {"loc*/*:1", "localhost/a:1", true}, {"b/c", "quay.io/a/b/c:1", true},
		{"c/b", "quay.io/a/b/c:1", false}, {"pine", "docker.io/library/alpine:latest", false}, {"docker.io/alpine", "docker.io/library/alpine:latest", false},
		{"127.0.0.1:5000/x", "127.0.0.1:5000/x:1", true}, {"[", "a:1", false},
	} {
		if got := matchesReference(c.pattern, c.name); got != c.want {
			t.Errorf("%s, %s: %v", c.pattern, c.name, got)
		}
	}
}

func TestFilterTime(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for text, want := range map[string]int64{"1h30m": 1_000_000 - 5400, "12345": 12345, "12345.5": 12345, "1970-01-01T00:00:10Z": 10} {
		if got, err := filterTime(text, now); err != nil || got.Unix() != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "yesterday", "1x"} {
		if got, err := filterTime(text, now); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestSpacedSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1 kB", 4116480: "4.12 MB", 1234567890: "1.23 GB"} {
		if got := spacedSize(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	if got := wideSize(4116480); got != "4.116MB" {
		t.Error(got)
	}
}
