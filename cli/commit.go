package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
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
	f.StringArrayVarP(&o.Changes, "change", "c", nil, "a line of a Dockerfile: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR")
	pause := f.BoolP("pause", "p", false, "pause the container meanwhile")
	quiet := f.BoolP("quiet", "q", false, "accepted for podman's sake: only the id is printed")
	idFile := f.String("iidfile", "", "write the image's id to a file")
	format := f.StringP("format", "f", "oci", "oci alone: push --format v2s2 sends docker's")
	volumes := f.Bool("include-volumes", false, "let the image declare all volumes of the container, not only those without a name; their files are no part of it")
	f.BoolP("squash", "s", false, "accepted for podman's sake: the changes are one layer always")
	return func(s Streams, args []string) error {
		_ = *quiet
		if *format != "oci" {
			return fmt.Errorf("--format %s is not supported: images are kept in OCI's form; rl push --format v2s2 sends docker's", *format)
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
		if err := settle(&o, host, info, *volumes); err != nil {
			return err
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

// settle says what the image has of what the container was made with.
func settle(o *image.CommitOptions, host container.Host, i *container.Info, all bool) error {
	img, err := host.Dirs.Lookup(i.ImageID)
	if err != nil {
		return err
	}
	defer img.Close()
	o.Settings = i.Options.Settings(img.Settings)
	o.Settings.Volumes = append(slices.Clip(o.Settings.Volumes), committedVolumes(host, i, all)...)
	o.Exposed, o.Signal = slices.Clone(i.Options.Exposed), i.Options.StopSignal
	for _, p := range i.Options.Ports {
		o.Exposed = append(o.Exposed, portName(p))
	}
	if i.Options.Health == nil {
		return nil
	}
	var of struct {
		Config struct{ Healthcheck *container.Health }
	}
	check := *i.Options.Health
	check.OnFailure = "" // podman's, and no part of an image
	if err := json.Unmarshal(img.Config, &of); err == nil && reflect.DeepEqual(of.Config.Healthcheck, &check) {
		return nil
	}
	o.Health, err = json.Marshal(check)
	return err
}

// committedVolumes are where the container has volumes without a name, or all that
// it was given.
func committedVolumes(host container.Host, i *container.Info, all bool) (list []string) {
	for _, m := range i.Options.Mounts {
		include := all && slices.Contains([]string{container.TypeVolume, "bind", "tmpfs"}, m.Type)
		if !include && m.Type == container.TypeVolume {
			v, err := host.Dirs.FindVolume(m.Source)
			include = err == nil && v.Name == m.Source && v.Anonymous
		}
		if include {
			list = append(list, m.Destination)
		}
	}
	return list
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
