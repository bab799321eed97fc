package cli

import (
	"errors"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
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
	if img, err := lookupEntry(host, args[0]); err == nil {
		args[0] = refOf(img, args[0])
		img.Close()
	}
	return inside(host, roleTag, append([]string{host.Dirs.Data, host.Dirs.Run, what}, args...)...)
}

// tagInside is the second self.
func tagInside(_ Streams, args []string) (err error) {
	if len(args) < 4 {
		return errors.New(roleTag + " is for rl itself")
	}
	d := storage.Dirs{Data: args[0], Run: args[1]}
	store, err := layers.Open(d)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	id, names := imageID(d, args[3]), args[4:]
	if args[2] == "tag" {
		err = store.Tag(args[3], names)
	} else {
		if len(names) == 0 {
			all, _ := d.Names()
			names = all[id]
		}
		err = store.Untag(args[3], args[4:])
	}
	for _, name := range names {
		if err == nil {
			happened(d, "image", args[2], id, name)
		}
	}
	return err
}
