package cli

import (
	"errors"
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

// containerTest says whether a filter holds of a container.
type containerTest = func(*container.Info) bool

func allHold(tests []containerTest, i *container.Info) bool {
	return !slices.ContainsFunc(tests, func(test containerTest) bool { return !test(i) })
}

// psFilters makes tests of --filter. Several of one key are alternatives,
// except labels; different keys must all hold (podman-ps(1)).
func psFilters(texts []string, list []*container.Info) (all []containerTest, err error) {
	byKey := map[string][]containerTest{}
	for _, text := range texts {
		key, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("invalid filter %q: KEY=VALUE", text)
		}
		test, err := psFilter(key, value, list)
		if err != nil {
			return nil, err
		}
		if key == "label" || key == "label!" {
			all = append(all, test)
		} else {
			byKey[key] = append(byKey[key], test)
		}
	}
	for _, tests := range byKey {
		all = append(all, func(i *container.Info) bool {
			return slices.ContainsFunc(tests, func(test containerTest) bool { return test(i) })
		})
	}
	return all, nil
}

func psFilter(key, value string, list []*container.Info) (containerTest, error) {
	switch key {
	case "id":
		return idTest(value)
	case "name":
		return nameTest(value)
	case "status":
		return stateTest(value)
	case "health":
		return healthTest(value)
	case "label":
		return labelTest(value), nil
	case "label!":
		has := labelTest(value)
		return func(i *container.Info) bool { return !has(i) }, nil
	case "exited":
		code, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("exited code out of range %q: %w", value, err)
		}
		return func(i *container.Info) bool { return i.Status == container.StatusExited && i.Ended.Code == int(code) }, nil
	case "ancestor":
		return ancestorTest(value)
	case "publish", "expose":
		return portFilter(key, value)
	case "before", "since":
		return ageTest(key, value, list)
	case "until":
		until, err := parseTime(value, time.Now())
		return func(i *container.Info) bool { return i.Created.Before(until) }, err
	case "volume":
		return volumeTest(value), nil
	case "network":
		return func(i *container.Info) bool {
			return slices.Contains(networksOf(i), value) || value == i.Options.Network.String()
		}, nil
	case "pod":
		return func(i *container.Info) bool {
			id, name := podOf(i)
			return id != "" && (name == value || value != "" && strings.HasPrefix(id, value))
		}, nil
	case "restart-policy":
		return func(i *container.Info) bool { return restartPolicy(i) == value }, nil
	case "should-start-on-boot":
		return func(i *container.Info) bool { return strconv.FormatBool(startsOnBoot(i)) == value }, nil
	case "is-task":
		return swarmTest(value)
	}
	return nil, fmt.Errorf("%s is an invalid filter: id, name, label, exited, status, ancestor, before, since, until, volume, health, pod, network, publish, expose, restart-policy or should-start-on-boot", key)
}

// idTest: hex digits are the beginning of an id, the rest is a regular expression.
func idTest(value string) (containerTest, error) {
	if strings.Trim(value, "0123456789abcdef") == "" {
		return func(i *container.Info) bool { return strings.HasPrefix(i.ID, value) }, nil
	}
	pattern, err := regexp.Compile(value)
	if err != nil {
		return nil, fmt.Errorf("--filter id=%s: %w", value, err)
	}
	return func(i *container.Info) bool { return pattern.MatchString(i.ID) }, nil
}

// nameTest: docker's names begin with a slash, and need not.
func nameTest(value string) (containerTest, error) {
	pattern, err := regexp.Compile(value)
	if err != nil {
		return nil, fmt.Errorf("--filter name=%s: %w", value, err)
	}
	return func(i *container.Info) bool {
		return pattern.MatchString(i.Name()) || strings.ContainsRune(value, '/') && pattern.MatchString("/"+i.Name())
	}, nil
}

