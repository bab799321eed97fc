package cli

import (
	"fmt"
	"slices"
	"strings"

	"containers/rl/container"
	"containers/rl/image"
)

// eventKeys are those of --filter. A key that is a type as well is of its name
// or id.
var eventKeys = []string{"container", "event", "image", "label", "network", "pod", "secret", "status", "type", "volume"}

// dockerEvent is podman's word for docker's (docker-events(1)), or "".
func dockerEvent(word string) string {
	switch word {
	case "die":
		return "died"
	case "destroy", "delete":
		return "remove"
	case "exec_create", "exec_start":
		return "exec"
	case "exec_die":
		return "exec_died"
	case "load":
		return "loadfromarchive"
	case "archive-path", "extract-to-dir":
		return "copy"
	}
	return ""
}

// eventFilters: several of one key are alternatives, different keys must all hold.
func eventFilters(texts []string) (func(container.Event) bool, error) {
	byKey := map[string][]string{}
	for _, text := range texts {
		key, value, ok := strings.Cut(text, "=")
		key = strings.ToLower(key)
		if !ok || value == "" || !slices.Contains(eventKeys, key) {
			return nil, fmt.Errorf("%s is an invalid filter: there are %s, each with =VALUE", text, strings.Join(eventKeys, ", "))
		}
		if key == "status" { // docker's older name
			key = "event"
		}
		byKey[key] = append(byKey[key], value)
	}
	return func(e container.Event) bool {
		for key, values := range byKey {
			if !slices.ContainsFunc(values, func(value string) bool { return eventMatches(e, key, value) }) {
				return false
			}
		}
		return true
	}, nil
}

func eventMatches(e container.Event, key, value string) bool {
	switch key {
	case "event":
		value = strings.ToLower(value)
		name, _, _ := strings.Cut(value, ":") // docker's exec_start: COMMAND
		return e.Status == value || e.Status == dockerEvent(strings.TrimSpace(name))
	case "type":
		return e.Type == value
	case "label":
		name, want, valued := strings.Cut(value, "=")
		return slices.ContainsFunc(e.Attributes, func(a string) bool {
			n, v, _ := strings.Cut(a, "=")
			return n == name && (!valued || v == want)
		})
	case "image":
		return imageMatches(e, value)
	}
	return e.Type == key && (e.Name == value || e.ID != "" && strings.HasPrefix(e.ID, value))
}

// imageMatches: what happens to a container is of its image too, as for docker.
func imageMatches(e container.Event, value string) bool {
	name := e.Image
	if e.Type == "image" {
		if name = e.Name; e.ID != "" && strings.HasPrefix(e.ID, value) {
			return true
		}
	}
	repository, _ := splitTag(name)
	local, _ := image.LocalName(value)
	return name != "" && (name == value || repository == value || name == local || fullReference(name) == fullReference(value))
}

// fullReference is a name with its registry and tag.
func fullReference(name string) string {
	ref, err := image.ParseReference(name)
	if err != nil {
		return name
	}
	return ref.String()
}
