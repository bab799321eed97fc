package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	ocireg "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"

	"containers/rl/storage/layers"
)

// layerFrom serves a blob under the digest of another and unpacks it.
func layerFrom(t *testing.T, blob []byte, change func([]byte) []byte) error {
	t.Helper()
	inner := ocireg.New(ocireg.Logger(log.New(io.Discard, "", 0)))
	changed := false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !changed || !strings.Contains(r.URL.Path, "/blobs/") {
			inner.ServeHTTP(w, r)
			return
		}
		_, _ = w.Write(change(bytes.Clone(blob)))
	}))
	defer server.Close()
	repository, err := name.NewRepository(strings.TrimPrefix(server.URL, "http://") + "/x")
	if err != nil {
		t.Fatal(err)
	}
	layer := static.NewLayer(blob, types.OCILayer)
	if err := remote.WriteLayer(repository, layer); err != nil {
		t.Fatal(err)
	}
	changed = true
	digest, _ := layer.Digest()
	served, err := remote.Layer(repository.Digest(digest.String()))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	frame, err := os.Create(filepath.Join(t.TempDir(), "frame"))
	if err != nil {
		t.Fatal(err)
	}
	defer frame.Close()
	p := &pull{o: PullOptions{Progress: silent{}, SingleID: true}, img: oneLayer{served}, layers: []v1.Descriptor{{Digest: digest, Size: int64(len(blob)), MediaType: types.OCILayer}}, diffs: nil}
	p.diffs = append(p.diffs, "sha256:none")
	_, err = p.layer(context.Background(), 0, p.img, &layers.Staging{Dir: dir, Frame: frame})
	return err
}

type oneLayer struct{ layer v1.Layer }

func (o oneLayer) LayerByDigest(v1.Hash) (v1.Layer, error) { return o.layer, nil }

// TestLayerOfAnotherStore: it is not compressed, whatever the registry's has.
func TestLayerOfAnotherStore(t *testing.T) {
	plain := archive(t, entry{name: "f", kind: tar.TypeReg, body: "x"})
	hash := v1.Hash{Algorithm: "sha256", Hex: strings.Repeat("0", 64)}
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	frame, err := os.Create(filepath.Join(t.TempDir(), "frame"))
	if err != nil {
		t.Fatal(err)
	}
	defer frame.Close()
	p := &pull{o: PullOptions{Progress: silent{}, SingleID: true}, layers: []v1.Descriptor{{Digest: hash, Size: 1 << 20, MediaType: types.OCILayer}}, diffs: []digest.Digest{digest.FromBytes(plain)}}
	if size, err := p.layer(context.Background(), 0, oneLayer{static.NewLayer(plain, types.OCIUncompressedLayer)}, &layers.Staging{Dir: dir, Frame: frame}); err != nil || size != int64(len(plain)) {
		t.Errorf("%d bytes, %v", size, err)
	}
}

// A registry that sends something else is told by the digest, and ends the pull.
func TestLayerIsVerified(t *testing.T) {
	body := make([]byte, 3<<20)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range body {
		body[i] = byte(r.Uint32())
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(archive(t, entry{name: "f", kind: tar.TypeReg, body: string(body)}))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func([]byte) []byte{
		"half":    func(b []byte) []byte { return b[:len(b)/2] },
		"byte":    func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"header":  func(b []byte) []byte { b[600] ^= 0x55; return b },
		"longer":  func(b []byte) []byte { return append(b, "more"...) },
		"nothing": func([]byte) []byte { return nil },
	} {
		err := layerFrom(t, packed.Bytes(), change)
		if err == nil || !strings.Contains(err.Error(), "verif") && !strings.Contains(err.Error(), "digest") && !strings.Contains(err.Error(), "size") && !strings.Contains(err.Error(), "cut off") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := layerFrom(t, packed.Bytes(), func(b []byte) []byte { return b }); err == nil || !strings.Contains(err.Error(), "the configuration says") {
		t.Errorf("a wrong diff id: %v", err)
	}
}
