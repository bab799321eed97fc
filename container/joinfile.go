package container

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	netconfig "containers/rl/netslirp/config"
	"containers/rl/storage"
	"containers/rl/userns"
)

// joinFile has of the record, the state and the specification what exec needs,
// as text. Reading them as JSON took a quarter of an exec. It is written before
// the state, and only where nothing else is needed: a container with a seccomp
// profile of its own has none.
//
// Of a container in the foreground that is removed at its end it is all there
// is (see standsAlone): writing JSON would cost its rl a sixth of its memory.
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
type joinLists struct{ env, labels, groups, caps, namespaces, uids, gids, mounts []string }

// standsAlone says whether the file can be the only record of a container: what
// has a form of its own in the options is not in it.
func standsAlone(o *Options) bool {
	return o.Remove && !o.Detached && o.Seccomp == nil && o.Joins == nil && o.Pod == nil &&
		len(o.Rlimits) == 0 && o.ShmSize == 0 && len(o.Annotations) == 0 && o.Health == nil && o.Limits == nil && len(o.Secrets) == 0 && o.Log == (Log{}) && o.Rare == nil &&
		plainNetwork(o)
}

func fieldsOf(i *Info, spec *specs.Spec, l *joinLists, uid, gid *int) joinFields {
	o, p := &i.Options, spec.Process
	return joinFields{
		numbers: map[string]*int{"umask": &o.Umask, "uid": uid, "gid": gid, "network": (*int)(&o.Network), "stoptimeout": &o.StopTimeout, "restartmax": &o.RestartMax},
		texts: map[string]*string{"id": &i.ID, "name": &o.Name, "image": &o.ImageName, "cwd": &p.Cwd, "boot": &i.State.Boot, "imageid": &i.ImageID, "rootfs": &o.Rootfs,
			"workdir": &o.WorkingDir, "user": &o.User, "username": &o.HostName, "keepas": &o.KeepAs, "hostname": &o.Hostname, "restart": &o.Restart, "stopsignal": &o.StopSignal},
		lists: map[string]*[]string{"env": &p.Env, "own": &l.env, "label": &l.labels, "group": &l.groups, "cap": &l.caps, "ns": &l.namespaces, "uids": &l.uids, "gids": &l.gids,
			"command": &i.Command, "args": &o.Args, "entrypoint": &o.Entrypoint, "hostenv": &o.HostEnv, "groupadd": &o.GroupAdd, "capadd": &o.CapAdd, "capdrop": &o.CapDrop,
			"dns": &o.DNS, "dnssearch": &o.DNSSearch, "dnsoption": &o.DNSOptions, "addhost": &o.AddHost, "mount": &l.mounts},
		flags: map[string]*bool{"privileged": &o.Privileged, "unconfined": &o.Unconfined, "keepgroups": &o.KeepGroups, "nonewprivs": &p.NoNewPrivileges,
			"hostpid": &o.HostPID, "hostipc": &o.HostIPC, "hostuts": &o.HostUTS, "hostcgroup": &o.HostCgroup, "keepid": &o.KeepID, "entryset": &o.EntrySet,
			"readonly": &o.ReadOnly, "newprivs": &o.NewPrivs, "unmask": &o.Unmask, "init": &o.Init, "tty": &o.TTY, "interactive": &o.Interactive, "remove": &o.Remove,
			"detached": &o.Detached, "stdinonce": &o.StdinOnce, "nolog": &o.NoLog, "offline": &o.Offline, "noshm": &o.NoShm, "privateipc": &o.PrivateIPC},
	}
}

// encodeJoin gives nil for a container that exec needs more of.
func encodeJoin(i *Info, spec *specs.Spec, ids userns.Map) []byte {
	if i.Options.Limits != nil || spec.Linux.Seccomp != nil || len(spec.Process.Rlimits) > 0 || len(i.Options.Secrets) > 0 {
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
	for _, m := range i.Options.Mounts {
		l.mounts = append(l.mounts, strings.Join(append([]string{m.Type, m.Source, m.Destination}, m.Options...), "\x00"))
	}
	uid, gid := int(spec.Process.User.UID), int(spec.Process.User.GID)
	f := fieldsOf(i, spec, &l, &uid, &gid)
	text := make([]byte, 0, 4096)
	text = fmt.Appendf(text, "init %d %d\nmonitor %d %d\n", i.State.Init.PID, i.State.Init.Start, i.State.Monitor.PID, i.State.Monitor.Start)
	if standsAlone(&i.Options) {
		text = fmt.Appendf(text, "times %d %d\n", i.Created.UnixNano(), i.State.Started.UnixNano())
	}
	for name, v := range f.numbers {
		if *v != 0 {
			text = fmt.Appendf(text, "number %s %d\n", name, *v)
		}
	}
	for name, v := range f.texts {
		if *v != "" {
			text = fmt.Appendf(text, "text %s %q\n", name, *v)
		}
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
			err = i.State.Init.parse(name, value)
		case "monitor":
			err = i.State.Monitor.parse(name, value)
		case "times":
			i.Created, err = parseNano(name)
			if err == nil {
				i.State.Started, err = parseNano(value)
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

func (p *Process) parse(pid, start string) (err error) {
	if p.PID, err = strconv.Atoi(pid); err == nil {
		p.Start, err = strconv.ParseUint(start, 10, 64)
	}
	return err
}

func parseNano(text string) (time.Time, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	return time.Unix(0, n).UTC(), err
}

// into gives the lists their other forms.
func (l *joinLists) into(i *Info, spec *specs.Spec) (err error) {
	i.Options.ID, i.Options.Env, i.Options.Slirp, i.Image = i.ID, l.env, netconfig.Default(), i.Options.ImageName
	for _, text := range l.mounts {
		words := strings.Split(text, "\x00")
		if len(words) < 3 {
			return errJoin
		}
		i.Options.Mounts = append(i.Options.Mounts, specs.Mount{Type: words[0], Source: words[1], Destination: words[2], Options: words[3:]})
	}
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

// lookJoin looks at a container of which there is nothing else.
func lookJoin(e storage.Entry) (*Info, error) {
	text, err := readFile(path.Join(e.Dir, joinFile))
	if err != nil {
		return nil, err
	}
	info, err := decodeJoin(string(text))
	if err != nil || info.Created.IsZero() {
		return nil, os.ErrNotExist // being written, or not for this
	}
	info.Entry = e
	if missing, err := info.judge(); err != nil || !missing {
		return info, err
	}
	return info, unix.Access(e.Dir, unix.F_OK)
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
		if i, err := decodeJoin(string(text)); err == nil && i.ID == entry.ID && (i.Options.Name == ref || strings.HasPrefix(i.ID, ref)) && i.State.Boot == bootID() {
			if state, start := processStart(i.State.Init.PID); start == i.State.Init.Start && state != 'Z' && state != 'T' && state != 'X' {
				i.Entry, i.Status = entry, StatusRunning
				return i, nil
			}
		}
	}
	return named(entry, ref)
}
