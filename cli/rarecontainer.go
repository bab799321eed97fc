package cli

import (
	"errors"
	"fmt"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/storage/layers"
)

// rareCommands are podman's for containers that rl can do little or nothing
// for: their flags are known, so that the answer is about the command.
func rareCommands() []Command {
	return []Command{
		{"init", "[FLAGS] CONTAINER...", "See whether containers could be started, and start none", initFlags},
		{"container cleanup", "[FLAGS] CONTAINER...", "Remove what is left of containers that ended", cleanupFlags},
		{"container checkpoint", "", "Refused: processes are not written to files", refusedFlags("container checkpoint", "the processes of a container cannot be written to files: rl pause stops them for a while, rl commit keeps their files")},
		{"container restore", "", "Refused: there are no checkpoints", refusedFlags("container restore", "there are no checkpoints")},
		{"container runlabel", "[FLAGS] LABEL IMAGE [ARG...]", "Run the command that a label of an image has, on the host", runlabelFlags},
	}
}

// cleanupFlags: who stays with a container has cleaned up when it ended; what
// was killed is cleared away by the next command.
func cleanupFlags(f *flags.Set) func(Streams, []string) error {
	sel := &selection{command: "container cleanup", with: func(i *container.Info) bool { return !active(i) }}
	sel.flags(f)
	session := f.String("exec", "", "refused: nothing is left of a program of exec")
	remove := f.Bool("rm", false, "remove the container too")
	removeImage := f.Bool("rmi", false, "remove its image too")
	return func(s Streams, args []string) error {
		if *session != "" {
			return fmt.Errorf("--exec %s: nothing is left of a program of exec that could be cleaned up", *session)
		}
		return sel.each(s, args, func(host container.Host, i *container.Info) error {
			if active(i) {
				return fmt.Errorf("container %s is running or paused, refusing to clean up: container state improper", i.ID)
			}
			var err error
			if *remove || *removeImage {
				err = container.Delete(host, i, false)
			}
			if err == nil && *removeImage && i.ImageID != "" {
				err = removeImages(s, host, []string{i.Image}, layers.RemovalOptions{}, false)
			}
			return err
		})
	}
}

// refuse gives an error for those of the flags that were given.
func refuse(f *flags.Set, reasons map[string]string) error {
	var list []error
	for name, why := range reasons {
		if f.Changed(name) {
			list = append(list, fmt.Errorf("--%s is not supported: %s", name, why))
		}
	}
	return errors.Join(list...)
}

// latestRef is the one container of a command, as a name for those that take one.
func latestRef(command string, latest bool, args []string) (container.Host, *container.Info, error) {
	if !latest && len(args) == 0 {
		return container.Host{}, nil, usageError{Text: command + " needs a container, or --latest", Command: command}
	}
	host, err := start.OpenHost()
	if err != nil {
		return host, nil, err
	}
	info, err := oneContainer(host, command, latest, args)
	return host, info, err
}

// dependents are those that are in namespaces of a container, and theirs, the
// last ones first (podman-rm(1), --depend).
func dependents(all []*container.Info, id string) (list []*container.Info) {
	for _, i := range all {
		for _, of := range dependencies(i) {
			if of == id && i.ID != id {
				list = append(list, append(dependents(all, i.ID), i)...)
			}
		}
	}
	return list
}
