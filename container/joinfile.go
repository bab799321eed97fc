package container

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"containers/rl/storage"
	"containers/rl/userns"
)

// joinFile has of the record, the state and the specification what exec needs,
// as text. Reading them as JSON took a quarter of an exec. It is written before
// the state, and only where nothing else is needed: a container with a seccomp
// profile of its own has none.
//
//	init 4711 123456
//	boot 5f9c...
//	text name "web"
//	flag privileged
//	list env "PATH=/bin"
const joinFile = "join"

// joinFields are what it holds, by their names in it.
type joinFields struct {
	numbers map[string]*int
	texts   map[string]*string
	lists   map[string]*[]string
	flags   map[string]*bool
}

// joinLists are those that have another form elsewhere.
type joinLists struct{ env, labels, groups, caps, namespaces, uids, gids []string }

func fieldsOf(i *Info, spec *specs.Spec, l *joinLists, uid, gid *int) joinFields {
	o, p := &i.Options, spec.Process
	return joinFields{
		numbers: map[string]*int{"umask": &o.Umask, "uid": uid, "gid": gid},
		texts:   map[string]*string{"id": &i.ID, "name": &o.Name, "image": &o.ImageName, "cwd": &p.Cwd, "boot": &i.State.Boot},
		lists:   map[string]*[]string{"env": &p.Env, "own": &l.env, "label": &l.labels, "group": &l.groups, "cap": &l.caps, "ns": &l.namespaces, "uids": &l.uids, "gids": &l.gids},
		flags: map[string]*bool{"privileged": &o.Privileged, "unconfined": &o.Unconfined, "keepgroups": &o.KeepGroups, "nonewprivs": &p.NoNewPrivileges,
			"hostpid": &o.HostPID},
	}
}

// encodeJoin gives nil for a container that exec needs more of.
func encodeJoin(i *Info, spec *specs.Spec, ids userns.Map) []byte {
	if spec.Linux.Seccomp != nil || len(spec.Process.Rlimits) > 0 {
		return nil
	}
	l := joinLists{env: i.Options.Env, caps: spec.Process.Capabilities.Bounding, uids: idTexts(ids.UIDs), gids: idTexts(ids.GIDs)}
	for name, value := range i.Options.Labels {
		l.labels = append(l.labels, name+"="+value)
	}
	for _, gid := range spec.Process.User.AdditionalGids {
		l.groups = append(l.groups, strconv.Itoa(int(gid)))
	}
	for _, ns := range spec.Linux.Namespaces {
		l.namespaces = append(l.namespaces, string(ns.Type))
	}
	uid, gid := int(spec.Process.User.UID), int(spec.Process.User.GID)
	f := fieldsOf(i, spec, &l, &uid, &gid)
	text := fmt.Appendf(nil, "init %d %d\n", i.State.Init.PID, i.State.Init.Start)
	for name, v := range f.numbers {
		text = fmt.Appendf(text, "number %s %d\n", name, *v)
	}
	for name, v := range f.texts {
		text = fmt.Appendf(text, "text %s %q\n", name, *v)
	}
	for name, list := range f.lists {
		for _, v := range *list {
			text = fmt.Appendf(text, "list %s %q\n", name, v)
		}
	}
	for name, v := range f.flags {
		if *v {
			text = fmt.Appendf(text, "flag %s\n", name)
		}
	}
	return append(text, "end\n"...)
}

var errJoin = errors.New("not a join file")

func decodeJoin(text string) (*Info, error) {
	i := &Info{}
	spec := &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{}}, Linux: &specs.Linux{}}
	var l joinLists
	var uid, gid int
	f := fieldsOf(i, spec, &l, &uid, &gid)
	whole := false
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		name, value, _ := strings.Cut(rest, " ")
		var err error
		switch word {
		case "init":
			i.State.Init.PID, err = strconv.Atoi(name)
			if err == nil {
				i.State.Init.Start, err = strconv.ParseUint(value, 10, 64)
			}
		case "end":
			whole = true
		default:
			err = f.set(word, name, value)
		}
		if err != nil {
			return nil, errJoin
		}
	}
	if !whole {
		return nil, errJoin
	}
	spec.Process.User.UID, spec.Process.User.GID = uint32(uid), uint32(gid)
	i.spec = spec
	return i, l.into(i, spec)
}

// into gives the lists their other forms.
func (l *joinLists) into(i *Info, spec *specs.Spec) (err error) {
	i.Options.ID, i.Options.Env = i.ID, l.env
	for _, label := range l.labels {
		if i.Options.Labels == nil {
			i.Options.Labels = map[string]string{}
		}
		key, value, _ := strings.Cut(label, "=")
		i.Options.Labels[key] = value
	}
	for _, text := range l.groups {
		id, err := parseID(text)
		if err != nil {
			return errJoin
		}
		spec.Process.User.AdditionalGids = append(spec.Process.User.AdditionalGids, id)
	}
	for _, ns := range l.namespaces {
		spec.Linux.Namespaces = append(spec.Linux.Namespaces, specs.LinuxNamespace{Type: specs.LinuxNamespaceType(ns)})
	}
	spec.Process.Capabilities.Bounding = l.caps
	if i.ids.UIDs, err = idMappings(l.uids); err == nil {
		i.ids.GIDs, err = idMappings(l.gids)
	}
	return err
}

func idTexts(list []specs.LinuxIDMapping) (texts []string) {
	for _, m := range list {
		texts = append(texts, fmt.Sprintf("%d %d %d", m.ContainerID, m.HostID, m.Size))
	}
	return texts
}

func idMappings(texts []string) (list []specs.LinuxIDMapping, err error) {
	for _, text := range texts {
		var v [3]uint64
		words := strings.Fields(text)
		if len(words) != len(v) {
			return nil, errJoin
		}
		for n, word := range words {
			if v[n], err = strconv.ParseUint(word, 10, 32); err != nil {
				return nil, errJoin
			}
		}
		list = append(list, specs.LinuxIDMapping{ContainerID: uint32(v[0]), HostID: uint32(v[1]), Size: uint32(v[2])})
	}
	return list, nil
}

func (f joinFields) set(kind, name, value string) (err error) {
	switch kind {
	case "number":
		if p := f.numbers[name]; p != nil {
			*p, err = strconv.Atoi(value)
		}
	case "text":
		if p := f.texts[name]; p != nil {
			*p, err = strconv.Unquote(value)
		}
	case "list":
		if p := f.lists[name]; p != nil {
			var text string
			text, err = strconv.Unquote(value)
			*p = append(*p, text)
		}
	case "flag":
		if p := f.flags[name]; p != nil {
			*p = true
		}
	}
	return err
}

// FindRunning is Find for exec: of a container that runs it may have read no
// more than the join file.
func FindRunning(d storage.Dirs, ref string) (*Info, error) {
	entry, err := d.FindContainer(ref)
	if err != nil {
		return nil, err
	}
	text, err := readFile(path.Join(entry.Dir, joinFile))
	if err == nil {
		if i, err := decodeJoin(string(text)); err == nil && i.ID == entry.ID && i.State.Boot == bootID() {
			if state, start := processStart(i.State.Init.PID); start == i.State.Init.Start && state != 'Z' && state != 'T' && state != 'X' {
				i.Entry, i.Status = entry, StatusRunning
				return i, nil
			}
		}
	}
	info, err := look(entry)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", storage.ErrNoContainer, ref)
	}
	return info, err
}
