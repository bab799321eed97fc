package start

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"containers/rl/container"
)

// checkNamespaces reads the modes of the namespaces but the network's
// (podman-run(1), docker-run(1)): "" is the default.
func (o *Run) checkNamespaces() error {
	for _, ns := range []struct {
		flag, value string
		host        *bool
		join        func(*container.Joins) *string
	}{
		{"pid", o.pid, &o.HostPID, func(j *container.Joins) *string { return &j.PID }},
		{"ipc", o.ipc, &o.HostIPC, func(j *container.Joins) *string { return &j.IPC }},
		{"uts", o.uts, &o.HostUTS, func(j *container.Joins) *string { return &j.UTS }},
		{"cgroupns", o.cgroupns, &o.HostCgroup, func(j *container.Joins) *string { return &j.Cgroup }},
		{"userns", o.userns, nil, func(j *container.Joins) *string { return &j.User }},
	} {
		switch {
		case ns.value == "" || ns.value == "private":
			if ns.flag == "ipc" {
				o.PrivateIPC = ns.value != ""
			}
		case ns.value == "host":
			if ns.host != nil {
				*ns.host = true
			}
		case ns.flag == "ipc" && ns.value == "none":
			o.NoShm = true
		case ns.flag == "ipc" && ns.value == "shareable":
		case ns.flag == "userns" && (ns.value == "keep-id" || strings.HasPrefix(ns.value, "keep-id:")):
			o.KeepID = true
			var err error
			if o.KeepAs, err = keptAs(strings.TrimPrefix(ns.value, "keep-id"), os.Getuid(), os.Getgid()); err != nil {
				return fmt.Errorf("--userns %s: %w", ns.value, err)
			}
		default:
			if err := o.join(ns.flag, ns.value, ns.join); err != nil {
				return err
			}
		}
	}
	if o.flags.Changed("hostname") && (o.HostUTS || o.Joins != nil && o.Joins.UTS != "") {
		return errors.New("conflicting options: hostname and the UTS mode")
	}
	if o.HostIPC && o.shm != "" {
		return errors.New("cannot set shmsize when running in the host IPC Namespace")
	}
	return nil
}

// join reads container:NAME and ns:PATH.
func (o *Run) join(flag, value string, which func(*container.Joins) *string) error {
	kind, of, _ := strings.Cut(value, ":")
	switch {
	case kind != "container" && kind != "ns":
		modes := "host, private, container:NAME or ns:PATH"
		if flag == "userns" {
			modes = "host, private, keep-id[:uid=N,gid=N], container:NAME or ns:PATH"
		}
		return fmt.Errorf("--%s %s: unrecognized namespace mode %[2]s passed: %s", flag, value, modes)
	case of == "":
		return fmt.Errorf("--%s %s: namespace mode %s requires a value", flag, value, kind)
	case kind == "ns":
		if _, err := os.Stat(of); err != nil {
			return fmt.Errorf("--%s: cannot find specified namespace path: %w", flag, err)
		}
	}
	if o.Joins == nil {
		o.Joins = &container.Joins{}
	}
	*which(o.Joins) = value
	return nil
}

// checkJoinedNetwork refuses what the other container has decided already.
func (o *Run) checkJoinedNetwork() error {
	o.Network = container.NetworkJoined
	mode := o.network.mode()
	if len(o.DNS)+len(o.DNSSearch)+len(o.DNSOptions) > 0 && strings.HasPrefix(mode, "container:") {
		return errors.New("conflicting options: dns and the network mode: container")
	}
	if len(o.AddHost) > 0 && strings.HasPrefix(mode, "container:") {
		return errors.New("cannot set extra host entries when the container is joined to another containers network namespace: invalid configuration")
	}
	return o.join("network", mode, func(j *container.Joins) *string { return &j.Network })
}

// lookupJoins turns names into ids: a name may be another's later.
func (o *Run) lookupJoins(host container.Host) error {
	for _, one := range o.Joins.All() {
		ref, ok := strings.CutPrefix(*one.To, "container:")
		if !ok {
			continue
		}
		info, err := one.Lookup(host.Dirs, ref)
		if err != nil {
			return err
		}
		*one.To = "container:" + info.ID
		if one.Kind == "uts" {
			o.Hostname = info.Options.Hostname
		}
	}
	return nil
}

// keptAs reads what follows keep-id, ":uid=N,gid=N" in any order or a part of
// it (podman-run(1)); uid and gid are the user's own, for what is left out. It
// gives "UID:GID", or "" when nothing follows.
func keptAs(text string, uid, gid int) (string, error) {
	if text == "" {
		return "", nil
	}
	for part := range strings.SplitSeq(text[1:], ",") {
		name, value, _ := strings.Cut(part, "=")
		n, err := strconv.ParseUint(value, 10, 31)
		switch {
		case name != "uid" && name != "gid":
			return "", fmt.Errorf("unknown option specified: %q: uid=N or gid=N", name)
		case err != nil:
			return "", fmt.Errorf("%s: %q is not an id", name, value)
		case name == "uid":
			uid = int(n)
		default:
			gid = int(n)
		}
	}
	return fmt.Sprintf("%d:%d", uid, gid), nil
}
