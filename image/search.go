package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// SearchResult is a repository that was found.
type SearchResult struct {
	Index       string
	Name        string
	Description string
	Stars       int
	Official    bool
	Automated   bool
	Tag         string
}

// Search asks the registry of REGISTRY/TERM, or all that names without one are
// looked for in. limit is for each.
func Search(ctx context.Context, term string, limit int, a Access) (list []SearchResult, err error) {
	registries, err := LoadRegistries(a.getenv)
	if err != nil {
		return nil, err
	}
	hosts := registries.SearchList()
	if host, rest, ok := strings.Cut(term, "/"); ok && (strings.ContainsAny(host, ".:") || host == "localhost") {
		hosts, term = []string{host}, rest
	}
	var failed []error
	for _, host := range hosts {
		found, err := a.search(ctx, registries, host, term, limit)
		if err != nil {
			failed = append(failed, fmt.Errorf("searching registry %q: %w", host, explain(err)))
		}
		list = append(list, found...)
	}
	if len(list) > 0 {
		return list, nil // as podman: one registry of several is enough
	}
	return nil, errors.Join(failed...)
}

// search by the index of docker's first interface, or else through the catalogue.
func (a Access) search(ctx context.Context, registries *Registries, host, term string, limit int) ([]SearchResult, error) {
	endpoints, err := registries.Endpoints(Reference{Registry: host, Repository: "search"})
	if err != nil {
		return nil, err
	}
	e := endpoints[len(endpoints)-1]
	options, names, err := a.options(ctx, e)
	if err != nil {
		return nil, err
	}
	address, _, _ := strings.Cut(e.Name, "/")
	if address == "docker.io" {
		address = "index.docker.io"
	}
	registry, err := name.NewRegistry(address, names...)
	if err != nil {
		return nil, err
	}
	found, err := a.searchIndex(ctx, registry, address, a.insecure(e), term, limit)
	if err != nil && host == "docker.io" && strings.HasSuffix(address, "docker.io") {
		return nil, err
	}
	if err != nil {
		if found, err = searchCatalog(ctx, registry, options, term, limit); err != nil {
			return nil, err
		}
	}
	for n := range found {
		found[n].Index, found[n].Name = host, host+"/"+found[n].Name
	}
	return found, nil
}

func (a Access) searchIndex(ctx context.Context, registry name.Registry, address string, insecure bool, term string, limit int) ([]SearchResult, error) {
	t, err := a.transport(address, insecure)
	if err != nil {
		return nil, err
	}
	where := fmt.Sprintf("%s://%s/v1/search?q=%s&n=%d", registry.Scheme(), registry.RegistryStr(), url.QueryEscape(term), limit)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, err
	}
	answer, err := (&http.Client{Transport: t}).Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if err := transport.CheckError(answer, http.StatusOK); err != nil {
		return nil, err
	}
	var page struct {
		Results []struct {
			Name        string `json:"name"`
			Description string `json:"description"`
			Stars       int    `json:"star_count"`
			Official    bool   `json:"is_official"`
			Automated   bool   `json:"is_automated"`
		} `json:"results"`
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxMetadata)).Decode(&page); err != nil {
		return nil, err
	}
	var list []SearchResult
	for _, r := range page.Results {
		if r.Official && !strings.Contains(r.Name, "/") {
			r.Name = "library/" + r.Name
		}
		list = append(list, SearchResult{Name: r.Name, Description: r.Description, Stars: r.Stars, Official: r.Official, Automated: r.Automated})
	}
	return list, nil
}

func searchCatalog(ctx context.Context, registry name.Registry, options []remote.Option, term string, limit int) (list []SearchResult, err error) {
	repositories, err := remote.Catalog(ctx, registry, options...)
	if err != nil {
		return nil, err
	}
	for _, repository := range repositories {
		if strings.Contains(repository, term) && len(list) < limit {
			list = append(list, SearchResult{Name: repository})
		}
	}
	return list, nil
}
