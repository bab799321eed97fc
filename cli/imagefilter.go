package cli

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

type imageTest = func(v *imageView, name string) bool

// imageTests are those of --filter. Several of one key are alternatives, except
// labels; different keys must all hold, and all that are negated.
type imageTests struct {
	keys []string
	any  map[string][]imageTest
	all  []imageTest
}

func (t *imageTests) asks(key string) bool { return slices.Contains(t.keys, key) }

func (t *imageTests) hold(v *imageView, name string) bool {
	for _, test := range t.all {
		if !test(v, name) {
			return false
		}
	}
	for _, tests := range t.any {
		if !slices.ContainsFunc(tests, func(test imageTest) bool { return test(v, name) }) {
			return false
		}
	}
	return true
}

func imageFilters(texts []string, all *imageViews) (*imageTests, error) {
	t := &imageTests{any: map[string][]imageTest{}}
	for _, text := range texts {
		key, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("invalid image filter %q: must be in the format \"filter=value or filter!=value\"", text)
		}
		key, negated := strings.CutSuffix(key, "!")
		test, err := imageFilter(key, value, all)
		if err != nil {
			return nil, err
		}
		t.keys = append(t.keys, key)
		switch {
		case negated:
			t.all = append(t.all, func(v *imageView, name string) bool { return !test(v, name) })
		case key == "label":
			t.all = append(t.all, test)
		default:
			t.any[key] = append(t.any[key], test)
		}
	}
	return t, nil
}

func imageFilter(key, value string, all *imageViews) (imageTest, error) {
	if is, ok := imageFacts[key]; ok {
		want, err := strconv.ParseBool(value)
		if err != nil {
			return nil, fmt.Errorf("non-boolean value %q for %s filter: %w", value, key, err)
		}
		return func(v *imageView, _ string) bool { return is(v) == want }, nil
	}
	switch key {
	case "reference":
		return func(_ *imageView, name string) bool { return matchesReference(value, name) }, nil
	case "id":
		return func(v *imageView, _ string) bool {
			return strings.HasPrefix(v.ID, strings.TrimPrefix(value, "sha256:"))
		}, nil
	case "digest":
		return func(v *imageView, _ string) bool {
			return slices.ContainsFunc(append([]string{v.Digest, v.manifest.String()}, v.Digests...), func(d string) bool { return strings.HasPrefix(d, value) })
		}, nil
	case "label":
		return func(v *imageView, _ string) bool {
			return slices.ContainsFunc(v.Settings.Labels, func(l string) bool { return l == value || strings.HasPrefix(l, value+"=") })
		}, nil
	case "before", "since", "after":
		other, err := all.find(value)
		if err != nil {
			return nil, fmt.Errorf("filter %s=%s: %w", key, value, err)
		}
		if key == "before" {
			return func(v *imageView, _ string) bool { return v.Created.Before(other.Created) }, nil
		}
		return func(v *imageView, _ string) bool { return v.Created.After(other.Created) }, nil
	case "until":
		limit, err := filterTime(value, time.Now())
		if err != nil {
			return nil, err
		}
		return func(v *imageView, _ string) bool { return v.Created.Before(limit) }, nil
	}
	return nil, fmt.Errorf("unsupported image filter %q", key)
}

// imageFacts are the filters that are true or false.
var imageFacts = map[string]func(*imageView) bool{
	"dangling":     (*imageView).dangling,
	"intermediate": (*imageView).intermediate,
	"containers":   func(v *imageView) bool { return len(v.Containers) > 0 },
	"readonly":     (*imageView).readOnly,
	"manifest":     func(v *imageView) bool { return v.List },
}

// filterTime reads a time that was, or a duration before now (podman-images(1)).
func filterTime(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d), nil
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		return time.Unix(0, int64(seconds*1e9)), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02T15", "2006-01-02Z07:00", time.DateOnly, time.DateTime} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("filter until=%s: neither a duration (10m, 1h30m), nor a Unix timestamp, nor a date", text)
}

// matchesReference: a reference may leave out the beginning of the repository
// up to any slash, and the tag, and may have wildcards (docker-images(1)).
func matchesReference(pattern, name string) bool {
	repository, tag := splitTag(name)
	_, digest, pinned := strings.Cut(name, "@")
	for part := repository; ; {
		forms := []string{part, part + ":" + tag}
		if pinned {
			forms = append(forms, part+"@"+digest)
		}
		for _, form := range forms {
			if matches, _ := path.Match(pattern, form); matches || pattern == form {
				return true
			}
		}
		_, rest, slash := strings.Cut(part, "/")
		if !slash {
			return false
		}
		part = rest
	}
}
