package cli

import (
	"errors"
	"fmt"
	"strings"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/image"
	"containers/rl/storage"
	"containers/rl/storage/layers"
)

const roleTag = "rl-tag"

func tagFlags(*flags.Set) func(Streams, []string) error {
	return func(_ Streams, args []string) error {
		if len(args) < 2 {
			return usageError{Text: "tag needs an image and a name", Command: "tag"}
		}
		for n, name := range args[1:] {
			full, err := image.LocalName(name)
			if err != nil {
				return usageError{Text: err.Error(), Command: "tag"}
			}
			args[n+1] = full
		}
		return changeNames("tag", args)
	}
}

func untagFlags(*flags.Set) func(Streams, []string) error {
	return func(_ Streams, args []string) error {
		if len(args) < 1 {
			return usageError{Text: "untag needs an image", Command: "untag"}
		}
		return changeNames("untag", args)
	}
}

func changeNames(what string, args []string) error {
	host, err := start.OpenHost()
	if err != nil {
		return err
	}
	return inside(host, roleTag, append([]string{host.Dirs.Data, host.Dirs.Run, what}, args...)...)
}

// tagInside is the second self.
func tagInside(_ Streams, args []string) (err error) {
	if len(args) < 4 {
		return errors.New(roleTag + " is for rl itself")
	}
	store, err := layers.Open(storage.Dirs{Data: args[0], Run: args[1]})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if args[2] == "tag" {
		return store.Tag(args[3], args[4:])
	}
	return store.Untag(args[3], args[4:])
}

// imagePruneFlags removes images without a name, or all that no container has.
func imagePruneFlags(f *flags.Set) func(Streams, []string) error {
	force := f.BoolP("force", "f", false, "do not ask")
	all := f.BoolP("all", "a", false, "all images that no container has, not only those without a name")
	return func(s Streams, args []string) error {
		if len(args) > 0 {
			return usageError{Text: "image prune takes no argument", Command: "image prune"}
		}
		if !*force && !confirm(s, "WARNING! This will remove all images without a name, or with --all without a container.") {
			return nil
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		return pruneImages(s, host, *all)
	}
}

func pruneImages(s Streams, host container.Host, all bool) error {
	list, err := host.Dirs.Images()
	if err != nil {
		return err
	}
	containers, err := container.List(host.Dirs)
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for _, i := range containers {
		used[i.ImageID] = true
	}
	var unwanted []string
	for _, img := range list {
		if !used[img.ID] && (all || len(img.Names) == 0) {
			unwanted = append(unwanted, img.ID)
		}
	}
	if len(unwanted) == 0 {
		return nil
	}
	return inside(host, roleRmi, append([]string{host.Dirs.Data, host.Dirs.Run, "true"}, unwanted...)...)
}

// systemPruneFlags is both prunes.
func systemPruneFlags(f *flags.Set) func(Streams, []string) error {
	force := f.BoolP("force", "f", false, "do not ask")
	all := f.BoolP("all", "a", false, "all images that no container has, not only those without a name")
	return func(s Streams, args []string) error {
		if len(args) > 0 {
			return usageError{Text: "system prune takes no argument", Command: "system prune"}
		}
		if !*force && !confirm(s, strings.Join([]string{"WARNING! This will remove:", "- all stopped containers", "- all images without a name"}, "\n\t")) {
			return nil
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		fmt.Fprintln(s.Out, "Deleted Containers")
		if err := pruneContainers(s, host, nil); err != nil {
			return err
		}
		fmt.Fprintln(s.Out, "Deleted Images")
		return pruneImages(s, host, *all)
	}
}
