package container

import (
	"containers/rl/cgroups"
)

// Create makes a container's directory and record, and starts nothing.
func Create(h Host, o *Options) (err error) {
	if o.Limits != nil {
		if err := cgroups.Available(o.Limits); err != nil {
			return err
		}
	}
	o.fromImage()
	if err := choosePorts(o.Ports); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = o.dropVolumes(h, false)
		}
		o.closeVolumes()
	}()
	inside := h
	if inside.IDs, err = o.mapped(h); err != nil {
		return err
	}
	if err := o.openVolumes(inside, false); err != nil {
		return err
	}
	c, err := h.Dirs.CreateContainer(o.ID, "", o.Image)
	if err != nil {
		return err
	}
	if err = o.copyImage(inside, c, ""); err == nil {
		err = keep(h.Dirs, c, o)
	}
	if err != nil {
		remove(c, inside, &err)
		return err
	}
	c.Close()
	emit(h.Dirs, o.event("create"))
	return nil
}

// acquire takes what the container has beside its own directory.
func (r *Running) acquire(o *Options) error {
	err := o.openVolumes(r.host, r.again)
	if err == nil {
		err = r.openNetwork(o)
	}
	if err == nil {
		err = r.limit(o)
	}
	if err != nil {
		r.giveBack(o)
	}
	return err
}

// giveBack is the mirror of acquire, for a container that does not come to be.
func (r *Running) giveBack(o *Options) {
	r.closeNetwork(o)
	r.unlimit()
	_ = o.dropVolumes(r.host, false)
}
