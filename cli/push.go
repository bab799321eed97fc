package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/image"
)

// registryFlags are those of all commands that speak to a registry. The
// function checks them, once they are parsed, and asks for a password.
func registryFlags(f *flags.Set, a *image.Access) func(Streams) error {
	f.StringVar(&a.AuthFile, "authfile", "", "file with the credentials, instead of auth.json")
	f.StringVar(&a.Creds, "creds", "", "USER[:PASSWORD]")
	f.StringVar(&a.CertDir, "cert-dir", "", "directory of certificates")
	verify := f.Bool("tls-verify", true, "verify the registry's certificate and demand https")
	return func(s Streams) error {
		if f.Changed("tls-verify") {
			a.TLSVerify = verify
		}
		if f.Changed("creds") && !strings.Contains(a.Creds, ":") {
			password, err := askPassword(s)
			if err != nil {
				return err
			}
			a.Creds += ":" + password
		}
		if a.Creds != "" {
			if err := os.Setenv(image.CredsVariable, a.Creds); err != nil {
				return err
			}
		}
		return a.Check()
	}
}

// askPassword reads without an echo.
func askPassword(s Streams) (string, error) {
	fmt.Fprint(s.Err, "Password: ")
	text, err := term.ReadPassword(int(s.In.Fd()))
	fmt.Fprintln(s.Err)
	if err != nil {
		return "", fmt.Errorf("reading password: %w", err)
	}
	return string(text), nil
}

// retryFlags are podman's: the registry's client tries again by itself, so this is for more than that.
func retryFlags(f *flags.Set) (times, delay *string) {
	return f.String("retry", "", "times to try again after a failure"), f.String("retry-delay", "", "time between tries, such as 5s")
}

// again does something until it succeeds, some times more.
func again(times, delay string, do func() error) error {
	n, wait := 0, time.Second
	if _, err := fmt.Sscan(times, &n); times != "" && (err != nil || n < 0) {
		return fmt.Errorf("--retry %s: a number", times)
	}
	if delay != "" {
		var err error
		if wait, err = time.ParseDuration(delay); err != nil {
			return fmt.Errorf("--retry-delay: %w", err)
		}
	}
	for err := do(); ; err = do() {
		if err == nil || n == 0 {
			return err
		}
		n--
		time.Sleep(wait)
	}
}

// pushCommand are the flags of push.
type pushCommand struct {
	imageRequest
	push              image.PushOptions
	digestFile        string
	all, compress     bool
	signBy, sigstore  string
	times, retryDelay *string
}

