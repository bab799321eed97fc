package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/storage"
)

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
