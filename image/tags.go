package image

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Tags gives all tags of repositories, as full names. One without a registry is docker.io's.
func Tags(repositories []string, a Access) (list []string, err error) {
	for _, text := range repositories {
		ref, err := ParseReference(text)
		if err != nil {
			return nil, err
		}
		tags, err := a.list(context.Background(), ref)
		if err != nil {
			return nil, fmt.Errorf("listing the tags of %s: %w", text, explain(err))
		}
		for _, tag := range tags {
			ref.Tag, ref.Digest = tag, ""
			list = append(list, ref.String())
		}
	}
	return list, nil
}

func (a Access) list(ctx context.Context, ref Reference) ([]string, error) {
	registries, err := LoadRegistries(a.getenv)
	if err != nil {
		return nil, err
	}
	endpoints, err := registries.Endpoints(ref)
	if err != nil {
		return nil, err
	}
	e := endpoints[len(endpoints)-1]
	options, names, err := a.options(ctx, e)
	if err != nil {
		return nil, err
	}
	repository, err := name.NewRepository(e.Name, names...)
	if err != nil {
		return nil, err
	}
	return remote.List(repository, options...)
}
