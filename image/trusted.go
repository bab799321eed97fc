package image

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
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
	signatureKind  = "application/vnd.dev.cosign.artifact.sig.v1+json" // of a manifest that refers to the one that it signs
	mostSignatures = 100                                               // of one manifest that are looked at
	mostSigned     = 1 << 20                                           // bytes of what one of them signs
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

// signatures are those that cosign and podman attach to a manifest.
func (a Access) signatures(ctx context.Context, e Endpoint, digest string) (list []trust.Signature, err error) {
	options, names, err := a.options(ctx, e)
	if err != nil {
		return nil, err
	}
	repository, err := name.NewRepository(e.Name, names...)
	if err != nil {
		return nil, err
	}
	images, err := signing(repository, digest, options)
	for _, img := range images {
		if err == nil {
			list, err = signaturesOf(list, img, repository, options)
		}
	}
	return list, err
}

// signing are the images whose layers are signatures: that with a tag made of the
// digest, and those that refer to it (distribution-spec, referrers).
func signing(repository name.Repository, digest string, options []remote.Option) (list []v1.Image, err error) {
	img, err := remote.Image(repository.Tag(strings.Replace(digest, ":", "-", 1)+".sig"), options...)
	var status *transport.Error
	switch {
	case err == nil:
		list = append(list, img)
	case !errors.As(err, &status) || status.StatusCode != http.StatusNotFound:
		return nil, err
	}
	index, err := remote.Referrers(repository.Digest(digest), append(slices.Clip(options), remote.WithFilter("artifactType", signatureKind))...)
	if err != nil {
		return list, nil // where it is not known, registries answer this and that
	}
	referring, err := index.IndexManifest()
	if err != nil {
		return list, nil
	}
	for _, d := range referring.Manifests[:min(len(referring.Manifests), mostSignatures)] {
		img, err := remote.Image(repository.Digest(d.Digest.String()), options...)
		if err != nil {
			return nil, fmt.Errorf("signature %s: %w", d.Digest, err)
		}
		list = append(list, img)
	}
	return list, nil
}

func signaturesOf(list []trust.Signature, img v1.Image, repository name.Repository, options []remote.Option) ([]trust.Signature, error) {
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
		payload, err := content(repository.Digest(l.Digest.String()), options)
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
