package harness

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/rogpeppe/go-internal/testscript"
)

// sign NAME KEY REFERENCE [referrer] attaches a signature to an image of the test registry, in the form of cosign, as there is no cosign in Debian,
// and its podman is built without it. NAME is REPOSITORY:TAG there, REFERENCE what is signed for, KEY the file of the private key, which is
// made with KEY.pub when it is not there. A referrer has no tag, but the image's digest as its subject.
func (w World) sign(ts *testscript.TestScript, neg bool, args []string) {
	refers := len(args) == 4 && args[3] == "referrer"
	if neg || len(args) != 3 && !refers {
		ts.Fatalf("usage: sign NAME KEY REFERENCE [referrer]")
	}
	key, err := signingKey(ts.MkAbs(args[1]))
	ts.Check(err)
	ref, err := name.ParseReference(w.Registry+"/"+args[0], name.Insecure)
	ts.Check(err)
	desc, err := remote.Head(ref)
	ts.Check(err)
	payload := fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":%q},"image":{"docker-manifest-digest":%q},"type":"cosign container image signature"},"optional":null}`,
		args[2], desc.Digest)
	sum := sha256.Sum256(payload)
	signature, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	ts.Check(err)
	img, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), mutate.Addendum{
		Layer:       static.NewLayer(payload, "application/vnd.dev.cosign.simplesigning.v1+json"),
		Annotations: map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(signature)},
	})
	ts.Check(err)
	if refers {
		img = mutate.Subject(mutate.ConfigMediaType(img, "application/vnd.dev.cosign.artifact.sig.v1+json"), *desc).(v1.Image)
		digest, err := img.Digest()
		ts.Check(err)
		ts.Check(remote.Write(ref.Context().Digest(digest.String()), img))
		return
	}
	ts.Check(remote.Write(ref.Context().Tag(strings.Replace(desc.Digest.String(), ":", "-", 1)+".sig"), img))
}

func signingKey(path string) (*ecdsa.PrivateKey, error) {
	if text, err := os.ReadFile(path); err == nil {
		block, _ := pem.Decode(text)
		if block == nil {
			return nil, errors.New(path + " is not PEM")
		}
		return x509.ParseECPrivateKey(block.Bytes)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	return key, errors.Join(os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}), 0o600),
		os.WriteFile(path+".pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o644))
}
