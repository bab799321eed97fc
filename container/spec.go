package container

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"containers/rl/security"
	"containers/rl/storage"
)

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// newSpec is the only translation of options into the specification.
func newSpec(o *Options, root imageRoot) (*specs.Spec, error) {
	var config storage.Settings
	if o.Image != nil {
		config = o.Image.Settings
	}
	args := command(o, config)
	if len(args) == 0 {
		return nil, errors.New("no command: neither the image nor the command line names one")
	}
	user, home, err := root.user(first(o.User, config.User))
	if err != nil {
		return nil, err
	}
	for _, group := range o.GroupAdd {
		gid, err := root.group(group)
		if err != nil {
			return nil, err
		}
		user.AdditionalGids = append(user.AdditionalGids, gid)
	}
	process := &specs.Process{
		Terminal: o.TTY, Args: args, User: user,
		Cwd:             first(o.WorkingDir, config.WorkingDir, "/"),
		Env:             environment(o, config.Env, home),
		NoNewPrivileges: !o.NewPrivs && !o.Privileged,
		Rlimits:         o.Rlimits,
	}
	if err := confine(o, process); err != nil {
		return nil, err
	}
	spec := &specs.Spec{
		Version: specs.Version, Process: process, Hostname: o.Hostname, Annotations: o.Annotations,
		Root:   &specs.Root{Path: o.Rootfs, Readonly: o.ReadOnly},
		Mounts: append(kept(defaultMounts(o), o.Mounts), outermostFirst(o.Mounts)...),
		Linux:  &specs.Linux{Namespaces: namespaces(o)},
	}
	if !o.Privileged && !o.Unmask {
		spec.Linux.MaskedPaths, spec.Linux.ReadonlyPaths = security.MaskedPaths(), security.ReadonlyPaths()
	}
	if !o.Privileged && !o.Unconfined {
		spec.Linux.Seccomp = o.Seccomp
	}
	o.apply(spec)
	return spec, nil
}

// Planned is the specification that a start would have now.
func (i *Info) Planned(h Host) (*specs.Spec, error) {
	o := i.Options
	root := imageRoot{o.Rootfs}
	if i.ImageID != "" {
		img, err := h.Dirs.Lookup(i.ImageID)
		if err != nil {
			return nil, err
		}
		defer img.Close()
		o.Image, root = img, img.Layers
	}
	spec, err := newSpec(&o, root)
	if err != nil { // there may be no such user: then the rest of it
		o.User = "0"
		spec, err = newSpec(&o, root)
	}
	return spec, err
}

func command(o *Options, config storage.Settings) []string {
	entrypoint, args := words(o, config)
	return append(append([]string{}, entrypoint...), args...)
}

// words follows docker: an entrypoint given by hand drops the image's command.
func words(o *Options, config storage.Settings) (entrypoint, args []string) {
	entrypoint, args = config.Entrypoint, config.Cmd
	if o.EntrySet {
		entrypoint, args = o.Entrypoint, nil
	}
	if len(o.Args) > 0 {
		args = o.Args
	}
	return entrypoint, args
}

// Settings are those of an image that is made of the container: what its own image
// has and what it was given by hand. What each run adds is not in them, nor what
// comes from the host.
func (o *Options) Settings(image storage.Settings) storage.Settings {
	s := storage.Settings{User: first(o.User, image.User), WorkingDir: first(o.WorkingDir, image.WorkingDir), Labels: image.Labels, Volumes: image.Volumes}
	s.Entrypoint, s.Cmd = words(o, image)
	given := append(append([]string{}, image.Env...), o.Env...)
	if o.Rare != nil {
		given = append(given, o.Rare.EnvMerge...)
	}
	for _, entry := range environment(o, image.Env, "") {
		name, _, _ := strings.Cut(entry, "=")
		if slices.ContainsFunc(given, func(g string) bool { return strings.HasPrefix(g, name+"=") }) {
			s.Env = append(s.Env, entry)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Labels)) {
		s.Labels = append(slices.Clip(s.Labels), name+"="+o.Labels[name])
	}
	return s
}

// environment: defaults, then the image's, then the user's; the last of a name wins.
func environment(o *Options, image []string, home string) []string {
	env := []string{defaultPath, "HOSTNAME=" + o.Hostname, "HOME=" + home, "container=rl"}
	if o.TTY {
		env = append(env, "TERM=xterm")
	}
	if o.Rare != nil {
		return mergeEnv(o.Rare.defaults(mergeEnv(mergeEnv(env, o.HostEnv), image)), o.Env)
	}
	return mergeEnv(mergeEnv(env, o.HostEnv), append(append([]string{}, image...), o.Env...))
}

