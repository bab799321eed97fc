package cli

import "containers/rl/container"

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
func podOf(*container.Info) (id, name string) { return "", "" }

// infra: it is there to hold the namespaces of a pod.
func infra(*container.Info) bool { return false }

// dependencies are the containers whose namespaces it is in.
func dependencies(*container.Info) []string { return []string{} }
