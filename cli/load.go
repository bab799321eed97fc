package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/term"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/image"
	"containers/rl/storage"
)

// loadRequest is what to load, and how to tell of it.
type loadRequest struct {
	Dir, Only, Name string // see image.LoadOptions
	Path, Policy    string
	IDs             bool   // print ids alone, as pull does
	From            string // as it was given
	Dirs            storage.Dirs
}

func loadFlags(f *flags.Set) func(Streams, []string) error {
	input := f.StringP("input", "i", "", "archive, directory or URL to read instead of standard input")
	r := imageRequest{Load: &loadRequest{}}
	f.BoolVarP(&r.Quiet, "quiet", "q", false, "show no progress")
	f.String("platform", "", "accepted for docker's sake")
	f.StringVar(&r.Load.Policy, "signature-policy", "", "file with the signature policy, instead of policy.json")
	return func(s Streams, args []string) error {
		if len(args) > 0 {
			return usageError{Text: "load takes no argument; the archive is given by --input", Command: "load"}
		}
		from := *input
		if from == "" {
			from = "-"
			if term.IsTerminal(int(s.In.Fd())) {
				return usageError{Text: "cannot read from terminal, use command-line redirection or the --input flag", Command: "load"}
			}
		}
		return r.loadFrom(s, from, nil)
	}
}

// loadFrom opens the archive as the user, and passes the descriptor; out is as in run.
func (r imageRequest) loadFrom(s Streams, from string, out *os.File) error {
	host, err := start.OpenHost()
	if err != nil {
		return err
	}
	r.Load.Dirs, r.Load.From = host.Dirs, from
	if from != "-" && !image.IsURL(from) {
		if from, err = realPath(from); err != nil {
			return err
		}
		info, err := os.Stat(from)
		if err != nil {
			return err
		}
		r.Load.Path = from
		if info.IsDir() {
			r.Load.Dir = from
			return r.run(host, nil, out)
		}
	}
	file, err := openArchiveArgument(s, from)
	if err != nil {
		return err
	}
	defer file.Close()
	return r.run(host, file, out)
}

// realPath is what policies name: absolute, and without links.
func realPath(name string) (string, error) {
	name, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(name)
}

func (r imageRequest) loadInside(ctx context.Context, s Streams) error {
	printer := newProgress(s.Err, r.Quiet)
	l := r.Load
	list, err := image.Load(ctx, image.LoadOptions{File: s.In, Dir: l.Dir, Only: l.Only, Name: l.Name, Dirs: l.Dirs, Progress: printer, SingleID: r.SingleID, Path: l.Path, Policy: l.Policy})
	printer.Close()
	for _, img := range list {
		happened(l.Dirs, "image", "loadfromarchive", img.ID, l.From)
		if img.Squashed && r.Notice != "" {
			fmt.Fprintf(s.Err, "rl: files of other users now belong to root: %s\n", r.Notice)
		}
		switch {
		case l.IDs:
			fmt.Fprintln(s.Out, img.ID)
		case len(img.Names) == 0:
			fmt.Fprintf(s.Out, "Loaded image: sha256:%s\n", img.ID)
		default:
			for _, name := range img.Names {
				fmt.Fprintf(s.Out, "Loaded image: %s\n", name)
			}
		}
	}
	return err
}
