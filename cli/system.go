package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/image"
	"containers/rl/storage"
)

// systemCheckFlags is podman-system-check(1).
func systemCheckFlags(f *flags.Set) func(Streams, []string) error {
	o := &image.CheckOptions{}
	f.BoolVarP(&o.Quick, "quick", "q", false, "do not read what is in the layers")
	f.BoolVarP(&o.Repair, "repair", "r", false, "remove damaged images that no container has")
	f.BoolVarP(&o.Force, "force", "f", false, "with --repair: remove their containers first")
	f.StringP("max", "m", "", "accepted for podman's sake: layers of no image are removed always")
	return func(s Streams, args []string) error {
		switch {
		case len(args) > 0:
			return usageError{Text: "system check takes no argument", Command: "system check"}
		case o.Force && !o.Repair:
			return usageError{Text: "--force is for --repair", Command: "system check"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		o.Dirs = host.Dirs
		if o.Used, err = usedImages(host); err != nil {
			return err
		}
		return imageRequest{Check: o}.run(host, nil, s.Out)
	}
}

func checkInside(ctx context.Context, s Streams, o image.CheckOptions) error {
	list, err := image.Check(ctx, o)
	if err != nil {
		return err
	}
	left := 0
	for _, d := range list {
		name := strings.Join(d.Names, " ")
		fmt.Fprintf(s.Out, "Damaged image %s %s: %v\n", short(d.ID), name, d.Err)
		if d.Removed {
			fmt.Fprintf(s.Out, "Deleted: %s\n", d.ID)
		} else {
			left++
		}
	}
	if left > 0 {
		return errors.New("damage detected in local storage: rl system check --repair removes the damaged images")
	}
	return nil
}

// nothingFlags is for what podman must do at times and rl never.
func nothingFlags(name string) func(*flags.Set) func(Streams, []string) error {
	return func(f *flags.Set) func(Streams, []string) error {
		if name == "system migrate" {
			f.String("new-runtime", "", "accepted for podman's sake")
		}
		return func(_ Streams, args []string) error {
			if len(args) > 0 {
				return usageError{Text: name + " takes no argument", Command: name}
			}
			if name != "system renumber" {
				return nil
			}
			host, err := start.OpenHost()
			if err == nil {
				happened(host.Dirs, "system", "renumber", "", "")
			}
			return err
		}
	}
}

// refusedFlags is for what is not to be expected of rl.
func refusedFlags(name, why string) func(*flags.Set) func(Streams, []string) error {
	return func(f *flags.Set) func(Streams, []string) error {
		f.SetInterspersed(false)
		return func(Streams, []string) error { return fmt.Errorf("%s is not supported: %s", name, why) }
	}
}

// systemResetFlags is podman-system-reset(1).
func systemResetFlags(f *flags.Set) func(Streams, []string) error {
	force := f.BoolP("force", "f", false, "do not ask")
	return func(s Streams, args []string) error {
		if len(args) > 0 {
			return usageError{Text: "system reset takes no argument", Command: "system reset"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		if !*force && !confirm(s, "WARNING! This will remove:\n        - all containers\n        - all pods\n        - all images\n        - all networks\n        - all build cache\n        - all volumes\n        - the graphRoot directory: "+
			host.Dirs.Graph()+"\n        - the runRoot directory: "+host.Dirs.Run) {
			return nil
		}
		if err := freeAll(host); err != nil {
			return err
		}
		return imageRequest{Reset: &host.Dirs}.run(host, nil, nil)
	}
}

// resetInside removes all that is in the data directory, which is rl's own. The
// index goes first: what a kill leaves then is nothing that a start could find.
func resetInside(d storage.Dirs) error {
	entries, err := os.ReadDir(d.Data)
	if err != nil {
		return err
	}
	names := []string{"index"}
	for _, e := range entries {
		if e.Name() != "index" {
			names = append(names, e.Name())
		}
	}
	var failed []error
	for _, name := range names {
		if err := storage.RemoveTree(unix.AT_FDCWD, filepath.Join(d.Data, name)); !errors.Is(err, os.ErrNotExist) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}
