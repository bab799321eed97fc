package image

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sys/unix"

	"containers/rl/image/trust"
	"containers/rl/storage"
	"containers/rl/storage/shared"
)

// Progress hears of the layers of a pull, from several goroutines.
type Progress interface {
	Start(layer string, size int64)
	Advance(layer string, n int64)
	Done(layer string, cached bool)
}

// PullOptions describe one pull.
type PullOptions struct {
	Ref      string
	Platform string // OS/ARCH[/VARIANT]; "" is the host's
	Dirs     storage.Dirs
	Progress Progress
	SingleID bool
	Tell     func(string) // hears what is tried; or nil
	Shared   shared.Set   // stores whose layers need not be fetched
	Access
}

// Result is an image that is in the store.
type Result struct {
	Image    *storage.Image
	Squashed bool   // owners were lost, as only one id is mapped
	Digest   string // by which the registry has it now
}

// Time-outs of a registry that does not answer; what it sends is bounded by
// stall, however long it takes in all.
const (
	dialTimeout   = 15 * time.Second
	answerTimeout = 30 * time.Second
	stall         = 60 * time.Second
)

// Pull brings an image. What was there before stays as it is until the new
// image is complete.
func Pull(ctx context.Context, o PullOptions) (*Result, error) {
	registries, err := LoadRegistries(o.getenv)
	if err != nil {
		return nil, err
	}
	candidates, err := registries.Candidates(o.Ref)
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, ref := range candidates {
		if o.Tell != nil {
			o.Tell(fmt.Sprintf("Trying to pull %s...", ref))
		}
		result, err := pullFrom(ctx, o, registries, ref)
		if err == nil {
			return result, nil
		}
		failed = append(failed, fmt.Errorf("pulling %s: %w", ref, err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(failed...)
}

func pullFrom(ctx context.Context, o PullOptions, registries *Registries, ref Reference) (*Result, error) {
	endpoints, err := registries.Endpoints(ref)
	if err != nil {
		return nil, err
	}
	var failed []error
	for _, e := range endpoints {
		desc, err := o.manifest(ctx, e, ref)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", e.Name, explain(err)))
			continue
		}
		result, err := fetch(ctx, o, e, ref, desc)
		if err == nil {
			return result, nil
		}
		failed = append(failed, fmt.Errorf("%s: %w", e.Name, explain(err)))
		if ctx.Err() != nil || ownFault(err) {
			break
		}
	}
	return nil, errors.Join(failed...)
}

// ownFault: the disk or the policy is at fault, not the place that was asked.
func ownFault(err error) bool {
	var number unix.Errno
	var refused *trust.Refusal
	return errors.As(err, &refused) || errors.As(err, &number) && slices.Contains([]unix.Errno{unix.ENOSPC, unix.EDQUOT, unix.EIO, unix.EROFS, unix.EACCES, unix.EPERM}, number)
}

// manifest asks for the manifest or index of the reference.
func (o PullOptions) manifest(ctx context.Context, e Endpoint, ref Reference) (*remote.Descriptor, error) {
	p, err := parsePlatform(o.Platform)
	if err != nil {
		return nil, err
	}
	options, names, err := o.options(ctx, e)
	if err != nil {
		return nil, err
	}
	parsed, err := name.ParseReference(e.Name+ref.suffix(), names...)
	if err != nil {
		return nil, err
	}
	return remote.Get(parsed, append(options, remote.WithPlatform(p))...)
}

// explain says what a status of a registry means to the user.
func explain(err error) error {
	var status *transport.Error
	if !errors.As(err, &status) {
		return err
	}
	switch status.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("unauthorized: authentication required (status %d): the credentials are read from auth.json and ~/.docker/config.json: %w", status.StatusCode, err)
	case http.StatusNotFound:
		return fmt.Errorf("manifest unknown: no such image or tag (status 404): %w", err)
	}
	return err
}
