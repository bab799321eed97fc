package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/storage"
)

// listVolumes gives those that pass all filters.
func listVolumes(filters []string, command string) (host container.Host, list []*storage.Volume, err error) {
	if host, err = start.OpenHost(); err != nil {
		return host, nil, err
	}
	if err := sweepVolumes(host); err != nil {
		return host, nil, err
	}
	tests, err := volumeFilters(host, filters)
	if err != nil {
		return host, nil, usageError{Text: err.Error(), Command: command}
	}
	list, err = host.Dirs.Volumes()
	return host, slices.DeleteFunc(list, func(v *storage.Volume) bool {
		return slices.ContainsFunc(tests, func(test volumeCheck) bool { return !test(v) })
	}), err
}

type volumeCheck = func(*storage.Volume) bool

// volumeFilters: several values of one key are alternatives, except labels.
func volumeFilters(host container.Host, texts []string) (all []volumeCheck, err error) {
	byKey := map[string][]volumeCheck{}
	for _, text := range splitFilters(texts) {
		key, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("--filter %s: KEY=VALUE", text)
		}
		test, err := volumeFilter(host, key, value)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(key, "label") {
			all = append(all, test)
		} else {
			byKey[key] = append(byKey[key], test)
		}
	}
	for _, tests := range byKey {
		all = append(all, func(v *storage.Volume) bool {
			return slices.ContainsFunc(tests, func(test volumeCheck) bool { return test(v) })
		})
	}
	return all, nil
}

// splitFilters: podman takes several in one flag, with commas between.
func splitFilters(texts []string) (list []string) {
	for _, text := range texts {
		for n, part := range strings.Split(text, ",") {
			if n == 0 || isFilter(part) {
				list = append(list, part)
			} else {
				list[len(list)-1] += "," + part
			}
		}
	}
	return list
}

// isFilter: it begins with a key in small letters, and = or !=.
func isFilter(text string) bool {
	key, _, found := strings.Cut(text, "=")
	key = strings.TrimSuffix(key, "!")
	return found && key != "" && strings.Trim(key, "abcdefghijklmnopqrstuvwxyz") == ""
}

func volumeFilter(host container.Host, key, value string) (volumeCheck, error) {
	switch key {
	case "driver":
		return func(v *storage.Volume) bool { return v.Driver == value }, nil
	case "scope":
		return func(*storage.Volume) bool { return value == "local" }, nil
	case "name":
		pattern, err := regexp.Compile(value)
		if err != nil {
			return nil, fmt.Errorf("--filter name=%s: %w", value, err)
		}
		return func(v *storage.Volume) bool { return pattern.MatchString(v.Name) }, nil
	case "label", "label!":
		return func(v *storage.Volume) bool { return hasPair(pairMap(v.Labels), value) == (key == "label") }, nil
	case "opt":
		return func(v *storage.Volume) bool { return hasPair(pairMap(v.Options), value) }, nil
	case "until":
		limit, err := parseTime(value, time.Now())
		if err != nil {
			return nil, fmt.Errorf("--filter until=%s: %w", value, err)
		}
		return func(v *storage.Volume) bool { return v.Created.Before(limit) }, nil
	case "dangling":
		return danglingFilter(host, value)
	}
	return nil, fmt.Errorf("%q is an invalid volume filter: dangling, driver, label, name, opt, scope or until", key)
}

// hasPair says whether there is NAME, or NAME=VALUE. Of a name that was given
// twice the last value counts, as inspect shows it.
func hasPair(pairs map[string]string, want string) bool {
	name, value, valued := strings.Cut(want, "=")
	is, there := pairs[name]
	return there && (!valued || is == value)
}

func danglingFilter(host container.Host, value string) (volumeCheck, error) {
	want, err := strconv.ParseBool(value)
	if err != nil {
		return nil, fmt.Errorf("%q is not a valid value for the \"dangling\" filter - must be true or false", value)
	}
	used, err := container.VolumeUsers(host.Dirs)
	return func(v *storage.Volume) bool { return (len(used[v.Name]) == 0) == want }, err
}
