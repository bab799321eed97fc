package container

import (
	"fmt"
	"strconv"
	"strings"

	"containers/rl/userns"
)

// mapped gives the ids of a container that joins no user namespace.
func (o *Options) mapped(h Host) (userns.Map, error) {
	if !o.KeepID {
		return h.IDs, nil
	}
	return userns.KeepID(h.IDs, o.kept(h.User))
}

// ownIDs makes the ids of the host those of the container, and its user the one
// that --userns keep-id keeps.
func (o *Options) ownIDs(h *Host, j *joined) (err error) {
	if j.forks() {
		h.IDs = j.ids
		return nil
	}
	if !o.KeepID {
		return nil
	}
	inside := o.kept(h.User)
	o.HostName = h.User.Name
	o.User = first(o.User, fmt.Sprintf("%d:%d", inside.UID, inside.GID))
	h.IDs, err = o.mapped(*h)
	return err
}

// kept is the user as he is inside with --userns keep-id.
func (o *Options) kept(u userns.User) userns.User {
	if uid, gid, ok := strings.Cut(o.KeepAs, ":"); ok {
		u.UID, _ = strconv.Atoi(uid) // numbers, as KeepAs says
		u.GID, _ = strconv.Atoi(gid)
	}
	return u
}

// Kept are the user's uid and gid inside with --userns keep-id, its own or that of
// the container whose user namespace it joins; nil without.
func (i *Info) Kept(h Host) (*[2]uint32, error) {
	for !i.Options.KeepID {
		if i.Options.Joins == nil {
			return nil, nil
		}
		owner, ok := strings.CutPrefix(i.Options.Joins.User, "container:")
		if !ok || owner == i.ID {
			return nil, nil
		}
		var err error
		if i, err = Find(h.Dirs, owner); err != nil {
			return nil, fmt.Errorf("finding whose the files are: %w", err)
		}
	}
	u := i.Options.kept(h.User)
	return &[2]uint32{uint32(u.UID), uint32(u.GID)}, nil
}

// KeepMode is the value of --userns that KeepID and KeepAs stand for.
func (o *Options) KeepMode() string {
	uid, gid, ok := strings.Cut(o.KeepAs, ":")
	if !ok {
		return "keep-id"
	}
	return fmt.Sprintf("keep-id:uid=%s,gid=%s", uid, gid)
}
