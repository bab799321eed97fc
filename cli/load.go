package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/image"
	"containers/rl/userns"
)

const roleLoad = "rl-load"

func loadFlags(f *flags.Set) func(Streams, []string) error {
	input := f.StringP("input", "i", "", "archive to read instead of standard input")
	r := &pullRequest{}
	f.BoolVarP(&r.Quiet, "quiet", "q", false, "show no progress")
	return func(s Streams, args []string) error {
		if len(args) > 0 {
			return usageError{Text: "load takes no argument; the archive is given by --input", Command: "load"}
		}
		file := s.In
		if *input != "" {
			var err error
			if file, err = os.Open(*input); err != nil {
				return err
			}
			defer file.Close()
		} else if term.IsTerminal(int(s.In.Fd())) {
			return usageError{Text: "load reads an archive from standard input, which is a terminal: give --input", Command: "load"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		r.SingleID, r.Notice, r.Dirs = host.IDs.Single(), host.Notice, host.Dirs
		text, err := json.Marshal(r)
		if err != nil {
			return err
		}
		process, err := userns.CommandWith(host.IDs, roleLoad, []string{string(text)}, [3]int{int(file.Fd()), 1, 2})
		if err != nil {
			return err
		}
		return secondSelf(process)
	}
}

// loadInside is the second self.
func loadInside(s Streams, args []string) error {
	var r pullRequest
	if len(args) != 1 {
		return errors.New(roleLoad + " is for rl itself")
	}
	if err := json.Unmarshal([]byte(args[0]), &r); err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	printer := newProgress(s.Err, r.Quiet)
	list, err := image.Load(ctx, image.LoadOptions{File: s.In, Dirs: r.Dirs, Progress: printer, SingleID: r.SingleID})
	printer.Close()
	for _, img := range list {
		if img.Squashed && r.Notice != "" {
			fmt.Fprintf(s.Err, "rl: files of other users now belong to root: %s\n", r.Notice)
		}
		if img.Name == "" {
			fmt.Fprintf(s.Out, "Loaded image ID: sha256:%s\n", img.ID)
		} else {
			fmt.Fprintf(s.Out, "Loaded image: %s\n", img.Name)
		}
	}
	return err
}
