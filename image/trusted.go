package image

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"containers/rl/image/trust"
)

const (
	signatureType  = "application/vnd.dev.cosign.simplesigning.v1+json"
	signatureField = "dev.cosignproject.cosign/signature"
	mostSignatures = 100     // of one manifest that are looked at
	mostSigned     = 1 << 20 // bytes of what one of them signs
)

// trusted asks the policy about an image of a registry, by the name that the
// user knows it by. Its signatures lie where the image was found: a mirror's are
// as good as the registry's, as they are verified.
func (o PullOptions) trusted(ctx context.Context, e Endpoint, ref Reference, desc *remote.Descriptor, chosen v1.Image) error {
	policy, err := trust.Load(o.Policy, os.Getenv)
	if err != nil || policy == nil {
		return err
	}
	digest, err := chosen.Digest()
	if err != nil {
		return err
	}
	digests := []string{digest.String()}
	if desc.Digest != digest {
		digests = append(digests, desc.Digest.String())
	}
	return policy.Check(trust.Image{Transport: "docker", Name: ref.String(), Digests: digests,
		Signatures: func(digest string) ([]trust.Signature, error) { return o.signatures(ctx, e, digest) }})
}

// trustedFile asks it about an image that is not of a registry, which has no
// signatures of sigstore.
func trustedFile(policy, kind, path string) error {
	p, err := trust.Load(policy, os.Getenv)
	if err != nil {
		return err
	}
	return p.Check(trust.Image{Transport: kind, Name: path})
}

// signatures are those that cosign and podman attach to a manifest: the layers
// of an image whose tag is made of the manifest's digest.
func (a Access) signatures(ctx context.Context, e Endpoint, digest string) (list []trust.Signature, err error) {
	options, names, err := a.options(ctx, e)
	if err != nil {
		return nil, err
	}
	tag, err := name.NewTag(e.Name+":"+strings.Replace(digest, ":", "-", 1)+".sig", names...)
	if err != nil {
		return nil, err
	}
	img, err := remote.Image(tag, options...)
	var status *transport.Error
	if errors.As(err, &status) && status.StatusCode == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	manifest, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	for _, l := range manifest.Layers {
		text, ok := l.Annotations[signatureField]
		if !ok || string(l.MediaType) != signatureType || l.Size > mostSigned || len(list) == mostSignatures {
			continue
		}
		signature, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			continue // as good as none
		}
		payload, err := content(tag.Context().Digest(l.Digest.String()), options)
		if err != nil {
			return nil, fmt.Errorf("signature %s: %w", l.Digest, err)
		}
		list = append(list, trust.Signature{Payload: payload, Signature: signature})
	}
	return list, nil
}

// content reads a small blob.
func content(digest name.Digest, options []remote.Option) ([]byte, error) {
	layer, err := remote.Layer(digest, options...)
	if err != nil {
		return nil, err
	}
	body, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(io.LimitReader(body, mostSigned+1))
}
