package storage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
)

// listStart begins each list of manifests, and no image's configuration.
const listStart = `{"schemaVersion":`

// IsList says whether an image is a list of manifests: its configuration is the
// list itself, and it has no layers.
func (img *Image) IsList() bool { return bytes.HasPrefix(img.Config, []byte(listStart)) }

// ListPlatform says what an image of a list runs on.
type ListPlatform struct {
	Architecture string   `json:"architecture"`
	OS           string   `json:"os"`
	OSVersion    string   `json:"os.version,omitempty"`
	OSFeatures   []string `json:"os.features,omitempty"`
	Variant      string   `json:"variant,omitempty"`
	Features     []string `json:"features,omitempty"`
}

// ListSource is an image here, or a name in a registry.
type ListSource struct{ Local, Remote string }

// fits: what either does not say is no difference.
func (p *ListPlatform) fits(want ListPlatform) bool {
	if p == nil {
		return true
	}
	same := func(is, want string) bool { return is == "" || want == "" || is == want }
	return same(p.OS, want.OS) && same(p.Architecture, want.Architecture) && same(p.Variant, want.Variant)
}

// LookupImage is Lookup, and gives for a list its image for this machine.
func (d Dirs) LookupImage(ref string) (*Image, error) {
	img, err := d.Lookup(ref)
	if err != nil || !img.IsList() {
		return img, err
	}
	defer img.Close()
	return d.Instance(img, ref, ListPlatform{OS: "linux", Architecture: runtime.GOARCH})
}

// Instance gives the image of a list for a platform. It has no name of its own.
// One that is not here is not ErrNoImage: no registry has it under the list's name.
func (d Dirs) Instance(list *Image, ref string, want ListPlatform) (*Image, error) {
	var index struct {
		Manifests []struct {
			Digest   string
			Platform *ListPlatform
		}
		Sources map[string]ListSource
	}
	if err := json.Unmarshal(list.Config, &index); err != nil {
		return nil, fmt.Errorf("reading the manifest list %s: %w", ref, err)
	}
	platform := strings.TrimSuffix(want.OS+"/"+want.Architecture+"/"+want.Variant, "/")
	for _, m := range index.Manifests {
		if !m.Platform.fits(want) {
			continue
		}
		source := index.Sources[m.Digest]
		img, err := d.Lookup(source.Local + source.Remote) // one of them
		switch {
		case err == nil:
			img.Names = nil
			return img, nil
		case !errors.Is(err, ErrNoImage):
			return nil, fmt.Errorf("the manifest list %s: its image for %s: %w", ref, platform, err)
		case source.Remote != "":
			return nil, fmt.Errorf("the manifest list %s: its image for %s is not here: rl pull %s", ref, platform, source.Remote)
		}
		return nil, fmt.Errorf("the manifest list %s: its image for %s, %s, is no longer here", ref, platform, m.Digest)
	}
	return nil, fmt.Errorf("the manifest list %s has no image for %s", ref, platform)
}
