package trust

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// key is a public key of a kind that cosign signs with.
type key struct{ crypto.PublicKey }

func parseKey(text []byte) (key, error) {
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" {
		return key{}, errors.New("a public key is not in the form PEM, PUBLIC KEY")
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return key{}, fmt.Errorf("reading a public key: %w", err)
	}
	switch public.(type) {
	case *ecdsa.PublicKey, *rsa.PublicKey, ed25519.PublicKey:
		return key{public}, nil
	}
	return key{}, fmt.Errorf("reading a public key: %T is not verified here", public)
}

func (k key) verifies(s Signature) bool {
	sum := sha256.Sum256(s.Payload)
	switch public := k.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(public, sum[:], s.Signature)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], s.Signature) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(public, s.Payload, s.Signature)
	}
	return false
}

// payload is what simple signing signs (containers-signature(5)).
type payload struct {
	Critical struct {
		Type     string `json:"type"`
		Identity struct {
			Reference string `json:"docker-reference"`
		} `json:"identity"`
		Image struct {
			Digest string `json:"docker-manifest-digest"`
		} `json:"image"`
	} `json:"critical"`
}

const cosignType = "cosign container image signature"

// holds: the signature is by one of the keys, of this digest, for this name. The
// payload is not looked at before it is known to be the signer's.
func (r *Requirement) holds(s Signature, keys []key, name, digest string) error {
	good := false
	for _, k := range keys {
		good = good || k.verifies(s)
	}
	if !good {
		return errors.New("a signature is by none of the policy's keys")
	}
	var p payload
	if err := json.Unmarshal(s.Payload, &p); err != nil {
		return fmt.Errorf("reading what was signed: %w", err)
	}
	if p.Critical.Type != cosignType {
		return fmt.Errorf("what was signed is of type %q", p.Critical.Type)
	}
	if p.Critical.Image.Digest != digest {
		return fmt.Errorf("a signature is of %s, not of %s", p.Critical.Image.Digest, digest)
	}
	identity := r.SignedIdentity
	if identity == nil {
		identity = &Identity{Type: "matchRepoDigestOrExact"}
	}
	if !identity.matches(name, p.Critical.Identity.Reference) {
		return fmt.Errorf("a signature is for %s, which is not %s by %s", p.Critical.Identity.Reference, name, identity.Type)
	}
	return nil
}

// Identity says which names a signature may be for.
type Identity struct {
	Type             string `json:"type"`
	DockerReference  string `json:"dockerReference,omitempty"`
	DockerRepository string `json:"dockerRepository,omitempty"`
	Prefix           string `json:"prefix,omitempty"`
	SignedPrefix     string `json:"signedPrefix,omitempty"`
}

// UnmarshalJSON refuses a type that is not known, and what belongs to another.
func (i *Identity) UnmarshalJSON(text []byte) error {
	type plain Identity
	if err := strict(text, (*plain)(i)); err != nil {
		return err
	}
	takes, ok := map[string][4]bool{ // reference, repository, prefix, signed prefix
		"matchExact": {}, "matchRepoDigestOrExact": {}, "matchRepository": {},
		"exactReference": {true}, "exactRepository": {false, true}, "remapIdentity": {false, false, true, true},
	}[i.Type]
	if !ok {
		return fmt.Errorf("signedIdentity of unknown type %q", i.Type)
	}
	if has := [4]bool{i.DockerReference != "", i.DockerRepository != "", i.Prefix != "", i.SignedPrefix != ""}; has != takes {
		return fmt.Errorf("signedIdentity %s lacks a field, or has one of another type", i.Type)
	}
	return nil
}

// matches compares the name that was asked for with the one that was signed.
func (i *Identity) matches(name, signed string) bool {
	signed = full(signed)
	repository, suffix := split(name)
	signedRepository, signedSuffix := split(signed)
	switch i.Type {
	case "matchExact":
		return suffix != "" && signedSuffix != "" && name == signed
	case "matchRepository":
		return repository == signedRepository
	case "exactReference":
		return signedSuffix != "" && signed == full(i.DockerReference)
	case "exactRepository":
		wanted, _ := split(full(i.DockerRepository))
		return signedRepository == wanted
	case "remapIdentity":
		rest, ok := strings.CutPrefix(name, i.Prefix)
		if ok && (rest == "" || strings.ContainsRune("/:@", rune(rest[0]))) {
			name = i.SignedPrefix + rest
		}
		return (&Identity{Type: "matchRepoDigestOrExact"}).matches(name, signed)
	}
	if strings.HasPrefix(suffix, "@") {
		return repository == signedRepository
	}
	return suffix != "" && name == signed
}

// full adds what docker leaves out of names of its own registry.
func full(name string) string {
	host, rest, ok := strings.Cut(name, "/")
	if host == "index.docker.io" { // what docker once called it
		host, name = "docker.io", "docker.io/"+rest
	}
	switch {
	case !ok:
		return "docker.io/library/" + name
	case !strings.ContainsAny(host, ".:") && host != "localhost":
		return "docker.io/" + name
	case host == "docker.io" && !strings.Contains(rest, "/"):
		return "docker.io/library/" + rest
	}
	return name
}
