package start

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"containers/rl/container"
)

// PauseImage is what an infra container shows as its image, when it has none.
const PauseImage = "localhost/rl-pause:latest"

// checkPod is for --pod and --pod-id-file.
func (o *Run) checkPod(cold *Cold) error {
	if o.podFile != "" {
		if o.pod != "" {
			return errors.New("cannot specify both --pod and --pod-id-file")
		}
		text, err := os.ReadFile(o.podFile)
		if err != nil {
			return fmt.Errorf("reading pod-id-file: %w", err)
		}
		o.pod = strings.TrimSpace(string(text))
	}
	if o.pod == "" {
		return nil
	}
	if o.flags.Changed("userns") {
		return errors.New("--userns and --pod cannot be set together")
	}
	if cold == nil {
		return errCold
	}
	return nil
}

// enterPod makes a container one of a pod: it has the pod's namespaces, but for
// those that it was given by flags of its own.
func (o *Run) enterPod(host container.Host, cold *Cold) error {
	pod, unlock, err := cold.Pod(host, cold, o.pod, o.flags.Name() == "run")
	if err != nil {
		return err
	}
	o.unlock = unlock
	o.Pod = &container.Membership{ID: pod.ID, Name: pod.Name, Ends: pod.ExitPolicy == container.ExitStop}
	infra := pod.InfraContainer()
	if infra == nil {
		return nil
	}
	o.inherit(&infra.Options)
	joins := pod.Joins()
	if joins == nil {
		return nil
	}
	own := o.Joins
	for n, one := range joins.All() {
		if flag := joinFlags[one.Kind]; o.flags.Changed(flag) {
			*one.To = ""
			if own != nil {
				*one.To = *own.All()[n].To
			}
		}
	}
	o.Joins = joins
	return o.checkShared()
}

// joinFlags are the flags of namespaces, by the kernel's names of these.
var joinFlags = map[string]string{"pid": "pid", "ipc": "ipc", "uts": "uts", "net": "network", "cgroup": "cgroupns", "user": "userns"}

// checkShared refuses what was decided when the pod was made.
func (o *Run) checkShared() error {
	bad := func(text string) error { return UsageError{text, o.flags.Name()} }
	if o.Joins.UTS != "" && o.flags.Changed("hostname") {
		return bad("cannot set hostname when joining the pod UTS namespace: invalid configuration")
	}
	if o.Joins.Network == "" {
		return nil
	}
	o.Network, o.Offline = container.NetworkJoined, false
	for _, flag := range []string{"publish", "publish-all"} {
		if o.flags.Changed(flag) {
			return bad("published or exposed ports must be defined when the pod is created: network cannot be configured when it is shared with a pod")
		}
	}
	if len(o.DNS)+len(o.DNSSearch)+len(o.DNSOptions) > 0 {
		return bad("cannot set DNS when joining the network of a pod: invalid configuration")
	}
	if len(o.AddHost) > 0 {
		return bad("cannot set extra host entries when the container is joined to another containers network namespace: invalid configuration")
	}
	return nil
}

// inherit takes over the volumes, devices and security options of the pod.
func (o *Run) inherit(infra *container.Options) {
	for _, m := range infra.Mounts {
		if !slices.ContainsFunc(o.Mounts, func(own specs.Mount) bool { return own.Destination == m.Destination }) {
			o.Mounts = append(o.Mounts, m)
		}
	}
	if r := infra.Rare; r != nil && (len(r.Devices) > 0 || r.CDI != nil) {
		o.rare.Devices, o.Rare = append(slices.Clone(r.Devices), o.rare.Devices...), &o.rare.Rare
		if o.rare.CDI == nil {
			o.rare.CDI = r.CDI
		}
	}
	if !o.flags.Changed("security-opt") && !o.Privileged {
		o.Unconfined, o.NewPrivs, o.Unmask = infra.Unconfined, infra.NewPrivs, infra.Unmask
		if infra.Seccomp != nil {
			o.Seccomp = infra.Seccomp
		}
	}
}

// CreateInfra makes the container that holds a pod's namespaces. Without an
// image it has an empty root and our own program, which waits.
func (o *Run) CreateInfra(s Streams, m container.Membership, args []string, cold *Cold) (id string, err error) {
	o.Pod, o.rootfs = &m, m.Pause
	return o.Create(s, args, cold)
}

// disguise is for an infra container without an image.
func (o *Run) disguise() {
	if o.Pod != nil && o.Pod.Pause {
		o.ImageName, o.Args = PauseImage, []string{"/pause"}
	}
}

// left is called when the container's record is written: the pod can be
// removed again.
func (o *Run) left() {
	if o.unlock != nil {
		o.unlock()
		o.unlock = nil
	}
}
