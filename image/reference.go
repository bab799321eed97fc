package image

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"containers/rl/storage"
)

// Reference is a name of an image in docker's grammar (distribution/reference).
type Reference struct {
	Registry, Repository string // docker.io, library/alpine
	Tag, Digest          string // latest; sha256:...
}

// String is the full name.
func (r Reference) String() string {
	s := r.Registry + "/" + r.Repository
	if r.Digest != "" {
		return s + "@" + r.Digest
	}
	return s + ":" + r.Tag
}

const maxName = 255

var grammar = sync.OnceValue(func() *regexp.Regexp {
	const (
		part   = `[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*`
		label  = `[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?`
		host   = `(?:` + label + `(?:\.` + label + `)*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?`
		tag    = `[\w][\w.-]{0,127}`
		digest = `sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}`
	)
	return regexp.MustCompile(`^(?:(` + host + `)/)?(` + part + `(?:/` + part + `)*)(?::(` + tag + `))?(?:@(` + digest + `))?$`)
})

// ParseReference reads a name. Without a registry it is docker.io's.
func ParseReference(s string) (Reference, error) {
	r, short, err := parse(s)
	if short {
		r = r.at("docker.io")
	}
	return r, err
}

// LocalName is the full name of an image that is named here: without a registry
// it is localhost's, as with podman. One that is written as an id is would hide
// the image of that id.
func LocalName(s string) (string, error) {
	r, short, err := parse(s)
	if id, ok := strings.CutPrefix(s, "sha256:"); err == nil && (r.Digest != "" || ok && storage.IsID(id)) {
		err = fmt.Errorf("%s: tag by digest not supported: a name that is given cannot have a digest", s)
	}
	if short {
		r = r.at("localhost")
	}
	return r.String(), err
}

// parse also says whether the name has no registry.
func parse(s string) (r Reference, short bool, err error) {
	s = strings.TrimPrefix(s, "docker://")
	m := grammar().FindStringSubmatch(s)
	if m == nil && strings.ToLower(s) != s && grammar().MatchString(strings.ToLower(s)) {
		return r, false, fmt.Errorf("invalid reference format: repository name %q must be lowercase", s)
	}
	if m == nil || len(s) > maxName+140 {
		return r, false, fmt.Errorf("invalid reference format: %q is not [REGISTRY/]NAME[:TAG][@DIGEST]", s)
	}
	r = Reference{Registry: m[1], Repository: m[2], Tag: m[3], Digest: m[4]}
	if r.Registry != "" && !strings.ContainsAny(r.Registry, ".:") && r.Registry != "localhost" {
		if strings.ToLower(r.Registry) != r.Registry {
			return r, false, fmt.Errorf("invalid reference format: repository name %q must be lowercase", s)
		}
		r.Repository, r.Registry = r.Registry+"/"+r.Repository, ""
	}
	if len(r.Repository) > maxName {
		return r, false, fmt.Errorf("invalid reference format: the name is longer than %d", maxName)
	}
	if r.Tag == "" && r.Digest == "" {
		r.Tag = "latest"
	}
	if r.Registry == "" {
		return r, true, nil
	}
	return r.at(r.Registry), false, nil
}

// at puts a name into a registry; docker.io has a library of names without a slash.
func (r Reference) at(registry string) Reference {
	if registry == "index.docker.io" || registry == "registry-1.docker.io" {
		registry = "docker.io"
	}
	r.Registry = registry
	if registry == "docker.io" && !strings.Contains(r.Repository, "/") {
		r.Repository = "library/" + r.Repository
	}
	return r
}
