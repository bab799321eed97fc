package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/types"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
)

const (
	maxLayers = 2048      // that are stored; the kernel mounts 500, which a start says
	maxBlame  = 256 << 20 // that are read on of a blob which made no sense, to tell a wrong digest
)

// errSchema1: the form has no digest of what is unpacked, and its layers come
// in the other order.
var errSchema1 = errors.New("it is of manifest schema 1, which docker wrote until 2016 and which is not read here: pull it with a program of that time and push it again, or take another tag")

// manifestKinds are the media types of a manifest of one image; "" is a registry
// that does not say.
var manifestKinds = []string{"", imagespec.MediaTypeImageManifest, dockerManifest}

// configKinds are those of an image's configuration; others are of artifacts.
var configKinds = []string{"", imagespec.MediaTypeImageConfig, dockerConfig, "application/octet-stream"}

// checkManifest says what is wrong with what is to be read as the manifest of
// one image. What could be read in two ways is refused (CVE-2021-41190), and
// sizes are looked at before anything is fetched: -1 would mean any.
func checkManifest(text []byte) error {
	if len(text) > maxMetadata {
		return fmt.Errorf("the manifest has %d bytes, at most %d are taken", len(text), maxMetadata)
	}
	var m struct {
		SchemaVersion int                    `json:"schemaVersion"`
		MediaType     string                 `json:"mediaType"`
		FSLayers      json.RawMessage        `json:"fsLayers"`
		Manifests     json.RawMessage        `json:"manifests"`
		Config        imagespec.Descriptor   `json:"config"`
		Layers        []imagespec.Descriptor `json:"layers"`
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("reading the manifest: %w", err)
	}
	switch {
	case m.SchemaVersion == 1 || m.FSLayers != nil:
		return errSchema1
	case m.Manifests != nil:
		return errors.New("the manifest is an index, too: what it means depends on who reads it, and it is not taken")
	case !slices.Contains(manifestKinds, m.MediaType):
		return fmt.Errorf("the manifest of an image is of type %q", m.MediaType)
	case !slices.Contains(configKinds, string(m.Config.MediaType)):
		return fmt.Errorf("it is no image, but an artifact of type %q", m.Config.MediaType)
	case len(m.Layers) > maxLayers:
		return fmt.Errorf("the manifest has %d layers, at most %d are taken", len(m.Layers), maxLayers)
	case m.Config.Size < 0 || m.Config.Size > maxMetadata:
		return fmt.Errorf("the configuration has %d bytes, at most %d are taken", m.Config.Size, maxMetadata)
	}
	if err := m.Config.Digest.Validate(); err != nil {
		return fmt.Errorf("the manifest names no configuration: %w", err)
	}
	for _, l := range m.Layers {
		if l.Size < 0 {
			return fmt.Errorf("layer %s has %d bytes", shown(string(l.Digest)), l.Size)
		}
	}
	return nil
}

// indexKinds are the media types of an index.
var indexKinds = []string{"", imagespec.MediaTypeImageIndex, dockerList}

// checkIndex is the same for an index.
func checkIndex(text []byte) error {
	var m struct {
		MediaType string          `json:"mediaType"`
		FSLayers  json.RawMessage `json:"fsLayers"`
		Config    json.RawMessage `json:"config"`
		Layers    json.RawMessage `json:"layers"`
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return fmt.Errorf("reading the index: %w", err)
	}
	if m.FSLayers != nil || m.Config != nil || m.Layers != nil {
		return errors.New("the index is a manifest of an image, too: what it means depends on who reads it, and it is not taken")
	}
	if !slices.Contains(indexKinds, m.MediaType) {
		return fmt.Errorf("the index is of type %q", m.MediaType)
	}
	return nil
}

// isSchema1 knows it by its media type.
func isSchema1(kind types.MediaType) bool {
	return kind == types.DockerManifestSchema1 || kind == types.DockerManifestSchema1Signed
}

// brief bounds what a registry may send as a manifest. Blobs are bounded by
// their descriptors, and what else is small by who reads it.
type brief struct{ http.RoundTripper }

func (t brief) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.RoundTripper.RoundTrip(r)
	if err == nil && r.Method == http.MethodGet && (strings.Contains(asked(r), "/manifests/") || strings.Contains(asked(r), "/referrers/")) {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{bounded(answer.Body, maxMetadata), answer.Body}
	}
	return answer, err
}

// asked is the path that a chain of redirections began with.
func asked(r *http.Request) string {
	for r.Response != nil && r.Response.Request != nil {
		r = r.Response.Request
	}
	return r.URL.Path
}
