// Package trust says whether an image may be taken: it reads the policy of
// containers-policy.json(5) and verifies signatures of sigstore (cosign) with
// public keys.
//
// It leaves to its caller to fetch what a registry has of signatures, and to
// hold an image to the digest that was signed. Not known are GPG's signatures
// (signedBy), certificates of fulcio, and the log of rekor: a policy that
// demands one of these refuses the image, and says so. Where there is no policy
// all images are taken, as with docker.
package trust

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// Policy is a file of containers-policy.json(5). nil takes all.
type Policy struct {
	Path       string                              `json:"-"` // "" is none
	Default    []Requirement                       `json:"default"`
	Transports map[string]map[string][]Requirement `json:"transports,omitempty"` // docker, oci...; then scope, "" for the rest of them
}

// UserFile is where a user's own policy lies.
func UserFile(getenv func(string) string) string {
	return filepath.Join(getenv("HOME"), ".config/containers/policy.json")
}

// Load reads the policy: the file named, or else the user's, or else the host's.
func Load(named string, getenv func(string) string) (*Policy, error) {
	paths := []string{UserFile(getenv), "/etc/containers/policy.json"}
	if named != "" {
		paths = []string{named}
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) && named == "" {
			continue
		}
		if err != nil { // one that cannot be read may well refuse
			return nil, fmt.Errorf("reading the signature policy: %w", err)
		}
		p, err := Parse(text)
		if err != nil {
			return nil, fmt.Errorf("reading the signature policy %s: %w", path, err)
		}
		p.Path = path
		return p, nil
	}
	return nil, nil
}

// Parse is as strict as the manual page: what it does not know it refuses.
func Parse(text []byte) (*Policy, error) {
	var p Policy
	if err := strict(text, &p); err != nil {
		return nil, err
	}
	if err := once(json.NewDecoder(bytes.NewReader(text))); err != nil {
		return nil, err
	}
	if len(p.Default) == 0 {
		return nil, errors.New("it has no default")
	}
	for transport, scopes := range p.Transports {
		for scope, list := range scopes {
			if transport == "tarball" && scope != "" { // which tells none of them apart
				return nil, fmt.Errorf("transport %q takes no scope but \"\", it has %q", transport, scope)
			}
			if len(list) == 0 {
				return nil, fmt.Errorf("transport %q, scope %q: no requirement", transport, scope)
			}
		}
	}
	return &p, nil
}

// strict decodes one object without fields that the struct does not have: their
// names are exact, other than for encoding/json.
func strict(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	var fields map[string]json.RawMessage
	if err := d.Decode(&fields); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows after its end")
	}
	for of := range reflect.TypeOf(into).Elem().Fields() {
		if name, _, _ := strings.Cut(of.Tag.Get("json"), ","); name != "-" {
			delete(fields, name)
		}
	}
	for name := range fields {
		return fmt.Errorf("unknown field %q", name)
	}
	return json.Unmarshal(text, into)
}

// once refuses an object that has a name twice: the last would count, unseen.
func once(d *json.Decoder) error {
	t, err := d.Token()
	delim, _ := t.(json.Delim)
	if err != nil || delim == 0 {
		return err
	}
	seen := map[json.Token]bool{}
	for d.More() {
		if delim == '{' {
			name, err := d.Token()
			if err != nil {
				return err
			}
			if seen[name] {
				return fmt.Errorf("field %q is there twice", name)
			}
			seen[name] = true
		}
		if err := once(d); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// Save writes the policy in the place of the file.
func (p *Policy) Save(path string) (err error) {
	text, err := json.MarshalIndent(p, "", "    ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("writing the signature policy: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".policy-")
	if err != nil {
		return fmt.Errorf("writing the signature policy: %w", err)
	}
	defer func() {
		if err != nil {
			os.Remove(tmp.Name())
			err = fmt.Errorf("writing the signature policy: %w", err)
		}
	}()
	_, err = tmp.Write(append(text, '\n'))
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// For gives the requirements of an image of a transport, and the scope that
// they are of: the longest that matches.
func (p *Policy) For(transport, name string) (list []Requirement, scope string) {
	scopes := p.Transports[transport]
	for _, scope := range scopesOf(transport, name) {
		if list, ok := scopes[scope]; ok {
			return list, scope
		}
	}
	return p.Default, "default"
}

// names says whether the policy tells images of a transport apart.
func (p *Policy) names(transport string) bool {
	for scope := range p.Transports[transport] {
		if scope != "" {
			return true
		}
	}
	return false
}

// scopesOf an image, the longest first. docker: HOST/A/B:TAG, HOST/A/B, HOST/A,
// HOST, *.DOMAIN for each domain of the host. Others: the path and those above.
func scopesOf(transport, name string) (list []string) {
	if transport != "docker" {
		for path := name; path != "" && path != "." && path != "/"; path = filepath.Dir(path) {
			list = append(list, path)
		}
		return append(list, "")
	}
	list = append(list, name)
	repository, _ := split(name)
	for at := repository; ; {
		if at != name {
			list = append(list, at)
		}
		i := strings.LastIndexByte(at, '/')
		if i < 0 {
			break
		}
		at = at[:i]
	}
	host, _, _ := strings.Cut(repository, "/")
	host, _, _ = strings.Cut(host, ":")
	for {
		_, above, ok := strings.Cut(host, ".")
		if !ok {
			return append(list, "")
		}
		list, host = append(list, "*."+above), above
	}
}

// split takes a full name apart: HOST/A/B and :TAG or @DIGEST.
func split(name string) (repository, suffix string) {
	if i := strings.IndexByte(name, '@'); i >= 0 {
		return name[:i], name[i:]
	}
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		return name[:i], name[i:]
	}
	return name, ""
}
