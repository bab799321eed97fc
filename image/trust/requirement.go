package trust

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// Types of requirements.
const (
	Accept   = "insecureAcceptAnything"
	Reject   = "reject"
	GPG      = "signedBy"
	Sigstore = "sigstoreSigned"
)

// Requirement is one of those that all must hold.
type Requirement struct {
	Type string `json:"type"`

	// Of sigstoreSigned: exactly one of these.
	KeyPath  string   `json:"keyPath,omitempty"`
	KeyPaths []string `json:"keyPaths,omitempty"`
	KeyData  []byte   `json:"keyData,omitempty"`
	KeyDatas [][]byte `json:"keyDatas,omitempty"`

	SignedIdentity *Identity `json:"signedIdentity,omitempty"`

	// What is known, and refused when it is asked for.
	KeyType             string          `json:"keyType,omitempty"` // of signedBy
	Fulcio              json.RawMessage `json:"fulcio,omitempty"`
	PKI                 json.RawMessage `json:"pki,omitempty"`
	RekorPublicKeyPath  string          `json:"rekorPublicKeyPath,omitempty"`
	RekorPublicKeyPaths []string        `json:"rekorPublicKeyPaths,omitempty"`
	RekorPublicKeyData  []byte          `json:"rekorPublicKeyData,omitempty"`
	RekorPublicKeyDatas [][]byte        `json:"rekorPublicKeyDatas,omitempty"`
}

// UnmarshalJSON refuses what makes no sense.
func (r *Requirement) UnmarshalJSON(text []byte) error {
	type plain Requirement
	if err := strict(text, (*plain)(r)); err != nil {
		return err
	}
	switch r.Type {
	case Accept, Reject:
		if len(r.keySources()) > 0 || r.SignedIdentity != nil {
			return fmt.Errorf("%s takes no keys", r.Type)
		}
	case GPG:
	case Sigstore:
		if n := len(r.keySources()); n != 1 {
			return fmt.Errorf("%s needs one of keyPath, keyPaths, keyData, keyDatas, fulcio and pki; it has %d", r.Type, n)
		}
	default:
		return fmt.Errorf("requirement of unknown type %q", r.Type)
	}
	return nil
}

// keySources are the fields that give keys.
func (r *Requirement) keySources() (list []string) {
	for _, field := range []struct {
		name string
		set  bool
	}{
		{"keyPath", r.KeyPath != ""}, {"keyPaths", r.KeyPaths != nil}, {"keyData", r.KeyData != nil}, {"keyDatas", r.KeyDatas != nil},
		{"fulcio", r.Fulcio != nil}, {"pki", r.PKI != nil},
	} {
		if field.set {
			list = append(list, field.name)
		}
	}
	return list
}

// unsupported says what of a requirement is not verified here; "" is nothing.
func (r *Requirement) unsupported() string {
	switch {
	case r.Type == GPG:
		return "signedBy: GPG signatures"
	case r.Fulcio != nil:
		return "fulcio: keys of an authority"
	case r.PKI != nil:
		return "pki: keys of an authority"
	case r.RekorPublicKeyPath != "", r.RekorPublicKeyData != nil, r.RekorPublicKeyPaths != nil, r.RekorPublicKeyDatas != nil:
		return "rekor: entries of a transparency log"
	}
	return ""
}

// keys reads them; the files are PEM.
func (r *Requirement) keys() (list []key, err error) {
	texts := append([][]byte{}, r.KeyDatas...)
	if r.KeyData != nil {
		texts = append(texts, r.KeyData)
	}
	paths := r.KeyPaths
	if r.KeyPath != "" {
		paths = []string{r.KeyPath}
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading a public key: %w", err)
		}
		texts = append(texts, text)
	}
	for _, text := range texts {
		k, err := parseKey(text)
		if err != nil {
			return nil, err
		}
		list = append(list, k)
	}
	if len(list) == 0 {
		return nil, errors.New("the policy names no key")
	}
	return list, nil
}

// Signature is what was signed and by which signature.
type Signature struct {
	Payload   []byte // simple signing, containers-signature(5)
	Signature []byte
}

// Image is what a policy is asked about.
type Image struct {
	Transport string
	Name      string   // docker: full, with a tag or digest; others: the path, "" for what has none
	Digests   []string // of the manifest; and of the index that it was found in, which names it
	// Signatures fetches those of one digest. Nil: the transport has none.
	Signatures func(digest string) ([]Signature, error)
}

// Check is nil when the policy takes the image, and a Refusal when it does not.
func (p *Policy) Check(img Image) error {
	if p == nil {
		return nil
	}
	if img.Name == "" && p.names(img.Transport) {
		return &Refusal{p.Path, img.Transport, "", errors.New("it is told by its path there: rl load --input FILE")}
	}
	list, scope := p.For(img.Transport, img.Name)
	for _, r := range list {
		err := r.check(img)
		if errors.As(err, &unfetched{}) {
			return err
		}
		if err != nil {
			return &Refusal{p.Path, scopeText(img.Transport, scope), img.Name, err}
		}
	}
	return nil
}

// unfetched says that nothing is known of the signatures: another place may have them.
type unfetched struct{ error }

func (u unfetched) Unwrap() error { return u.error }

// Refusal is the error of an image that the policy does not take.
type Refusal struct {
	Policy, Scope, Image string
	Reason               error
}

func (r *Refusal) Error() string {
	what := r.Image
	if what == "" {
		what = "an archive without a path"
	}
	return fmt.Sprintf("the signature policy %s (%s) does not let %s be used: %v", r.Policy, r.Scope, what, r.Reason)
}

func (r *Refusal) Unwrap() error { return r.Reason }

func scopeText(transport, scope string) string {
	if scope == "default" {
		return scope
	}
	return transport + ": " + scope
}

func (r *Requirement) check(img Image) error {
	switch unsupported := r.unsupported(); {
	case r.Type == Accept:
		return nil
	case r.Type == Reject:
		return errors.New("it is rejected")
	case unsupported != "":
		return fmt.Errorf("it demands %s, which rl does not verify", unsupported)
	case img.Signatures == nil:
		return fmt.Errorf("it demands a signature, and %s has none", img.Transport)
	}
	keys, err := r.keys()
	if err != nil {
		return err
	}
	return r.signed(img, keys)
}

// signed looks for one signature that holds: an index that is signed stands for
// the manifests that it names.
func (r *Requirement) signed(img Image, keys []key) error {
	var failed []error
	for _, digest := range img.Digests {
		list, err := img.Signatures(digest)
		if err != nil {
			return unfetched{fmt.Errorf("fetching signatures: %w", err)}
		}
		for _, s := range list {
			err := r.holds(s, keys, img.Name, digest)
			if err == nil {
				return nil
			}
			failed = append(failed, err)
		}
	}
	if len(failed) == 0 {
		return errors.New("a signature was required, but no signature exists")
	}
	return errors.Join(failed...)
}