// mergeEnv: the last of a name wins, at the place of the first.
func mergeEnv(env, more []string) (merged []string) {
	place := map[string]int{}
	for _, entry := range append(append([]string{}, env...), more...) {
		name, _, _ := strings.Cut(entry, "=")
		if at, seen := place[name]; seen {
			merged[at] = entry
			continue
		}
		place[name] = len(merged)
		merged = append(merged, entry)
	}
	return merged
}

func confine(o *Options, p *specs.Process) error {
	base := security.DefaultCapabilities()
	if o.Privileged {
		base = security.AllCapabilities()
	}
	caps, err := security.AdjustCapabilities(base, o.CapAdd, o.CapDrop)
	if err != nil {
		return err
	}
	p.Capabilities = &specs.LinuxCapabilities{Bounding: caps, Effective: caps, Permitted: caps}
	return nil
}

func namespaces(o *Options) []specs.LinuxNamespace {
	list := []specs.LinuxNamespace{{Type: specs.UserNamespace}, {Type: specs.MountNamespace}}
	for _, ns := range []struct {
		host bool
		kind specs.LinuxNamespaceType
	}{
		{o.HostPID, specs.PIDNamespace}, {o.HostIPC, specs.IPCNamespace}, {o.HostUTS, specs.UTSNamespace},
		{o.HostCgroup, specs.CgroupNamespace}, {o.Network == NetworkHost, specs.NetworkNamespace},
	} {
		if !ns.host {
			list = append(list, specs.LinuxNamespace{Type: ns.kind})
		}
	}
	return list
}

// foreignTo says whether a namespace is neither the container's nor that of a
// user namespace whose root it is: the kernel lets only its owner mount what
// shows it.
func (o *Options) foreignTo(host bool, flag uintptr) bool {
	return host || o.Joins != nil && o.Joins.foreign&flag != 0
}

func defaultMounts(o *Options) []specs.Mount {
	shm := o.ShmSize
	if shm == 0 {
		shm = 64 << 20
	}
	mounts := []specs.Mount{
		{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
		{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", fmt.Sprintf("size=%d", max(0, shm))}},
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
	}
	if o.foreignTo(o.HostPID, unix.CLONE_NEWPID) { // proc can be mounted only by the owner of the pid namespace
		mounts[0] = specs.Mount{Destination: "/proc", Type: "bind", Source: "/proc", Options: []string{"rbind", "nosuid", "noexec", "nodev"}}
	}
	mounts[3] = sharedMemory(o, mounts[3])
	if o.foreignTo(o.HostIPC, unix.CLONE_NEWIPC) {
		mounts = mounts[:4] // the kernel lets only the namespace's owner mount mqueue
	}
	if o.NoShm {
		mounts = slices.Delete(mounts, 3, 4)
	}
	if o.foreignTo(o.Network == NetworkHost, unix.CLONE_NEWNET) {
		// sysfs can be mounted only by the owner of the network namespace.
		return append(mounts, specs.Mount{Destination: "/sys", Type: "bind", Source: "/sys", Options: []string{"rbind", "ro", "nosuid", "noexec", "nodev"}})
	}
	return append(mounts, specs.Mount{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}})
}

// sharedMemory goes with the ipc namespace.
func sharedMemory(o *Options, own specs.Mount) specs.Mount {
	switch {
	case o.HostIPC:
		return specs.Mount{Destination: own.Destination, Type: "bind", Source: "/dev/shm", Options: []string{"bind", "nosuid", "noexec", "nodev"}}
	case o.Joins != nil && strings.HasPrefix(o.Joins.IPC, "container:"):
		return specs.Mount{Destination: own.Destination, Type: typeShm, Source: "/dev/shm of " + o.Joins.IPC}
	}
	return own
}

// outermostFirst: what is mounted below another mount comes after it.
func outermostFirst(own []specs.Mount) []specs.Mount {
	if len(own) < 2 {
		return own
	}
	sorted := slices.Clone(own)
	slices.SortStableFunc(sorted, func(a, b specs.Mount) int {
		return strings.Count(a.Destination, "/") - strings.Count(b.Destination, "/")
	})
	return sorted
}

// kept are the default mounts that the user has not replaced.
func kept(defaults, own []specs.Mount) (list []specs.Mount) {
	for _, d := range defaults {
		if !slices.ContainsFunc(own, func(m specs.Mount) bool { return m.Destination == d.Destination }) {
			list = append(list, d)
		}
	}
	return list
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
