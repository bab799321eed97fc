package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"containers/rl/storage"
)

func namesOr(img *storage.Image, none string) []string {
	if len(img.Names) == 0 {
		return []string{none}
	}
	return img.Names
}

// splitTag: a colon of a port is followed by a slash.
func splitTag(name string) (repository, tag string) {
	if repository, _, ok := strings.Cut(name, "@"); ok {
		return repository, "<none>"
	}
	at := strings.LastIndexByte(name, ':')
	if at < 0 || strings.ContainsRune(name[at:], '/') {
		return name, "<none>"
	}
	return name[:at], name[at+1:]
}

// ago is docker's column.
func ago(t time.Time) string {
	if t.IsZero() || t.Unix() <= 0 {
		return "N/A"
	}
	return duration(time.Since(t)) + " ago"
}

// duration is said as docker does (units.HumanDuration).
func duration(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return "Less than a second"
	case d < 2*time.Second:
		return "1 second"
	case d >= time.Minute && d < 2*time.Minute:
		return "About a minute"
	case d >= time.Hour && d < 2*time.Hour:
		return "About an hour"
	}
	for _, unit := range []struct {
		name  string
		long  time.Duration
		until time.Duration
	}{{"seconds", time.Second, time.Minute}, {"minutes", time.Minute, time.Hour}, {"hours", time.Hour, 2 * day}, {"days", day, 14 * day},
		{"weeks", 7 * day, 60 * day}, {"months", 30 * day, 730 * day}} {
		if d < unit.until {
			return strconv.FormatInt(int64(d/unit.long), 10) + " " + unit.name
		}
	}
	return fmt.Sprintf("%d years", d/(365*day))
}
