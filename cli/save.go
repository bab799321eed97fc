package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/image"
)

func saveFlags(f *flags.Set) func(Streams, []string) error {
	o := &image.SaveOptions{}
	r := imageRequest{Save: o}
	f.StringVar(&o.Form, "format", image.DockerArchive, "docker-archive|oci-archive|oci-dir|docker-dir")
	f.StringVarP(&o.Output, "output", "o", "", "file or directory to write instead of standard output")
	f.BoolVar(&o.Compress, "compress", false, "compress the layers of docker-dir")
	f.BoolVar(&o.Uncompressed, "uncompressed", false, "do not compress the layers of the OCI forms")
	f.BoolVarP(&r.Quiet, "quiet", "q", false, "show no progress")
	several := f.BoolP("multi-image-archive", "m", false, "all names are images; otherwise one that is no image is another name of the first")
	f.String("platform", "", "accepted for docker's sake: an image has one platform here")
	return func(s Streams, args []string) error {
		if err := checkSave(s, o, args, *several); err != nil {
			return err
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		o.Dirs = host.Dirs
		if o.Images, err = savedImages(host, args, *several); err != nil {
			return err
		}
		if len(o.Images) > 1 && o.Form != image.DockerArchive {
			return usageError{Text: "--multi-image-archive: several images can only be saved in the format docker-archive", Command: "save"}
		}
		return r.run(host, nil, nil)
	}
}

func checkSave(s Streams, o *image.SaveOptions, args []string, several bool) error {
	bad := func(text string) error { return usageError{Text: text, Command: "save"} }
	directory := o.Form == image.OCIDir || o.Form == image.DockerDir
	switch {
	case len(args) == 0:
		return bad("save needs at least 1 argument: an image")
	case !slices.Contains([]string{image.OCIDir, image.OCIArchive, image.DockerDir, image.DockerArchive}, o.Form):
		return bad("format value must be one of oci-dir oci-archive docker-dir docker-archive")
	case o.Compress && o.Form != image.DockerDir:
		return bad("--compress can only be set when --format is 'docker-dir'")
	case several && o.Form != image.DockerArchive:
		return bad("--multi-image-archive is only supported in the format docker-archive")
	case strings.Contains(o.Output, ":"):
		return bad(fmt.Sprintf("invalid filename (should not contain ':') %q", o.Output))
	case directory && o.Output == "":
		return bad("--format " + o.Form + " writes a directory: give it by --output")
	case o.Output == "" && term.IsTerminal(int(s.Out.Fd())):
		return bad("refusing to save to terminal. Use -o flag or redirect")
	}
	if info, err := os.Stat(o.Output); err == nil && o.Output != "" {
		switch {
		case directory && !info.IsDir():
			return fmt.Errorf("%q already exists as a regular file", o.Output)
		case !directory && info.IsDir():
			return fmt.Errorf("%q already exists as a directory", o.Output)
		}
	}
	return nil
}

// savedImages: what follows the first image is another name for podman, and
// another image for docker. One that is no image can only be a name.
func savedImages(host container.Host, args []string, several bool) (list []image.SavedImage, err error) {
	byID := map[string]int{}
	for n, ref := range args {
		img, err := lookup(host, ref)
		if err != nil {
			if n == 0 || several {
				return nil, err
			}
			name, err := image.LocalName(ref)
			if err != nil {
				return nil, usageError{Text: err.Error(), Command: "save"}
			}
			list[0].Names = append(list[0].Names, name)
			continue
		}
		img.Close()
		at, known := byID[img.ID]
		if !known {
			at = len(list)
			byID[img.ID] = at
			list = append(list, image.SavedImage{Ref: refOf(img, ref), Names: []string{}})
		}
		if full, err := host.Dirs.FullName(ref); err == nil && !slices.Contains(list[at].Names, full) {
			list[at].Names = append(list[at].Names, full)
		}
	}
	return list, nil
}

func (r imageRequest) saveInside(ctx context.Context, s Streams) error {
	r.Save.Tell = r.tell(s)
	d, err := image.Save(ctx, *r.Save, s.Out)
	if err != nil {
		return fmt.Errorf("saving %s: %w", r.Save.Images[0].Ref, err)
	}
	for _, img := range r.Save.Images {
		happened(r.Save.Dirs, "image", "save", imageID(r.Save.Dirs, img.Ref), r.Save.Output)
	}
	return r.writeDigest(d.String())
}
