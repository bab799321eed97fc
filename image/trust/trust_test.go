package trust

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for text, fails := range map[string]string{
		`{"default":[{"type":"reject"}]}`:                                                  "",
		`{"default":[{"type":"reject"}],"transports":{"docker":{"":[{"type":"reject"}]}}}`: "",
		`{}`:                                "no default",
		`{"default":[]}`:                    "no default",
		`{"default":[{"type":"reject"}]} x`: "follows after its end",
		`{"default":[{"type":"reject"}]}{}`: "follows after its end",
		`{"default":[{"type":"trust-me"}]}`: `unknown type "trust-me"`,
		`{"Default":[{"type":"reject"}]}`:   `unknown field "Default"`,
		`{"default":[{"type":"reject","Type":"insecureAcceptAnything"}]}`:                                                 `unknown field "Type"`,
		`{"default":[{"type":"reject"}],"-":1}`:                                                                           `unknown field "-"`,
		`{"default":[{"type":"reject"}],"default":[{"type":"insecureAcceptAnything"}]}`:                                   `"default" is there twice`,
		`{"default":[{"type":"reject"}],"transports":{"docker":{"a":[{"type":"reject"}],"a":[{"type":"reject"}]}}}`:       `"a" is there twice`,
		`{"default":[{"type":"reject","type":"insecureAcceptAnything"}]}`:                                                 `"type" is there twice`,
		`{"default":[{"type":"reject"}],"more":1}`:                                                                        "unknown field",
		`{"default":[{"type":"reject","keyPath":"/k"}]}`:                                                                  "takes no keys",
		`{"default":[{"type":"sigstoreSigned"}]}`:                                                                         "it has 0",
		`{"default":[{"type":"sigstoreSigned","keyPath":"/k","keyData":"aw=="}]}`:                                         "it has 2",
		`{"default":[{"type":"sigstoreSigned","keyPath":"/k","signedIdentity":{"type":"near"}}]}`:                         `unknown type "near"`,
		`{"default":[{"type":"sigstoreSigned","keyPath":"/k","signedIdentity":{"type":"exactReference"}}]}`:               "lacks a field",
		`{"default":[{"type":"sigstoreSigned","keyPath":"/k","signedIdentity":{"type":"matchRepository","prefix":"a"}}]}`: "of another type",
		`{"default":[{"type":"reject"}],"transports":{"docker":{"a":[]}}}`:                                                "no requirement",
		`{"default":[{"type":"reject"}],"transports":{"tarball":{"":[{"type":"reject"}]}}}`:                               "",
		`{"default":[{"type":"reject"}],"transports":{"tarball":{"/a":[{"type":"reject"}]}}}`:                             `takes no scope but "", it has "/a"`,
	} {
		_, err := Parse([]byte(text))
		if fails == "" && err != nil || fails != "" && (err == nil || !strings.Contains(err.Error(), fails)) {
			t.Errorf("Parse(%s): %v, want %q", text, err, fails)
		}
	}
}

func TestScopes(t *testing.T) {
	got := scopesOf("docker", "a.b.example.com:5000/team/x/app:1")
	want := []string{"a.b.example.com:5000/team/x/app:1", "a.b.example.com:5000/team/x/app", "a.b.example.com:5000/team/x", "a.b.example.com:5000/team",
		"a.b.example.com:5000", "*.b.example.com", "*.example.com", "*.com", ""}
	if !slices.Equal(got, want) {
		t.Errorf("scopes %q, want %q", got, want)
	}
	if got, want := scopesOf("dir", "/a/b"), []string{"/a/b", "/a", ""}; !slices.Equal(got, want) {
		t.Errorf("scopes %q, want %q", got, want)
	}
}

