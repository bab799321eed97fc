package image

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/BurntSushi/toml"
)

// Registries is containers-registries.conf(5), version 2.
type Registries struct {
	Search  []string          `toml:"unqualified-search-registries"`
	Entries []registry        `toml:"registry"`
	Aliases map[string]string `toml:"aliases"`
}

type registry struct {
	Prefix     string   `toml:"prefix"`
	Location   string   `toml:"location"`
	Insecure   bool     `toml:"insecure"`
	Blocked    bool     `toml:"blocked"`
	DigestOnly bool     `toml:"mirror-by-digest-only"`
	Mirrors    []mirror `toml:"mirror"`
}

type mirror struct {
	Location string `toml:"location"`
	Insecure bool   `toml:"insecure"`
	PullFrom string `toml:"pull-from-mirror"` // all, digest-only or tag-only; "" is all
}

// serves says whether the mirror is asked for such a reference.
func (m mirror) serves(ref Reference, digestOnly bool) bool {
	switch {
	case digestOnly || m.PullFrom == "digest-only":
		return ref.Digest != ""
	case m.PullFrom == "tag-only":
		return ref.Digest == ""
	}
	return true
}

// Endpoint is a place to ask for an image.
type Endpoint struct {
	Name     string // HOST/REPOSITORY
	Insecure bool   // http, or a certificate that no one signed
}

// LoadRegistries reads the user's file or else the host's, and the drop-ins of
// both, the later over the earlier.
func LoadRegistries(getenv func(string) string) (*Registries, error) {
	config := getenv("XDG_CONFIG_HOME")
	if config == "" {
		config = filepath.Join(getenv("HOME"), ".config")
	}
	user := filepath.Join(config, "containers")
	r := &Registries{Aliases: map[string]string{}}
	first := []string{getenv("CONTAINERS_REGISTRIES_CONF")}
	if first[0] == "" {
		first = []string{filepath.Join(user, "registries.conf"), "/etc/containers/registries.conf"}
	}
	for _, path := range first {
		found, err := r.load(path)
		if err != nil {
			return nil, err
		}
		if found {
			break
		}
	}
	var rest []string
	for _, dir := range []string{"/etc/containers", user} {
		list, _ := filepath.Glob(filepath.Join(dir, "registries.conf.d", "*.conf"))
		sort.Strings(list)
		rest = append(rest, list...)
	}
	for _, path := range append(rest, filepath.Join(user, "short-name-aliases.conf")) {
		if _, err := r.load(path); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *Registries) load(path string) (bool, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, r.merge(path, string(text))
}

// merge: an entry replaces one of the same prefix.
func (r *Registries) merge(path, text string) error {
	var next Registries
	if _, err := toml.Decode(text, &next); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if next.Search != nil {
		r.Search = next.Search
	}
	for _, e := range next.Entries {
		if e.Prefix == "" {
			e.Prefix = e.Location
		}
		if e.Prefix == "" {
			return fmt.Errorf("reading %s: a [[registry]] has neither prefix nor location", path)
		}
		if e.Location == "" && !strings.HasPrefix(e.Prefix, "*.") {
			e.Location = e.Prefix
		}
		if err := e.checkMirrors(); err != nil {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		r.Entries = append([]registry{e}, r.Entries...)
	}
	if r.Aliases == nil {
		r.Aliases = map[string]string{}
	}
	for name, full := range next.Aliases {
		r.Aliases[name] = full
	}
	return nil
}

func (e registry) checkMirrors() error {
	for _, m := range e.Mirrors {
		if !slices.Contains([]string{"", "all", "digest-only", "tag-only"}, m.PullFrom) {
			return fmt.Errorf("mirror %s: unsupported pull-from-mirror value %q: all, digest-only or tag-only", m.Location, m.PullFrom)
		}
		if e.DigestOnly && m.PullFrom != "" {
			return fmt.Errorf("mirror %s: pull-from-mirror must not be used with mirror-by-digest-only", m.Location)
		}
	}
	return nil
}

// Candidates are the full names that what the user typed may mean, in order.
func (r *Registries) Candidates(s string) ([]Reference, error) {
	ref, short, err := parse(s)
	if err != nil || !short {
		return []Reference{ref}, err
	}
	if full, ok := r.Aliases[ref.Repository]; ok {
		target, err := ParseReference(full)
		if err != nil {
			return nil, fmt.Errorf("alias %s of registries.conf: %w", ref.Repository, err)
		}
		target.Tag, target.Digest = ref.Tag, ref.Digest
		return []Reference{target}, nil
	}
	search := r.Search
	if len(search) == 0 {
		search = []string{"docker.io"}
	}
	var list []Reference
	for _, registry := range search {
		list = append(list, ref.at(registry))
	}
	return list, nil
}

// Endpoints are the places to ask: the mirrors, then the registry itself.
func (r *Registries) Endpoints(ref Reference) ([]Endpoint, error) {
	name := ref.Registry + "/" + ref.Repository
	var best *registry
	for i := range r.Entries {
		e := &r.Entries[i]
		if covers(e.Prefix, name) && (best == nil || len(e.Prefix) > len(best.Prefix)) {
			best = e
		}
	}
	if best == nil {
		return []Endpoint{{name, loopbackHost(ref.Registry)}}, nil
	}
	if best.Blocked {
		return nil, fmt.Errorf("registry %s is blocked in registries.conf", best.Prefix)
	}
	rest := strings.TrimPrefix(name, best.Prefix)
	var list []Endpoint
	for _, m := range best.Mirrors {
		if m.serves(ref, best.DigestOnly) {
			list = append(list, Endpoint{m.Location + rest, m.Insecure})
		}
	}
	if best.Location == "" {
		return append(list, Endpoint{name, best.Insecure}), nil
	}
	return append(list, Endpoint{best.Location + rest, best.Insecure}), nil
}

// covers: a prefix ends where a part of the name ends.
func covers(prefix, name string) bool {
	if host, ok := strings.CutPrefix(prefix, "*"); ok {
		registry, _, _ := strings.Cut(name, "/")
		return strings.HasSuffix(registry, host)
	}
	return name == prefix || strings.HasPrefix(name, prefix+"/")
}

// loopbackHost: docker and podman alike try http on the own machine.
func loopbackHost(host string) bool {
	return host == "localhost" || strings.HasPrefix(host, "localhost:") || strings.HasPrefix(host, "127.")
}
