package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/image"
	"containers/rl/storage"
)

func pullFlags(f *flags.Set) func(Streams, []string) error {
	r := &pullRequest{PrintID: true}
	check := registryFlags(f, &r.Access)
	platform := f.String("platform", "", "OS/ARCH[/VARIANT]")
	arch := f.String("arch", "", "architecture, instead of the host's")
	system := f.String("os", "", "operating system, instead of the host's")
	variant := f.String("variant", "", "variant of the architecture")
	all := f.BoolP("all-tags", "a", false, "all tags of the repository")
	policy := f.String("policy", "always", "always|missing|newer|never")
	f.BoolVarP(&r.Quiet, "quiet", "q", false, "show no progress")
	f.StringVar(&r.Access.Policy, "signature-policy", "", "file with the signature policy, instead of policy.json")
	f.Bool("disable-content-trust", true, "accepted for docker's sake")
	times, delay := retryFlags(f)
	return func(s Streams, args []string) error {
		if len(args) == 0 {
			return usageError{Text: "pull needs an image", Command: "pull"}
		}
		var err error
		if r.Platform, err = chosenPlatform(*platform, *system, *arch, *variant); err != nil {
			return usageError{Text: err.Error(), Command: "pull"}
		}
		if !slices.Contains([]string{"always", "missing", "newer", "never"}, *policy) {
			return usageError{Text: fmt.Sprintf("unsupported pull policy %q: always, missing, newer or never", *policy), Command: "pull"}
		}
		if err := check(s); err != nil {
			return err
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		if *all {
			if args, err = image.Tags(args, r.Access); err != nil {
				return err
			}
		}
		return again(*times, *delay, func() error { return r.each(s, host, args, *policy) })
	}
}

// chosenPlatform: what is not given is the host's.
func chosenPlatform(platform, os, arch, variant string) (string, error) {
	switch {
	case platform != "" && (os != "" || arch != ""):
		return "", errors.New("--platform option can not be specified with --arch or --os")
	case platform != "" || os == "" && arch == "" && variant == "":
		return platform, nil
	}
	hostOS, hostArch, _, _ := image.Platform("")
	if os == "" {
		os = hostOS
	}
	if arch == "" {
		arch = hostArch
	}
	return strings.TrimSuffix(os+"/"+arch+"/"+variant, "/"), nil
}

// each pulls from registries in one go, and loads what is a file.
func (r *pullRequest) each(s Streams, host container.Host, args []string, policy string) error {
	for _, arg := range args {
		form, path, ref, err := image.Transport(arg)
		if err != nil {
			return err
		}
		if form == "" {
			err = r.fromRegistry(s, host, ref, policy)
		} else {
			err = loadOf(form, path, ref, r.Quiet).loadFrom(s, path, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// loadOf asks for what a transport of files names.
func loadOf(form, path, ref string, quiet bool) imageRequest {
	r := imageRequest{Load: &loadRequest{Only: ref, IDs: true}, Quiet: quiet}
	if form == image.OCIDir || form == image.DockerDir {
		r.Load.Name = nameOfPath(path)
	}
	return r
}

// fromFile brings the one image that a transport of files names, and gives its id;
// "" is for all that is no such transport.
func fromFile(text string, quiet bool) (id string, err error) {
	form, path, ref, err := image.Transport(text)
	if err != nil || form == "" {
		return "", err
	}
	ids, err := captured(func(out *os.File) error {
		return loadOf(form, path, ref, quiet).loadFrom(Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, path, out)
	})
	if err != nil {
		return "", err
	}
	list := strings.Fields(ids)
	if len(list) != 1 {
		return "", fmt.Errorf("%s: there are %d images: one is meant: %s:%s:NAME", text, len(list), strings.SplitN(text, ":", 2)[0], path)
	}
	return list[0], nil
}

// nameOfPath is podman's for an image of a directory.
func nameOfPath(path string) string {
	name, err := image.LocalName("localhost/" + strings.Trim(filepath.Clean(path), "/"))
	if err != nil {
		return ""
	}
	return name
}

func (r *pullRequest) fromRegistry(s Streams, host container.Host, ref, policy string) error {
	find := lookup
	if policy == "always" {
		find = func(host container.Host, ref string) (*storage.Image, error) { return host.Dirs.Lookup(ref) }
	}
	img, err := find(host, ref)
	if err == nil {
		defer img.Close()
	}
	switch {
	case policy == "never" && err != nil:
		return err
	case policy == "never", policy == "missing" && err == nil:
		_, err := fmt.Fprintln(s.Out, img.ID)
		return err
	case err != nil && !errors.Is(err, storage.ErrNoImage):
		return err
	}
	r.Refs, r.Told = []string{ref}, policy != "always"
	return r.start(host)
}