func TestIdentity(t *testing.T) {
	const digest = "@sha256:1"
	for _, test := range []struct {
		Identity
		name, signed string
		want         bool
	}{
		{Identity{Type: "matchExact"}, "r.io/a:1", "r.io/a:1", true},
		{Identity{Type: "matchExact"}, "r.io/a:1", "r.io/a", false},
		{Identity{Type: "matchExact"}, "docker.io/library/a:1", "a:1", true},
		{Identity{Type: "matchExact"}, "docker.io/library/a:1", "index.docker.io/library/a:1", true},
		{Identity{Type: "matchExact"}, "docker.io/library/a:1", "index.docker.io/a:1", true},
		{Identity{Type: "matchExact"}, "docker.io/b/a:1", "index.docker.io/a:1", false},
		{Identity{Type: "matchRepoDigestOrExact"}, "r.io/a" + digest, "r.io/a:7", true},
		{Identity{Type: "matchRepoDigestOrExact"}, "r.io/a" + digest, "r.io/b:7", false},
		{Identity{Type: "matchRepoDigestOrExact"}, "r.io/a:1", "r.io/a:2", false},
		{Identity{Type: "matchRepository"}, "r.io/a:1", "r.io/a", true},
		{Identity{Type: "matchRepository"}, "r.io/a:1", "r.io/ab:1", false},
		{Identity{Type: "exactReference", DockerReference: "r.io/a:1"}, "x.io/b:9", "r.io/a:1", true},
		{Identity{Type: "exactReference", DockerReference: "r.io/a:1"}, "r.io/a:1", "r.io/a:2", false},
		{Identity{Type: "exactRepository", DockerRepository: "r.io/a"}, "x.io/b:9", "r.io/a:5", true},
		{Identity{Type: "exactRepository", DockerRepository: "r.io/a"}, "r.io/a:1", "r.io/b:1", false},
		{Identity{Type: "remapIdentity", Prefix: "mirror.io", SignedPrefix: "r.io"}, "mirror.io/a:1", "r.io/a:1", true},
		{Identity{Type: "remapIdentity", Prefix: "mirror.io", SignedPrefix: "r.io"}, "mirror.io.evil/a:1", "r.io.evil/a:1", false},
	} {
		if got := test.matches(test.name, test.signed); got != test.want {
			t.Errorf("%s: %s signed as %s: %t", test.Type, test.name, test.signed, got)
		}
	}
}

