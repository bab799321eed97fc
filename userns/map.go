package userns

import (
	"fmt"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Map is the id maps of a user namespace.
type Map struct{ UIDs, GIDs []specs.LinuxIDMapping }

// rootRange is how many ids root hands on: as many as a subuid range has.
const rootRange = 65536

// Single says that only one user id is mapped.
func (m Map) Single() bool { return len(m.UIDs) == 1 && m.UIDs[0].Size == 1 }

// HostUID gives the id outside of a user id inside.
func (m Map) HostUID(id uint32) (uint32, bool) { return outside(m.UIDs, id) }

// HostGID gives the id outside of a group id inside.
func (m Map) HostGID(id uint32) (uint32, bool) { return outside(m.GIDs, id) }

func outside(list []specs.LinuxIDMapping, id uint32) (uint32, bool) {
	for _, e := range list {
		if id >= e.ContainerID && id-e.ContainerID < e.Size {
			return e.HostID + (id - e.ContainerID), true
		}
	}
	return 0, false
}

// Inside gives the ids inside of an owner outside; ^0 stands for one that has none.
func (m Map) Inside(uid, gid uint32) (user, group uint32) {
	return inside(m.UIDs, uid), inside(m.GIDs, gid)
}

func inside(list []specs.LinuxIDMapping, id uint32) uint32 {
	for _, e := range list {
		if id >= e.HostID && id-e.HostID < e.Size {
			return e.ContainerID + (id - e.HostID)
		}
	}
	return ^uint32(0)
}

// FindMap finds the largest maps that the user may have. The second result is
// empty, or says in one line why only one id is mapped.
func FindMap(u User) (Map, string, error) {
	if u.UID == 0 && canSetIDs() {
		return rootMap()
	}
	single := Map{one(u.UID), one(u.GID)}
	for _, tool := range []string{"newuidmap", "newgidmap"} {
		if reason := unusable(tool); reason != "" {
			return single, "only one id is mapped: " + reason, nil
		}
	}
	uids, err := subordinate("/etc/subuid", u, "")
	if err == nil && len(uids) > 0 {
		var gids []idRange
		if gids, err = subordinate("/etc/subgid", u, "-g"); err == nil && len(gids) > 0 {
			return Map{stack(u.UID, uids), stack(u.GID, gids)}, "", nil
		}
	}
	if err != nil {
		return single, "only one id is mapped: " + err.Error(), nil
	}
	return single, fmt.Sprintf("only one id is mapped: %s has no range in /etc/subuid and /etc/subgid", u.label()), nil
}

func one(id int) []specs.LinuxIDMapping {
	return []specs.LinuxIDMapping{{ContainerID: 0, HostID: uint32(id), Size: 1}}
}

// stack puts the user at 0 and his ranges after it.
func stack(id int, ranges []idRange) []specs.LinuxIDMapping {
	list, next := one(id), uint32(1)
	for _, r := range ranges {
		if next+r.count < next {
			break
		}
		list = append(list, specs.LinuxIDMapping{ContainerID: next, HostID: r.start, Size: r.count})
		next += r.count
	}
	return list
}

// rootMap hands on what our own namespace holds, extent by extent: the kernel
// wants each extent to lie in one of the parent's.
func rootMap() (Map, string, error) {
	var m Map
	for _, f := range []struct {
		path string
		to   *[]specs.LinuxIDMapping
	}{{"/proc/self/uid_map", &m.UIDs}, {"/proc/self/gid_map", &m.GIDs}} {
		text, err := readBounded(f.path)
		if err != nil {
			return m, "", fmt.Errorf("finding the ids of root: %w", err)
		}
		if *f.to, err = identity(text); err != nil {
			return m, "", fmt.Errorf("finding the ids of root: %s: %w", f.path, err)
		}
	}
	return m, "", nil
}

func identity(text string) ([]specs.LinuxIDMapping, error) {
	var list []specs.LinuxIDMapping
	left := uint64(rootRange)
	for _, line := range nonEmptyLines(text) {
		var inside, out, size uint64
		if _, err := fmt.Sscan(line, &inside, &out, &size); err != nil {
			return nil, err
		}
		size = min(size, left)
		if size == 0 {
			break
		}
		list = append(list, specs.LinuxIDMapping{ContainerID: uint32(inside), HostID: uint32(inside), Size: uint32(size)})
		left -= size
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no id is mapped")
	}
	return list, nil
}

// ReadMap reads the maps of an opened uid_map and gid_map, as our own user
// namespace sees them, and closes both.
func ReadMap(uids, gids int) (m Map, err error) {
	for _, f := range []struct {
		fd int
		to *[]specs.LinuxIDMapping
	}{{uids, &m.UIDs}, {gids, &m.GIDs}} {
		text, failed := readAll(f.fd)
		unix.Close(f.fd)
		if failed == nil {
			*f.to, failed = extents(text)
		}
		if failed != nil && err == nil {
			err = fmt.Errorf("reading an id map: %w", failed)
		}
	}
	return m, err
}

// extents reads the form of /proc/PID/uid_map.
func extents(text string) (list []specs.LinuxIDMapping, err error) {
	for _, line := range nonEmptyLines(text) {
		var e specs.LinuxIDMapping
		if _, err := fmt.Sscan(line, &e.ContainerID, &e.HostID, &e.Size); err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no id is mapped")
	}
	return list, nil
}

// canSetIDs: root of a container may lack the right to hand on ids.
func canSetIDs() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return false
	}
	const need = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID
	return data[0].Effective&need == need
}

