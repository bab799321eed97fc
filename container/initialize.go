package container

import (
	"errors"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// ErrInitialized says that there is nothing to initialize: the container runs,
// or it was done. The words are podman's.
var ErrInitialized = errors.New("has already been created in runtime: container state improper")

// Initialize does all of a start that leaves no process: image, user, mounts,
// ports, addresses, limits and the joined namespaces are looked up as they would
// be, and given back. A container is what a child does in one go, so no mount and
// no namespace is left behind, and nothing is kept free for the start. What is
// kept is the specification, for who wants to read it, and the status, until a
// start or the end of this boot; and, for a container that had an overlay where
// there is none any more, the copy that its start would have made.
func (i *Info) Initialize(h Host) (err error) {
	if i.busy() || i.Status == StatusInitialized {
		return fmt.Errorf("container %s %w", i.ID, ErrInitialized)
	}
	o := i.Options
	if i.ImageID != "" {
		if o.Image, err = h.Dirs.Lookup(i.ImageID); err != nil {
			return fmt.Errorf("initializing container %s: %w", i.Name(), err)
		}
	}
	defer o.Image.Close()
	c, err := hold(h.Dirs, i, o.Image, i.startedSince)
	if err != nil {
		return err
	}
	defer c.Close()
	if o.Stdin, err = os.Open(os.DevNull); err != nil {
		return err
	}
	defer func() { o.Stdin.Close() }()
	o.Stdout, o.Stderr, o.Detached = os.Stdout, os.Stderr, true
	r := &Running{host: h, storage: c, again: true, stays: true}
	spec, err := r.rehearse(&o)
	if err == nil {
		err = errors.Join(c.WriteFile(specFile, encode(spec)), c.WriteFile(stateFile, encode(State{Prepared: true, Boot: bootID()})))
	}
	if err != nil {
		return fmt.Errorf("initializing container %s: %w", i.Name(), err)
	}
	emit(h.Dirs, o.event("init"))
	return nil
}

// rehearse is start without a child. The directory stays ours.
func (r *Running) rehearse(o *Options) (*specs.Spec, error) {
	var j *joined
	var err error
	if o.Joins != nil {
		if j, err = openJoins(r.host.Dirs, o); err != nil {
			return nil, err
		}
		defer j.close()
	}
	if err := o.ownIDs(&r.host, j); err != nil {
		return nil, err
	}
	if err := r.acquire(o); err != nil {
		return nil, err
	}
	defer r.giveBack(o)
	_, p, err := prepare(r.host, o, r.storage, j)
	defer func() {
		p.letGo()
		p.abandon()
	}()
	return p.spec, err
}

// abandon closes what prepare opened and no other owner took over.
func (p *plan) abandon() {
	p.shared.close()
	if p.out != nil {
		p.out.abandon()
	}
	for _, img := range p.images {
		img.Close()
	}
}
