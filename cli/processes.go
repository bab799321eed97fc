package cli

import (
	"errors"
	"fmt"
	"strings"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
)

func pauseFlags(f *flags.Set) func(Streams, []string) error {
	sel := &selection{command: "pause", with: func(i *container.Info) bool { return i.Status == container.StatusRunning }}
	sel.flags(f, "cidfile", "filter")
	return func(s Streams, args []string) error {
		return sel.each(s, args, func(host container.Host, i *container.Info) error {
			err := i.Pause()
			if err == nil {
				i.Emit(host.Dirs, "pause")
			}
			return err
		})
	}
}

func unpauseFlags(f *flags.Set) func(Streams, []string) error {
	sel := &selection{command: "unpause", with: func(i *container.Info) bool { return i.Status == container.StatusPaused }}
	sel.flags(f, "cidfile", "filter")
	return func(s Streams, args []string) error {
		return sel.each(s, args, func(host container.Host, i *container.Info) error {
			err := i.Unpause()
			if err == nil {
				i.Emit(host.Dirs, "unpause")
			}
			return err
		})
	}
}

func renameFlags(f *flags.Set) func(Streams, []string) error {
	return func(_ Streams, args []string) error {
		if err := exactly("rename", args, 2); err != nil {
			return err
		}
		host, info, err := openContainer(args[0])
		if err != nil {
			return err
		}
		if err := info.Rename(host.Dirs, args[1]); err != nil {
			return err
		}
		info.Options.Name = args[1]
		info.Emit(host.Dirs, "rename", "oldName="+args[0])
		return nil
	}
}

func pruneFlags(f *flags.Set) func(Streams, []string) error {
	force := f.BoolP("force", "f", false, "do not ask")
	var filters []string
	f.StringArrayVar(&filters, "filter", nil, "label=NAME[=VALUE]")
	return func(s Streams, args []string) error {
		if err := exactly("container prune", args, 0); err != nil {
			return err
		}
		if !*force && !confirm(s, "WARNING! This will remove all non running containers.") {
			return nil
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		return pruneContainers(s, host, filters)
	}
}

func pruneContainers(s Streams, host container.Host, filters []string) error {
	list, unread := container.List(host.Dirs)
	tests, err := psFilters(filters, list)
	if err != nil {
		return usageError{Text: err.Error(), Command: "container prune"}
	}
	failed := []error{unread}
	pruned := 0
	for _, i := range list {
		if active(i) || infra(i) || !allHold(tests, i) {
			continue
		}
		if err := container.Delete(host, i, false); err != nil {
			failed = append(failed, err)
			continue
		}
		pruned++
		fmt.Fprintln(s.Out, i.ID)
	}
	if pruned > 0 { // docker's
		happened(host.Dirs, "container", "prune", "", "")
	}
	return errors.Join(failed...)
}

// confirm asks; no answer is no.
func confirm(s Streams, warning string) bool {
	fmt.Fprintf(s.Out, "%s\nAre you sure you want to continue? [y/N] ", warning)
	var answer string
	_, _ = fmt.Fscanln(s.In, &answer)
	return strings.HasPrefix(strings.ToLower(answer), "y")
}

func existsFlags(f *flags.Set) func(Streams, []string) error {
	f.Bool("external", false, "accepted for podman's sake: rl has no containers of other tools")
	return func(_ Streams, args []string) error {
		if err := exactly("container exists", args, 1); err != nil {
			return err
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		if _, err := host.Dirs.FindContainer(args[0]); err != nil {
			return container.Exit{Code: 1}
		}
		return nil
	}
}

func imageExistsFlags(f *flags.Set) func(Streams, []string) error {
	return func(_ Streams, args []string) error {
		if len(args) != 1 {
			return usageError{Text: "image exists needs an image", Command: "image exists"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		if missing(host, args[0]) {
			return container.Exit{Code: 1}
		}
		return nil
	}
}