// stateTest knows docker's and podman's states. Some no container is ever in.
func stateTest(state string) (containerTest, error) {
	same := map[string]string{"configured": "created", "stopped": "exited", "dead": "", "removing": "", "stopping": "", "unknown": ""}
	known, other := same[state]
	if !other {
		known = state
		if !slices.Contains([]string{"created", "initialized", "running", "paused", "restarting", "exited"}, state) {
			return nil, fmt.Errorf("unknown container state: %s: invalid argument", state)
		}
	}
	return func(i *container.Info) bool { return string(i.Status) == known }, nil
}

func healthTest(value string) (containerTest, error) {
	if !slices.Contains([]string{"none", "starting", "healthy", "unhealthy"}, value) {
		return nil, fmt.Errorf("--filter health=%s: none, starting, healthy or unhealthy", value)
	}
	return func(i *container.Info) bool {
		if !i.Options.Health.Checked() {
			return value == "none"
		}
		return i.Started() && i.Health().Status == value
	}, nil
}

func labelTest(text string) containerTest {
	name, value, valued := strings.Cut(text, "=")
	return func(i *container.Info) bool {
		is, there := i.Options.Labels[name]
		return there && (!valued || is == value)
	}
}

// ancestorTest: a container of the image, or of one that was made from it,
// which has its layers at the bottom.
func ancestorTest(value string) (containerTest, error) {
	host, err := start.OpenHost()
	if err != nil {
		return nil, err
	}
	ancestor, err := host.Dirs.LookupImage(value)
	if err != nil && !errors.Is(err, storage.ErrNoImage) {
		return nil, err
	}
	ancestor.Close()
	known := map[string]bool{}
	return func(i *container.Info) bool {
		repository, tag := splitTag(i.Image)
		last := repository[strings.LastIndexByte(repository, '/')+1:]
		if value != "" && (i.Image == value || repository == value || last == value || last+":"+tag == value || strings.HasPrefix(i.ImageID, value)) {
			return true
		}
		if ancestor == nil || i.ImageID == "" {
			return false
		}
		if _, asked := known[i.ImageID]; !asked {
			known[i.ImageID] = i.ImageID == ancestor.ID || descends(host.Dirs, i.ImageID, ancestor)
		}
		return known[i.ImageID]
	}, nil
}

func descends(d storage.Dirs, id string, ancestor *storage.Image) bool {
	img, err := d.Lookup(id)
	if err != nil {
		return false
	}
	defer img.Close()
	above := len(img.Layers) - len(ancestor.Layers)
	return len(ancestor.Layers) > 0 && above > 0 && slices.Equal(img.Layers[above:], ancestor.Layers)
}

func ageTest(key, ref string, list []*container.Info) (containerTest, error) {
	for _, other := range list {
		if other.Name() == ref || ref != "" && strings.HasPrefix(other.ID, ref) {
			return func(i *container.Info) bool {
				if key == "before" {
					return i.Created.Before(other.Created)
				}
				return i.Created.After(other.Created)
			}, nil
		}
	}
	return nil, fmt.Errorf("--filter %s: %w", key, storage.NoContainer(ref))
}

// volumeTest: by name, or by the place in the container.
func volumeTest(value string) containerTest {
	name, place, both := strings.Cut(value, ":")
	return func(i *container.Info) bool {
		return slices.ContainsFunc(inspectMounts(i), func(m inspectedMount) bool {
			if both {
				return (m.Name == name || m.Source == name) && m.Destination == place
			}
			return m.Name == value || m.Source == value || m.Destination == value
		})
	}
}

// swarmTest: rl knows no swarm, so no container is a task of one.
func swarmTest(value string) (containerTest, error) {
	task, err := strconv.ParseBool(value)
	return func(*container.Info) bool { return !task }, err
}

// restartPolicy is the policy's name; none is "no".
func restartPolicy(i *container.Info) string {
	if i.Options.Restart == "" {
		return container.RestartNo
	}
	return i.Options.Restart
}

// startsOnBoot: those that docker starts anew with its daemon (docker-run(1), --restart).
func startsOnBoot(i *container.Info) bool {
	return i.Options.Restart == container.RestartAlways || i.Options.Restart == container.RestartUnlessStopped && !i.Stopped()
}
