package cli

import (
	"errors"
	"fmt"

	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/image"
	"containers/rl/storage"
)

// findImage gives an image that package start has not found. With a platform, what
// is here under the name counts only if it is for that one.
func findImage(host container.Host, w start.Wanted) (*storage.Image, error) {
	if start.IsBuiltin(w.Ref) {
		img, err := findBuiltin(host)
		return fitting(img, err, w)
	}
	switch id, err := fromTransport(w); {
	case err != nil:
		return nil, err
	case id != "":
		img, err := host.Dirs.Lookup(id)
		return fitting(img, err, w)
	}
	img, err := lookupFor(host, w.Ref, w.Platform)
	if err != nil && !errors.Is(err, storage.ErrNoImage) {
		return nil, err
	}
	unfit := err
	if unfit == nil {
		unfit = otherPlatform(img, w)
	}
	switch {
	case w.Pull == "never" && err != nil:
		return nil, fmt.Errorf("%s: image not known, and --pull never forbids to get it: %w", w.Ref, storage.ErrNoImage)
	case w.Pull == "never" && unfit != nil:
		img.Close()
		return nil, fmt.Errorf("%w, and --pull never forbids to get another", unfit)
	case unfit == nil && (w.Pull == "never" || w.Pull == "missing"):
		return img, nil
	}
	r := &pullRequest{Refs: []string{w.Ref}, Platform: w.Platform, Quiet: w.Quiet, Told: err != nil, Access: image.Access{AuthFile: w.AuthFile, TLSVerify: w.TLSVerify}}
	failed := r.start(host)
	if failed != nil && w.Pull == "newer" && unfit == nil {
		return img, nil // podman-run(1): errors are suppressed if a local image was found
	}
	img.Close()
	if failed != nil && err == nil && unfit != nil {
		return nil, errors.Join(failed, unfit) // why one had to be pulled
	}
	if failed != nil {
		return nil, failed
	}
	return host.Dirs.Lookup(w.Ref)
}

// fromTransport brings what a transport of files names, whatever is here: it may
// have changed there.
func fromTransport(w start.Wanted) (id string, err error) {
	if form, _, _, _ := image.Transport(w.Ref); form != "" && w.Pull == "never" {
		return "", fmt.Errorf("%s: --pull never forbids to get it", w.Ref)
	}
	return fromFile(w.Ref, w.Quiet)
}

// fitting gives an image that was looked up only if it is for the platform asked for.
func fitting(img *storage.Image, err error, w start.Wanted) (*storage.Image, error) {
	if err == nil {
		err = otherPlatform(img, w)
	}
	if err != nil {
		img.Close()
		return nil, err
	}
	return img, nil
}

// otherPlatform is the error of an image that is not for the platform asked for.
func otherPlatform(img *storage.Image, w start.Wanted) error {
	if w.Platform == "" {
		return nil
	}
	is, err := image.OtherPlatform(img.Config, w.Platform)
	if err == nil && is != "" {
		err = fmt.Errorf("the image that is here is for platform %s, not %s", is, w.Platform)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", w.Ref, err)
	}
	return nil
}
