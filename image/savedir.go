package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"
)

// dirVersion is what the file "version" of the transport dir says.
const dirVersion = "Directory Transport Version: 1.1\n"

// directory writes the form of the transport dir (containers-transports(5)), in
// the place of an image that is there.
func (o SaveOptions) directory(ctx context.Context, s sink, img *stored) (digest.Digest, error) {
	if err := o.checkDirectory(); err != nil {
		return "", err
	}
	compression := None
	if o.Compress {
		compression = or(o.Compression, Gzip)
	}
	format, err := o.format(FormatDocker, compression)
	if err != nil {
		return "", err
	}
	putText := func(name, text string) error { return s.put(name, int64(len(text)), strings.NewReader(text)) }
	if err := putText("version", dirVersion); err != nil { // first: it says that the rest is ours
		return "", err
	}
	written := map[string]bool{}
	manifest, err := o.blobs(ctx, img, format, compression, func(b blob) error {
		written[b.desc.Digest.Encoded()] = true
		return putBlob(s, b.desc.Digest.Encoded(), b)
	})
	if err != nil {
		return "", err
	}
	o.tell("Writing manifest to image destination")
	if err := putText("manifest.json", string(manifest)); err != nil {
		return "", err
	}
	return digest.FromBytes(manifest), o.clearDirectory(written)
}

// checkDirectory refuses what podman refuses: files of others have the names of ours.
func (o SaveOptions) checkDirectory() error {
	there, err := os.ReadDir(o.Output)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(there) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	version, err := os.ReadFile(filepath.Join(o.Output, "version"))
	if err == nil && string(version) == dirVersion {
		return nil
	}
	return fmt.Errorf("%s: not a containers image directory, don't want to overwrite important data", o.Output)
}

// clearDirectory removes what is left of the image that was there, and nothing else.
func (o SaveOptions) clearDirectory(written map[string]bool) error {
	there, err := os.ReadDir(o.Output)
	if err != nil {
		return err
	}
	ours := regexp.MustCompile(`^([0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128}|signature-[0-9]+|[0-9a-f]{64}\.(manifest\.json|signature-[0-9]+))$`)
	for _, e := range there {
		if name := e.Name(); e.Type().IsRegular() && !written[name] && ours.MatchString(name) {
			if err := os.Remove(filepath.Join(o.Output, name)); err != nil {
				return err
			}
		}
	}
	return nil
}
