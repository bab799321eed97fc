package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/image"
)

func importFlags(f *flags.Set) func(Streams, []string) error {
	o := &image.ImportOptions{}
	r := imageRequest{Import: o}
	f.StringArrayVarP(&o.Changes, "change", "c", nil, "a line of a Dockerfile: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR")
	f.StringVarP(&o.Message, "message", "m", "", "what it is")
	f.BoolVarP(&r.Quiet, "quiet", "q", false, "show no progress")
	f.StringVar(&o.Arch, "arch", "", "architecture of the image, instead of the host's")
	f.StringVar(&o.OS, "os", "", "operating system of the image, instead of the host's")
	f.StringVar(&o.Variant, "variant", "", "variant of the architecture")
	f.StringVar(&o.Policy, "signature-policy", "", "file with the signature policy, instead of policy.json")
	platform := f.String("platform", "", "OS/ARCH[/VARIANT]")
	return func(s Streams, args []string) error {
		if len(args) < 1 || len(args) > 2 {
			return usageError{Text: "import needs an archive, and may have a name for the image", Command: "import"}
		}
		if err := image.CheckChanges(o.Changes); err != nil {
			return err
		}
		if *platform != "" {
			var err error
			if o.OS, o.Arch, o.Variant, err = image.Platform(*platform); err != nil {
				return usageError{Text: err.Error(), Command: "import"}
			}
		}
		if len(args) == 2 {
			name, err := image.LocalName(args[1])
			if err != nil {
				return usageError{Text: err.Error(), Command: "import"}
			}
			o.Name = name
		}
		return r.importFrom(s, args[0])
	}
}

// importFrom opens the archive as the user, and passes the descriptor.
func (r imageRequest) importFrom(s Streams, from string) error {
	file, err := openArchiveArgument(s, from)
	if err != nil {
		return fmt.Errorf("opening %q: %w", from, err)
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.IsDir() {
		return fmt.Errorf("importing %q: is a directory: rl import takes an archive of it (tar -C %[1]s -cf FILE .)", from)
	}
	host, err := start.OpenHost()
	if err != nil {
		return err
	}
	if r.Import.From = from; from == "-" {
		r.Import.From = "standard input"
	}
	r.Import.Dirs, r.Import.SingleID = host.Dirs, host.IDs.Single()
	return r.run(host, file, nil)
}

// openArchiveArgument: a file, what is at a URL, or - for standard input.
func openArchiveArgument(s Streams, from string) (*os.File, error) {
	switch {
	case from == "-" && term.IsTerminal(int(s.In.Fd())):
		return nil, errors.New("cannot read from terminal, use command-line redirection")
	case from == "-":
		return s.In, nil
	case !image.IsURL(from):
		return os.Open(from)
	}
	body, err := image.Fetched(context.Background(), from)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	tmp, err := os.CreateTemp("", "rl-download-")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(tmp.Name())
	// Whole before it is used: a connection that breaks is no end of an archive.
	if _, err = io.Copy(tmp, body); err == nil {
		_, err = tmp.Seek(0, io.SeekStart)
	}
	if err != nil {
		tmp.Close()
		return nil, err
	}
	return tmp, nil
}

func (r imageRequest) importInside(ctx context.Context, s Streams) error {
	id, squashed, err := image.Import(ctx, *r.Import, s.In)
	if err != nil {
		return fmt.Errorf("importing: %w", err)
	}
	if squashed && r.Notice != "" {
		fmt.Fprintf(s.Err, "rl: files of other users now belong to root: %s\n", r.Notice)
	}
	happened(r.Import.Dirs, "image", "import", id, r.Import.Name)
	_, err = fmt.Fprintln(s.Out, "sha256:"+id)
	return err
}
