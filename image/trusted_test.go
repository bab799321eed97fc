package image

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	ocireg "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// signatureImage has what was signed as a layer.
func signatureImage(t *testing.T, payload string) v1.Image {
	t.Helper()
	img, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), mutate.Addendum{
		Layer: static.NewLayer([]byte(payload), signatureType), Annotations: map[string]string{signatureField: "c2lnbmVk"}})
	if err != nil {
		t.Fatal(err)
	}
	return mutate.ConfigMediaType(img, signatureKind)
}

// TestSignatures: by a tag, by the referrers of a registry, and by their tag where it has none.
func TestSignatures(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	for name, test := range map[string]struct {
		referrers, tagged, refers bool
		want                      string
	}{
		"none":                  {true, false, false, ""},
		"tag":                   {true, true, false, "tagged"},
		"referrer":              {true, false, true, "refers"},
		"both":                  {true, true, true, "tagged refers"},
		"referrer by its tag":   {false, false, true, "refers"},
		"tag without referrers": {false, true, false, "tagged"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(ocireg.New(ocireg.Logger(log.New(io.Discard, "", 0)), ocireg.WithReferrersSupport(test.referrers)))
			defer server.Close()
			checkSignatures(t, server, test.tagged, test.refers, test.want)
		})
	}
	t.Run("referrers that are refused", func(t *testing.T) {
		inner := ocireg.New(ocireg.Logger(log.New(io.Discard, "", 0)))
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/referrers/") {
				http.Error(w, "no", http.StatusMethodNotAllowed)
				return
			}
			inner.ServeHTTP(w, r)
		}))
		defer server.Close()
		checkSignatures(t, server, true, false, "tagged")
	})
}

func checkSignatures(t *testing.T, server *httptest.Server, tagged, refers bool, want string) {
	t.Helper()
	repository, err := name.NewRepository(strings.TrimPrefix(server.URL, "http://")+"/x", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	desc, err := partial.Descriptor(image)
	if err == nil {
		err = remote.Write(repository.Tag("1"), image)
	}
	if err == nil && tagged {
		err = remote.Write(repository.Tag(strings.Replace(desc.Digest.String(), ":", "-", 1)+".sig"), signatureImage(t, "tagged"))
	}
	if err == nil && refers {
		err = remote.Write(repository.Tag("any"), mutate.Subject(signatureImage(t, "refers"), *desc).(v1.Image))
	}
	if err != nil {
		t.Fatal(err)
	}
	list, err := Access{}.signatures(context.Background(), Endpoint{Name: repository.Name(), Insecure: true}, desc.Digest.String())
	var got []string
	for _, s := range list {
		got = append(got, string(s.Payload))
	}
	if err != nil || strings.Join(got, " ") != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}