func pushFlags(f *flags.Set) func(Streams, []string) error {
	c := &pushCommand{}
	check := registryFlags(f, &c.push.Access)
	f.StringVarP(&c.push.Format, "format", "f", "", "oci|v2s2: kind of manifest, instead of the image's own")
	f.StringVar(&c.push.Compression, "compression-format", "", "gzip|zstd")
	f.String("compression-level", "", "accepted for podman's sake")
	f.Bool("force-compression", false, "accepted for podman's sake: a layer that is sent is compressed anew")
	f.BoolVar(&c.compress, "compress", false, "compress the layers that are written to dir:")
	f.StringVar(&c.digestFile, "digestfile", "", "file to write the manifest's digest to")
	f.BoolVarP(&c.Quiet, "quiet", "q", false, "show no progress")
	f.BoolVarP(&c.all, "all-tags", "a", false, "push all tags of the repository")
	f.Bool("remove-signatures", false, "accepted: rl keeps no signatures")
	f.Bool("disable-content-trust", true, "accepted for docker's sake")
	f.String("platform", "", "accepted for docker's sake: an image has one platform here")
	f.StringVar(&c.signBy, "sign-by", "", "refused: rl does not sign")
	f.StringVar(&c.sigstore, "sign-by-sigstore-private-key", "", "refused: rl does not sign")
	f.String("sign-passphrase-file", "", "accepted for podman's sake")
	c.times, c.retryDelay = retryFlags(f)
	return func(s Streams, args []string) error {
		if err := c.check(args); err != nil {
			return err
		}
		if err := check(s); err != nil {
			return err
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		c.push.Dirs = host.Dirs
		return again(*c.times, *c.retryDelay, func() error { return c.start(s, host, args) })
	}
}

func (c *pushCommand) check(args []string) error {
	bad := func(text string) error { return usageError{Text: text, Command: "push"} }
	switch {
	case len(args) < 1 || len(args) > 2:
		return bad("push needs an image, and may have a destination")
	case c.signBy != "" || c.sigstore != "":
		return errors.New("signing is not supported by rl")
	case c.push.Format == "v2s1":
		return bad("--format v2s1: this form of 2015 is not supported: oci or v2s2")
	case !slices.Contains([]string{"", image.FormatOCI, image.FormatDocker}, c.push.Format):
		return bad(fmt.Sprintf("unknown format %q. Choose one of the supported formats: 'oci' or 'v2s2'", c.push.Format))
	case c.push.Compression == "zstd:chunked":
		c.push.Compression = image.Zstd // a superset, whose index of the content is left out
	case !slices.Contains([]string{"", image.Gzip, image.Zstd}, c.push.Compression):
		return bad(fmt.Sprintf("--compression-format %s: gzip or zstd", c.push.Compression))
	}
	return nil
}

func (c *pushCommand) start(s Streams, host container.Host, args []string) error {
	if c.all {
		return c.allTags(s, host, args[0])
	}
	if _, err := image.FindList(host.Dirs, args[0]); err == nil {
		list := &image.PushListOptions{PushOptions: c.push, All: true}
		list.Ref = args[0]
		return pushList(host, imageRequest{PushList: list, Quiet: c.Quiet, Digest: c.digestFile}, args)
	}
	form, path, ref, err := image.Transport(args[len(args)-1])
	if err != nil {
		return err
	}
	if form == image.DockerDir || c.compress {
		if form != image.DockerDir && c.compress {
			return usageError{Text: "--compress can be set only when using the 'dir' transport", Command: "push"}
		}
	}
	source := strings.TrimPrefix(args[0], "docker://")
	img, err := lookup(host, source)
	if err != nil {
		return err
	}
	img.Close()
	from := refOf(img, source)
	if form != "" {
		return c.toFile(s, host, from, form, path, ref)
	}
	if len(args) == 1 {
		if ref, err = host.Dirs.FullName(args[0]); err != nil {
			if img, lookup := host.Dirs.Lookup(args[0]); lookup == nil {
				img.Close()
				return fmt.Errorf("image %s has no name: rl push %[1]s REGISTRY/NAME", args[0])
			}
			return err
		}
	}
	return c.toRegistry(s, host, from, ref)
}

// toFile is save under the names of containers-transports(5).
func (c *pushCommand) toFile(_ Streams, host container.Host, ref, form, path, name string) error {
	names := []string{}
	switch {
	case form == image.DockerArchive && name != "":
		full, err := image.ParseReference(name)
		if err != nil {
			return err
		}
		names = append(names, full.String())
	case name != "":
		names = append(names, name)
	}
	if form == image.OCIDir && name == "" && strings.HasSuffix(path, "/") {
		path = strings.TrimRight(path, "/")
	}
	o := &image.SaveOptions{Dirs: host.Dirs, Form: form, Output: path, New: form == image.DockerArchive, Images: []image.SavedImage{{Ref: ref, Names: names}}, Compress: c.compress, Compression: c.push.Compression, Manifest: c.push.Format}
	r := imageRequest{Save: o, Quiet: c.Quiet, Digest: c.digestFile}
	return r.run(host, nil, nil)
}

func (c *pushCommand) toRegistry(s Streams, host container.Host, from, to string) error {
	full, err := image.ParseReference(to)
	if err != nil {
		return usageError{Text: err.Error(), Command: "push"}
	}
	c.push.Ref, c.push.To = from, full.String()
	r := imageRequest{Push: &c.push, Quiet: c.Quiet, Digest: c.digestFile}
	return r.run(host, nil, nil)
}

// allTags is docker's: all names of a repository.
func (c *pushCommand) allTags(s Streams, host container.Host, repository string) error {
	ref, err := image.ParseReference(repository)
	if err != nil {
		return usageError{Text: err.Error(), Command: "push"}
	}
	names, err := host.Dirs.Names()
	if err != nil {
		return err
	}
	var list []string
	for _, of := range names {
		for _, name := range of {
			if r, _ := splitTag(name); r == ref.Registry+"/"+ref.Repository {
				list = append(list, name)
			}
		}
	}
	if len(list) == 0 {
		return fmt.Errorf("an image does not exist locally with the tag: %s", repository)
	}
	slices.Sort(list)
	var failed []error
	for _, name := range list {
		failed = append(failed, c.toRegistry(s, host, name, name))
	}
	return errors.Join(failed...)
}

func (r imageRequest) pushInside(ctx context.Context, s Streams) error {
	r.Push.Tell = r.tell(s)
	pushed, err := image.Push(ctx, *r.Push)
	if err != nil {
		return err
	}
	happened(r.Push.Dirs, "image", "push", imageID(r.Push.Dirs, r.Push.Ref), r.Push.To)
	if !r.Quiet { // docker's last line
		_, tag := splitTag(r.Push.To)
		fmt.Fprintf(s.Out, "%s: digest: %s size: %d\n", tag, pushed.Digest, pushed.Size)
	}
	return r.writeDigest(pushed.Digest.String())
}

func (r imageRequest) writeDigest(d string) error {
	if r.Digest == "" {
		return nil
	}
	if err := os.WriteFile(r.Digest, []byte(d), 0o644); err != nil {
		return fmt.Errorf("writing the digest: %w", err)
	}
	return nil
}