// unusable says why a tool cannot write maps: it must be there and be set-uid
// or hold a file capability.
func unusable(tool string) string {
	path, err := lookPath(tool)
	if err != nil {
		return tool + " is not installed"
	}
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil || st.Mode&unix.S_ISUID != 0 {
		return ""
	}
	if n, err := unix.Getxattr(path, "security.capability", nil); err == nil && n > 0 {
		return ""
	}
	return path + " is neither set-uid nor has it a capability"
}

// KeepID rearranges a map so that the user has the same id inside as outside;
// the ids below and above come from the ranges, as with podman's keep-id.
func KeepID(m Map, u User) (Map, error) {
	uids, err := keep(m.UIDs, u.UID)
	if err != nil {
		return m, fmt.Errorf("keeping user id %d: %w", u.UID, err)
	}
	gids, err := keep(m.GIDs, u.GID)
	if err != nil {
		return m, fmt.Errorf("keeping group id %d: %w", u.GID, err)
	}
	return Map{uids, gids}, nil
}

// keep moves the user's own entry from 0 to id. The first rest ids of the
// range move down to fill 0 to id-1.
func keep(list []specs.LinuxIDMapping, id int) ([]specs.LinuxIDMapping, error) {
	if id == 0 {
		return list, nil
	}
	if len(list) == 0 || list[0].Size != 1 || list[0].ContainerID != 0 {
		return nil, fmt.Errorf("the map does not begin with the user")
	}
	own, kept := list[0], uint32(id)
	out := []specs.LinuxIDMapping{{ContainerID: kept, HostID: own.HostID, Size: 1}}
	for _, e := range list[1:] {
		e.ContainerID-- // the place of the user is free
		if e.ContainerID < kept {
			below := min(e.Size, kept-e.ContainerID)
			out = append(out, specs.LinuxIDMapping{ContainerID: e.ContainerID, HostID: e.HostID, Size: below})
			e.ContainerID, e.HostID, e.Size = e.ContainerID+below, e.HostID+below, e.Size-below
		}
		if e.Size > 0 {
			out = append(out, specs.LinuxIDMapping{ContainerID: e.ContainerID + 1, HostID: e.HostID, Size: e.Size})
		}
	}
	return out, nil
}

// KeptID gives the id that KeepID makes of one of the map it was given, where the
// user is 0; kept is what the user has then.
func KeptID(id, kept uint32) uint32 {
	switch {
	case id == 0:
		return kept
	case id <= kept:
		return id - 1
	}
	return id
}

// text is the form of /proc/PID/uid_map.
func text(list []specs.LinuxIDMapping) string {
	var b []byte
	for _, arg := range list {
		b = fmt.Appendf(b, "%d %d %d\n", arg.ContainerID, arg.HostID, arg.Size)
	}
	return string(b)
}

// arguments is the form of newuidmap(1).
func arguments(list []specs.LinuxIDMapping) []string {
	var args []string
	for _, e := range list {
		for _, v := range []uint32{e.ContainerID, e.HostID, e.Size} {
			args = append(args, strconv.FormatUint(uint64(v), 10))
		}
	}
	return args
}