func signer(t *testing.T, kind string) crypto.Signer {
	t.Helper()
	var s crypto.Signer
	var err error
	switch kind {
	case "ecdsa":
		s, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "rsa":
		s, err = rsa.GenerateKey(rand.Reader, 2048)
	case "ed25519":
		_, s, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sign(t *testing.T, s crypto.Signer, text string) Signature {
	t.Helper()
	sum, hash := sha256.Sum256([]byte(text)), crypto.SHA256
	message := sum[:]
	if _, ok := s.(ed25519.PrivateKey); ok {
		message, hash = []byte(text), 0
	}
	signature, err := s.Sign(rand.Reader, message, hash)
	if err != nil {
		t.Fatal(err)
	}
	return Signature{[]byte(text), signature}
}

func writeKey(t *testing.T, s crypto.Signer) string {
	t.Helper()
	text, err := x509.MarshalPKIXPublicKey(s.Public())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.pub")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: text}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func signedPayload(reference, digest string) string {
	return fmt.Sprintf(`{"critical":{"identity":{"docker-reference":%q},"image":{"docker-manifest-digest":%q},"type":%q},"optional":null}`, reference, digest, cosignType)
}

// TestSigstore: each kind of key, and each way in which a signature may fail.
func TestSigstore(t *testing.T) {
	const name, digest, index = "r.io/a:1", "sha256:aa", "sha256:bb"
	for _, kind := range []string{"ecdsa", "rsa", "ed25519"} {
		t.Run(kind, func(t *testing.T) {
			s, other := signer(t, kind), signer(t, kind)
			p, err := Parse(fmt.Appendf(nil, `{"default":[{"type":"sigstoreSigned","keyPath":%q}]}`, writeKey(t, s)))
			if err != nil {
				t.Fatal(err)
			}
			good := sign(t, s, signedPayload(name, digest))
			changed := good
			changed.Payload = []byte(signedPayload(name, index))
			for _, test := range []struct {
				name string
				has  map[string][]Signature
				says string
			}{
				{"good", map[string][]Signature{digest: {good}}, ""},
				{"the index", map[string][]Signature{index: {sign(t, s, signedPayload(name, index))}}, ""},
				{"one of two", map[string][]Signature{digest: {sign(t, other, signedPayload(name, digest)), good}}, ""},
				{"none", nil, "no signature exists"},
				{"another key", map[string][]Signature{digest: {sign(t, other, signedPayload(name, digest))}}, "by none of the policy's keys"},
				{"changed", map[string][]Signature{index: {changed}}, "by none of the policy's keys"},
				{"another digest", map[string][]Signature{digest: {sign(t, s, signedPayload(name, "sha256:cc"))}}, "not of sha256:aa"},
				{"another name", map[string][]Signature{digest: {sign(t, s, signedPayload("r.io/a:2", digest))}}, "for r.io/a:2, which is not"},
				{"another type", map[string][]Signature{digest: {sign(t, s, strings.Replace(signedPayload(name, digest), "cosign", "atomic", 1))}}, "of type"},
				{"no payload", map[string][]Signature{digest: {sign(t, s, "x")}}, "reading what was signed"},
			} {
				err := p.Check(Image{"docker", name, []string{digest, index}, func(d string) ([]Signature, error) { return test.has[d], nil }})
				if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
					t.Errorf("%s: %v, want %q", test.name, err, test.says)
				}
			}
		})
	}
}

// TestCheck: what is not verified is refused, as is what cannot be fetched.
func TestCheck(t *testing.T) {
	key := writeKey(t, signer(t, "ecdsa"))
	unreachable := errors.New("unreachable")
	for requirement, says := range map[string]string{
		`{"type":"insecureAcceptAnything"}`:                                                  "",
		`{"type":"reject"}`:                                                                  "it is rejected",
		`{"type":"signedBy","keyType":"GPGKeys","keyPath":"/k"}`:                             "GPG signatures, which rl does not verify",
		`{"type":"sigstoreSigned","fulcio":{"caPath":"/ca"}}`:                                "fulcio",
		`{"type":"sigstoreSigned","keyPath":"/no/such/key"}`:                                 "no such file",
		fmt.Sprintf(`{"type":"sigstoreSigned","keyPath":%q,"rekorPublicKeyPath":"/r"}`, key): "rekor",
		fmt.Sprintf(`{"type":"sigstoreSigned","keyPath":%q}`, key):                           "unreachable",
	} {
		p, err := Parse([]byte(`{"default":[` + requirement + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		err = p.Check(Image{"docker", "r.io/a:1", []string{"sha256:aa"}, func(string) ([]Signature, error) { return nil, unreachable }})
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%s: %v, want %q", requirement, err, says)
		}
		var refusal *Refusal
		if errors.As(err, &refusal) != (says != "" && !errors.Is(err, unreachable)) {
			t.Errorf("%s: %T: what could not be fetched is not refused by the policy", requirement, err)
		}
	}
	if err := (*Policy)(nil).Check(Image{}); err != nil {
		t.Errorf("no policy: %v", err)
	}
}

// TestPaths: what has no path may be what the policy refuses by its path.
func TestPaths(t *testing.T) {
	p, err := Parse([]byte(`{"default":[{"type":"insecureAcceptAnything"}],"transports":{"dir":{"":[{"type":"reject"}]},"oci-archive":{"/a/b":[{"type":"reject"}],"/a/b/c":[{"type":"insecureAcceptAnything"}]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ transport, name, says string }{
		{"oci-archive", "/a/b/c", ""},
		{"oci-archive", "/a/bc", ""},
		{"oci-archive", "/a/b/d", "(oci-archive: /a/b) does not let /a/b/d be used: it is rejected"},
		{"oci-archive", "", "(oci-archive) does not let an archive without a path be used: it is told by its path there"},
		{"docker-archive", "", ""},
		{"dir", "/a", "it is rejected"},
	} {
		err := p.Check(Image{Transport: test.transport, Name: test.name})
		if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%s %q: %v, want %q", test.transport, test.name, err, test.says)
		}
	}
}

// TestSave: what is written is read again, and is what was meant.
func TestSave(t *testing.T) {
	home := t.TempDir()
	getenv := func(string) string { return home }
	p := &Policy{Default: []Requirement{{Type: Reject}}, Transports: map[string]map[string][]Requirement{"docker": {"r.io": {{Type: Sigstore, KeyPath: "/k"}}}}}
	if err := p.Save(UserFile(getenv)); err != nil {
		t.Fatal(err)
	}
	got, err := Load("", getenv)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(p)
	b, _ := json.Marshal(got)
	if string(a) != string(b) || got.Path != UserFile(getenv) {
		t.Errorf("%s: read %s, wrote %s", got.Path, b, a)
	}
	if err := got.Check(Image{Transport: "oci", Name: "/x"}); err == nil || !strings.Contains(err.Error(), "(default)") {
		t.Errorf("%v does not name the default", err)
	}
}
