package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"containers/rl/container"
)

// psFilters makes tests of --filter. Several of one key are alternatives,
// except labels; different keys must all hold (docker-ps(1)).
func psFilters(texts []string, list []*container.Info) (all []func(*container.Info) bool, err error) {
	byKey := map[string][]func(*container.Info) bool{}
	for _, text := range texts {
		key, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("--filter %s: KEY=VALUE", text)
		}
		test, err := psFilter(key, value, list)
		if err != nil {
			return nil, err
		}
		if key == "label" {
			all = append(all, test)
		} else {
			byKey[key] = append(byKey[key], test)
		}
	}
	for _, tests := range byKey {
		all = append(all, func(i *container.Info) bool {
			return slices.ContainsFunc(tests, func(test func(*container.Info) bool) bool { return test(i) })
		})
	}
	return all, nil
}

func psFilter(key, value string, list []*container.Info) (func(*container.Info) bool, error) {
	switch key {
	case "id":
		return func(i *container.Info) bool { return strings.HasPrefix(i.ID, value) }, nil
	case "name":
		pattern, err := regexp.Compile(value)
		if err != nil {
			return nil, fmt.Errorf("--filter name=%s: %w", value, err)
		}
		return func(i *container.Info) bool { return pattern.MatchString(i.Name()) }, nil
	case "status":
		if !slices.Contains([]string{"created", "running", "exited", "paused", "stopped", "unknown", "initialized", "stopping", "removing", "dead", "restarting"}, value) {
			return nil, fmt.Errorf("--filter status=%s: not a state of a container", value)
		}
		return func(i *container.Info) bool {
			return string(i.Status) == value || value == "stopped" && i.Status == container.StatusExited
		}, nil
	case "health":
		return func(i *container.Info) bool {
			if !i.Options.Health.Checked() {
				return value == "none"
			}
			return i.Running() && i.Health().Status == value
		}, nil
	case "label":
		return labelFilter(value), nil
	case "exited":
		code, err := strconv.Atoi(value)
		if err != nil {
			return nil, fmt.Errorf("--filter exited=%s: a number", value)
		}
		return func(i *container.Info) bool { return i.Status == container.StatusExited && i.Ended.Code == code }, nil
	case "ancestor":
		return func(i *container.Info) bool {
			repository, tag := splitTag(i.Image)
			last := repository[strings.LastIndexByte(repository, '/')+1:]
			return value != "" && (i.Image == value || repository == value || last == value || last+":"+tag == value || strings.HasPrefix(i.ImageID, value))
		}, nil
	case "before", "since":
		return ageFilter(key, value, list)
	}
	return nil, fmt.Errorf("--filter %s=%s: %s is not one of id, name, status, label, health, ancestor, exited, before and since", key, value, key)
}

func labelFilter(text string) func(*container.Info) bool {
	name, value, valued := strings.Cut(text, "=")
	return func(i *container.Info) bool {
		is, there := i.Options.Labels[name]
		return there && (!valued || is == value)
	}
}

func ageFilter(key, ref string, list []*container.Info) (func(*container.Info) bool, error) {
	for _, other := range list {
		if other.Name() == ref || strings.HasPrefix(other.ID, ref) {
			return func(i *container.Info) bool {
				if key == "before" {
					return i.Created.Before(other.Created)
				}
				return i.Created.After(other.Created)
			}, nil
		}
	}
	return nil, fmt.Errorf("--filter %s=%s: no such container", key, ref)
}
