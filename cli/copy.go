package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/storage"
	"containers/rl/userns"
)

// place is one side of a copy.
type place struct {
	ref  string // a container, or ""
	path string // "-": an archive, from standard input or to standard output
}

// parsePlace: what has a slash before its colon is a path (docker-cp(1)).
func parsePlace(text string) place {
	ref, path, found := strings.Cut(text, ":")
	if !found || ref == "" || strings.Contains(ref, "/") || strings.HasPrefix(ref, ".") {
		return place{path: text}
	}
	return place{ref, path}
}

func cpFlags(f *flags.Set) func(Streams, []string) error {
	owner := f.BoolP("archive", "a", false, "keep the numbers of owners")
	follow := f.BoolP("follow-link", "L", false, "copy what a link as the source leads to")
	f.BoolP("quiet", "q", true, "accepted for docker's sake: nothing is said anyway")
	f.Bool("overwrite", false, "accepted for podman's sake")
	return func(s Streams, args []string) error {
		bad := func(text string) error { return usageError{Text: text, Command: "cp"} }
		if len(args) != 2 {
			return bad("cp needs a source and a destination")
		}
		from, to := parsePlace(args[0]), parsePlace(args[1])
		switch {
		case from.path == "" || to.path == "":
			return bad("cp: empty path")
		case from.ref == "" && to.ref == "":
			return bad("cp: one side must be CONTAINER:PATH")
		case from.path == "-" && to.path == "-":
			return bad("cp: one side must be CONTAINER:PATH")
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		p := placement{Owner: *owner, Follow: *follow, Raw: from.path == "-" && from.ref == "" || to.path == "-" && to.ref == ""}
		p.Contents = filepath.Base(from.path) == "." || strings.HasSuffix(from.path, "/.")
		if p.Base = filepath.Base(filepath.Clean("/" + from.path)); p.Base == "/" {
			p.Base = "."
			p.Contents = p.Contents || to.path != "-"
		}
		err = copyTree(s, host, from, to, p)
		for _, ref := range []string{from.ref, to.ref} {
			if info, failed := container.Find(host.Dirs, ref); err == nil && failed == nil && ref != "" {
				info.Emit(host.Dirs, "copy")
			}
		}
		return err
	}
}

// oneSide says that both sides are one container that does not run: only one of
// them can hold it at a time.
func oneSide(host container.Host, from, to place) bool {
	if from.ref == "" || to.ref == "" {
		return false
	}
	a, err1 := container.Find(host.Dirs, from.ref)
	b, err2 := container.Find(host.Dirs, to.ref)
	return err1 == nil && err2 == nil && a.ID == b.ID && !a.Running()
}

// copyWithin does one side after the other, with a file of no name between them.
func copyWithin(s Streams, host container.Host, from, to place, p placement) error {
	file, err := os.CreateTemp("", "rl-cp-")
	if err != nil {
		return fmt.Errorf("making a file for what is copied: %w", err)
	}
	defer file.Close()
	if err := os.Remove(file.Name()); err != nil {
		return fmt.Errorf("making a file for what is copied: %w", err)
	}
	if err := copyFrom(s, host, from, p, file); err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("reading what was copied: %w", err)
	}
	return copyTo(s, host, to, p, file)
}

// copyTree joins the two sides by a pipe. Each is in its own namespace, or here.
func copyTree(s Streams, host container.Host, from, to place, p placement) error {
	if oneSide(host, from, to) {
		return copyWithin(s, host, from, to, p)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("making a pipe: %w", err)
	}
	defer reader.Close()
	source, dest := make(chan error, 1), make(chan error, 1)
	go func() {
		err := copyFrom(s, host, from, p, writer)
		writer.Close()
		source <- err
	}()
	go func() {
		err := copyTo(s, host, to, p, reader)
		reader.Close() // who still writes learns that nobody reads
		dest <- err
	}()
	failed, received := <-source, <-dest
	var exit container.Exit
	switch {
	case received != nil && nobodyReads(failed):
		return received
	case failed != nil && errors.As(received, &exit):
		return failed
	}
	return errors.Join(failed, received)
}

// nobodyReads says whether a side ended because the other did.
func nobodyReads(err error) bool {
	var exit *userns.ExitError
	return errors.Is(err, unix.EPIPE) || errors.As(err, &exit) && exit.Status.Signaled() && exit.Status.Signal() == unix.SIGPIPE
}

func copyFrom(s Streams, host container.Host, from place, p placement, w *os.File) error {
	switch {
	case from.ref != "":
		return inTree(host, from.ref, treeRequest{Op: "pack", Path: from.path, Place: p}, nil, w)
	case from.path == "-":
		_, err := w.ReadFrom(s.In)
		return err
	}
	root, name, err := local(from.path)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	return packTree(w, root, name, p)
}

func copyTo(s Streams, host container.Host, to place, p placement, r *os.File) error {
	switch {
	case to.ref != "":
		return inTree(host, to.ref, treeRequest{Op: "unpack", Path: to.path, Place: p}, r, nil)
	case to.path == "-":
		_, err := s.Out.ReadFrom(r)
		return err
	}
	root, name, err := local(to.path)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	return unpackTree(r, root, name, p, true)
}

// local gives a path of the user's own from the root. A slash or a dot at its
// end has a meaning.
func local(name string) (root int, abs string, err error) {
	if root, err = unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return -1, "", fmt.Errorf("opening /: %w", err)
	}
	if abs, err = filepath.Abs(name); err != nil {
		unix.Close(root)
		return -1, "", err
	}
	if strings.HasSuffix(name, "/") {
		abs += "/"
	}
	return root, abs, nil
}

// inTree runs the second self of a container's files to its end.
func inTree(host container.Host, ref string, r treeRequest, stdin, stdout *os.File) error {
	info, err := container.Find(host.Dirs, ref)
	if err != nil {
		return err
	}
	enter, err := info.Enter(host)
	if errors.Is(err, storage.ErrHeld) {
		return fmt.Errorf("container %s is being used by another command: %w", info.Name(), err)
	}
	if err != nil {
		return info.Meanwhile(err)
	}
	defer enter.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	if stdin == nil {
		stdin = null
	}
	if stdout == nil {
		stdout = null
	}
	process, err := startTree(enter, r, stdin, stdout)
	if err == nil {
		err = secondSelf(process)
	}
	return info.Meanwhile(err)
}

func exportFlags(f *flags.Set) func(Streams, []string) error {
	output := f.StringP("output", "o", "", "write to a file instead of standard output")
	latest := latestFlag(f)
	return func(s Streams, args []string) error {
		host, info, err := latestRef("export", *latest, args)
		if err != nil {
			return err
		}
		request := treeRequest{Op: "pack", Path: "/", Place: placement{Base: ".", Raw: true, Owner: true, NoMounts: true}}
		if *output == "" {
			if err = inTree(host, info.ID, request, nil, s.Out); err == nil {
				info.Emit(host.Dirs, "export")
			}
			return err
		}
		file, keep, err := openOutput(*output)
		if err != nil {
			return fmt.Errorf("exporting container %s: %w", info.ID, err)
		}
		defer drop(file)
		if err := inTree(host, info.ID, request, nil, file); err != nil {
			return err
		}
		if err = keep(); err == nil {
			info.Emit(host.Dirs, "export")
		}
		return err
	}
}
