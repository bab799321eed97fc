package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"containers/rl/cli/flags"
	"containers/rl/container"
	"containers/rl/image"
	"containers/rl/userns"
)

const roleCommit = "rl-commit"

func commitFlags(f *flags.Set) func(Streams, []string) error {
	o := image.CommitOptions{}
	f.StringVarP(&o.Author, "author", "a", "", "who made it")
	f.StringVarP(&o.Message, "message", "m", "", "what it is")
	f.StringArrayVarP(&o.Changes, "change", "c", nil, "a line of a Dockerfile: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR")
	pause := f.BoolP("pause", "p", false, "pause the container meanwhile")
	quiet := f.BoolP("quiet", "q", false, "accepted for podman's sake: only the id is printed")
	idFile := f.String("iidfile", "", "write the image's id to a file")
	format := f.StringP("format", "f", "oci", "oci alone: push --format v2s2 sends docker's")
	f.Bool("include-volumes", false, "refused: volumes are no part of an image")
	f.BoolP("squash", "s", false, "accepted for podman's sake: the changes are one layer always")
	return func(s Streams, args []string) error {
		_ = *quiet
		if err := refusedOfCommit(f, *format); err != nil {
			return err
		}
		if len(args) < 1 || len(args) > 2 {
			return usageError{Text: "commit needs a container, and may have a name for the image", Command: "commit"}
		}
		if len(args) == 2 {
			o.Name = args[1]
		}
		host, info, err := openContainer(args[0])
		if err != nil {
			return err
		}
		if info.ImageID == "" {
			return fmt.Errorf("container %s was made with --rootfs: there is no image to begin with", info.Name())
		}
		if *pause && info.Status == container.StatusRunning {
			if err := info.Pause(); err != nil {
				return err
			}
			defer func() {
				if now, err := container.Find(host.Dirs, info.ID); err == nil {
					_ = now.Unpause()
				}
			}()
		}
		o.Dirs, o.ImageID, o.SingleID, o.By = host.Dirs, info.ImageID, host.IDs.Single(), strings.Join(info.Command, " ")
		if o.Kept, err = info.Kept(host); err != nil {
			return err
		}
		id, err := commit(host, info, o)
		if err == nil && *idFile != "" {
			err = os.WriteFile(*idFile, []byte("sha256:"+id), 0o644)
		}
		if err == nil {
			info.Emit(host.Dirs, "commit")
			_, err = fmt.Fprintln(s.Out, id)
		}
		return err
	}
}

// refusedOfCommit is for what podman's commit can do and rl's cannot.
func refusedOfCommit(f *flags.Set, format string) error {
	if format != "oci" {
		return fmt.Errorf("--format %s is not supported: images are kept in OCI's form; rl push --format v2s2 sends docker's", format)
	}
	return refuse(f, map[string]string{"include-volumes": "the files of volumes are no part of an image; rl cp copies them into the container before"})
}

func commit(host container.Host, info *container.Info, o image.CommitOptions) (id string, err error) {
	enter, err := info.Enter(host)
	if err != nil {
		return "", info.Meanwhile(err)
	}
	defer enter.Close()
	o.Upper, o.Copy, o.Hidden = enter.Tree.Upper, enter.Tree.Copy, hidden(enter.Tree.Mounts)
	text, err := json.Marshal(o)
	if err != nil {
		return "", err
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return "", fmt.Errorf("making a pipe: %w", err)
	}
	defer reader.Close()
	// Not in the container's own user namespace but in one with the same ids: the
	// store is not the container's.
	process, err := userns.CommandWith(host.IDs, roleCommit, []string{string(text)}, [3]int{0, int(writer.Fd()), 2})
	writer.Close()
	if err != nil {
		return "", err
	}
	if err := secondSelf(process); err != nil {
		return "", info.Meanwhile(err)
	}
	_, err = fmt.Fscanln(reader, &id)
	return id, err
}

// commitInside is the second self.
func commitInside(s Streams, args []string) error {
	var o image.CommitOptions
	if len(args) != 1 {
		return errors.New(roleCommit + " is for rl itself")
	}
	if err := json.Unmarshal([]byte(args[0]), &o); err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	id, err := image.Commit(context.Background(), o)
	if err == nil {
		_, err = fmt.Fprintln(s.Out, id)
	}
	return err
}
