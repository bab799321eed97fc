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

// Registries is containers-registries.conf(5), version 2, and what version 1 had.
type Registries struct {
	Search  []string          `toml:"unqualified-search-registries"` // nil: no file says; empty: there are none
	Mode    string            `toml:"short-name-mode"`               // "" is permissive
	Helpers []string          `toml:"credential-helpers"`
	Entries []registry        `toml:"registry"`
	Aliases map[string]string `toml:"aliases"`
	First   firstVersion      `toml:"registries"`

	searchFile string // that Search is of
}

// firstVersion is version 1, which a file has instead of version 2.
type firstVersion struct {
	Search, Insecure, Block struct{ Registries []string }
}

// shortNamesEnforced is the mode in which a name is to mean one registry.
const shortNamesEnforced = "enforcing"

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
	first := []string{filepath.Join(user, "registries.conf"), "/etc/containers/registries.conf"}
	if named := getenv("CONTAINERS_REGISTRIES_CONF"); named != "" {
		if err := readable(named); err != nil {
			return nil, fmt.Errorf("loading registries configuration of CONTAINERS_REGISTRIES_CONF: %w", err)
		}
		first = []string{named}
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

func readable(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return file.Close()
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
	if err := next.first(); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if next.Search != nil {
		r.Search, r.searchFile = next.Search, path
	}
	if !slices.Contains([]string{"", shortNamesEnforced, "permissive", "disabled"}, next.Mode) {
		return fmt.Errorf("reading %s: invalid short-name mode: %q: enforcing, permissive or disabled", path, next.Mode)
	}
	if next.Mode != "" {
		r.Mode = next.Mode
	}
	if next.Helpers != nil {
		r.Helpers = next.Helpers
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

// first makes what a file of version 1 says that of version 2.
func (r *Registries) first() error {
	v := r.First
	if v.Search.Registries == nil && v.Insecure.Registries == nil && v.Block.Registries == nil {
		return nil
	}
	if r.Search != nil || r.Mode != "" || r.Helpers != nil || r.Entries != nil {
		return errors.New("it mixes version 1, [registries.search], [registries.insecure] and [registries.block], with version 2")
	}
	r.Search = v.Search.Registries
	for _, place := range v.Block.Registries {
		r.Entries = append(r.Entries, registry{Location: place, Blocked: true, Insecure: slices.Contains(v.Insecure.Registries, place)})
	}
	for _, place := range v.Insecure.Registries {
		if !slices.Contains(v.Block.Registries, place) {
			r.Entries = append(r.Entries, registry{Location: place, Insecure: true})
		}
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
	if full := r.Aliases[ref.Repository]; full != "" { // an empty one takes another back
		target, err := ParseReference(full)
		if err != nil {
			return nil, fmt.Errorf("alias %s of registries.conf: %w", ref.Repository, err)
		}
		target.Tag, target.Digest = ref.Tag, ref.Digest
		return []Reference{target}, nil
	}
	search := r.SearchList()
	if len(search) == 0 {
		return nil, fmt.Errorf("short-name %q did not resolve to an alias and no unqualified-search registries are defined in %q", s, r.searchFile)
	}
	var list []Reference
	var names []string
	for _, registry := range search {
		list = append(list, ref.at(registry))
		names = append(names, list[len(list)-1].String())
	}
	if len(list) > 1 && r.Mode == shortNamesEnforced {
		return nil, fmt.Errorf("short-name %q: short-name resolution enforced but cannot prompt without a TTY, nor does rl with one: give the full name: %s", s, strings.Join(names, " or "))
	}
	return list, nil
}

// SearchList are the registries that names without one are looked for in.
func (r *Registries) SearchList() []string {
	if r.Search == nil {
		return []string{"docker.io"}
	}
	return r.Search
}

// Endpoints are the places to ask: the mirrors, then the registry itself.
func (r *Registries) Endpoints(ref Reference) ([]Endpoint, error) {
	name := ref.Registry + "/" + ref.Repository
	var best *registry
	most := 0
	for i := range r.Entries {
		if n := covered(r.Entries[i].Prefix, name); n > most {
			best, most = &r.Entries[i], n
		}
	}
	if best == nil {
		return []Endpoint{{name, loopbackHost(ref.Registry)}}, nil
	}
	if best.Blocked {
		return nil, fmt.Errorf("registry %s is blocked in registries.conf", best.Prefix)
	}
	rest := name[most:]
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

// covered is how much of the name a prefix stands for, 0 is none: it ends where a
// part of the name ends. That of *.DOMAIN is the host, whose port stays.
func covered(prefix, name string) int {
	if domain, ok := strings.CutPrefix(prefix, "*"); ok {
		host, _, _ := strings.Cut(name, "/")
		if at := strings.LastIndexByte(host, ':'); at > strings.LastIndexByte(host, ']') {
			host = host[:at]
		}
		if strings.HasPrefix(domain, ".") && strings.HasSuffix(host, domain) {
			return len(host)
		}
		return 0
	}
	if name == prefix || strings.HasPrefix(name, prefix+"/") {
		return len(prefix)
	}
	return 0
}

// loopbackHost: docker and podman alike try http on the own machine.
func loopbackHost(host string) bool {
	return host == "localhost" || strings.HasPrefix(host, "localhost:") || strings.HasPrefix(host, "127.")
}
