package cli

import (
	"slices"
	"strings"

	"containers/rl/container"
)

// What a container has to do with other things, as ps, inspect and filters
// show it.

// networksOf are the networks it is joined to, by name.
func networksOf(i *container.Info) []string {
	if a := i.Options.Attached(); a != nil {
		return []string{a.Network}
	}
	return []string{i.Options.NetworkMode()}
}

// podOf is the id and the name of its pod, or nothing.
func podOf(i *container.Info) (id, name string) {
	if m := i.Options.Pod; m != nil {
		return m.ID, m.Name
	}
	return "", ""
}

// infra: it is there to hold the namespaces of a pod.
func infra(i *container.Info) bool { return i.Options.Pod != nil && i.Options.Pod.Infra }

// dependencies are the containers whose namespaces it is in.
func dependencies(i *container.Info) []string {
	list := []string{}
	if i.Options.Joins == nil {
		return list
	}
	for _, one := range i.Options.Joins.All() {
		if id, ok := strings.CutPrefix(*one.To, "container:"); ok && !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	return list
}
