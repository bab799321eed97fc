package cli

import (
	"errors"
	"fmt"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
)

// cloning are the flags of container clone (podman-container-clone(1)).
type cloning struct {
	name, pod           string
	destroy, force, run bool
	limits              func() (*container.Limits, error)
}

func cloneFlags(f *flags.Set) func(Streams, []string) error {
	c := &cloning{limits: start.LimitFlags(f)}
	f.StringVar(&c.name, "name", "", "name of the clone (default: the container's with -clone)")
	f.StringVar(&c.pod, "pod", "", "put the clone into a pod, whose namespaces it has then")
	f.BoolVar(&c.destroy, "destroy", false, "remove the container when the clone is made")
	f.BoolVarP(&c.force, "force", "f", false, "with --destroy: a container that runs too")
	f.BoolVar(&c.run, "run", false, "start the clone")
	return func(s Streams, args []string) error {
		if len(args) < 1 || len(args) > 3 {
			return usageError{Text: fmt.Sprintf("accepts between 1 and 3 arg(s), received %d", len(args)), Command: "container clone"}
		}
		if c.force && !c.destroy {
			return usageError{Text: "cannot set --force without --destroy: invalid argument", Command: "container clone"}
		}
		limits, err := c.limits()
		if err != nil {
			return usageError{Text: err.Error(), Command: "container clone"}
		}
		host, info, err := openContainer(args[0])
		if err != nil {
			return err
		}
		id, err := c.clone(host, info, args[1:], limits)
		if err == nil && c.destroy {
			err = (&removal{force: c.force}).one(host, info)
		}
		if err == nil && c.run {
			err = startNamed(s, host, id)
		}
		if err == nil {
			_, err = fmt.Fprintln(s.Out, id)
		}
		return err
	}
}

// clone makes it; args are its name and another image, as far as they are given.
func (c *cloning) clone(host container.Host, info *container.Info, args []string, limits *container.Limits) (id string, err error) {
	switch {
	case infra(info):
		return "", fmt.Errorf("container %s is the infra container of pod %s: rl pod clone %[2]s", info.ID, info.Options.Pod.Name)
	case c.destroy && active(info) && !c.force:
		return "", fmt.Errorf("cannot remove container %s as it is %s - %w", info.ID, info.Status, container.ErrRunning)
	}
	o, err := info.Clone(host.Dirs)
	if err != nil {
		return "", err
	}
	if o.Name = c.name; len(args) > 0 {
		o.Name = args[0]
	}
	if limits != nil {
		o.Limits = o.Limits.Merge(limits)
	}
	unlock, err := c.enter(host, info, o)
	if err != nil {
		return "", err
	}
	defer unlock()
	if err := findOther(host, info, o, args); err != nil {
		return "", err
	}
	defer o.Image.Close()
	return o.ID, container.MakeClone(host, info, o)
}

// enter holds the pod that the clone is to be in, so that it is not removed.
func (c *cloning) enter(host container.Host, info *container.Info, o *container.Options) (unlock func(), err error) {
	switch {
	case c.pod != "":
		pod, unlock, err := podFor(host, cold, c.pod, false)
		if err == nil {
			o.Enter(pod)
		}
		return unlock, err
	case info.Options.Pod != nil:
		_, unlock, err = podFor(host, cold, info.Options.Pod.ID, false)
		return unlock, err
	}
	return func() {}, nil
}

// findOther finds the container's image, or another one, with the volumes that it declares.
func findOther(host container.Host, info *container.Info, o *container.Options, args []string) (err error) {
	switch {
	case len(args) > 1 && info.ImageID == "":
		return errors.New("a container with --rootfs has no image that another one could replace")
	case len(args) > 1:
		o.ImageName, o.ImageVolumes = args[1], ""
		o.Image, err = findImage(host, start.Wanted{Ref: args[1], Pull: "missing"})
	case info.ImageID != "":
		if o.Image, err = host.Dirs.Lookup(info.ImageID); err != nil {
			err = fmt.Errorf("cloning container %s: %w", info.Name(), err)
		}
	}
	return err
}

func startNamed(s Streams, host container.Host, id string) error {
	info, err := container.Find(host.Dirs, id)
	if err == nil {
		err = startContainer(s, host, info)
	}
	return err
}

// podCloning are the flags of pod clone (podman-pod-clone(1)).
type podCloning struct {
	name, hostname, infraName, pidFile string
	labels, labelFile                  []string
	destroy, start                     bool
}

func podCloneFlags(f *flags.Set) func(Streams, []string) error {
	c := &podCloning{}
	f.StringVarP(&c.name, "name", "n", "", "name of the clone (default: the pod's with -clone)")
	f.StringVarP(&c.hostname, "hostname", "h", "", "host name (default: the pod's own, or the clone's name)")
	f.StringArrayVarP(&c.labels, "label", "l", nil, "NAME[=VALUE], beside those of the pod")
	f.StringArrayVar(&c.labelFile, "label-file", nil, "read labels from a file")
	f.StringVar(&c.infraName, "infra-name", "", "name of the infra container (default: the clone's id with -infra)")
	f.StringVar(&c.pidFile, "infra-conmon-pidfile", "", "write the number of the infra container's rl to a file when the clone is started")
	f.BoolVar(&c.destroy, "destroy", false, "remove the pod, running or not, when the clone is made")
	f.BoolVar(&c.start, "start", false, "start the clone")
	return func(s Streams, args []string) error {
		if len(args) < 1 || len(args) > 2 {
			return usageError{Text: fmt.Sprintf("accepts between 1 and 2 arg(s), received %d", len(args)), Command: "pod clone"}
		}
		if len(args) == 2 {
			c.name = args[1]
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		pod, err := container.FindPod(host.Dirs, args[0])
		if err != nil {
			return err
		}
		clone, err := c.clone(host, pod)
		if err == nil && c.destroy {
			err = removePod(host, pod, true, "")
		}
		if err == nil && c.start {
			err = startPod(s, host, clone)
		}
		if err == nil {
			_, err = fmt.Fprintln(s.Out, clone.ID)
		}
		return err
	}
}

// clone makes the pod, and then the clones of its containers.
func (c *podCloning) clone(host container.Host, pod *container.Pod) (*container.Pod, error) {
	unlock, err := host.Dirs.LockPod(pod.Entry(), false)
	if err != nil {
		return nil, err
	}
	defer unlock()
	r, err := c.record(host, pod)
	if err != nil {
		return nil, err
	}
	clone, err := container.CreatePod(host.Dirs, r)
	if err != nil {
		return nil, err
	}
	clones := map[string]string{} // their ids, by those of the containers
	for _, i := range container.InOrder(pod.Containers) {
		if err := c.member(host, i, pod, clone, clones); err != nil {
			return nil, errors.Join(fmt.Errorf("cloning container %s of pod %s: %w", i.Name(), pod.Name, err), removePod(host, clone, true, "0"))
		}
	}
	return container.FindPod(host.Dirs, clone.ID)
}

// record is that of the clone.
func (c *podCloning) record(host container.Host, pod *container.Pod) (r container.PodRecord, err error) {
	probe := &podCreation{name: c.name, exitPolicy: pod.ExitPolicy, infra: pod.Infra, pidFile: c.pidFile, labels: c.labels, labelFile: c.labelFile, share: "none", flags: flags.New("pod create")}
	if r, err = probe.check(); err != nil {
		return r, usageError{Text: err.Error(), Command: "pod clone"}
	}
	if r.Name == "" {
		r.Name = container.CloneName(pod.Name, func(name string) bool {
			_, pods := host.Dirs.FindPod(name)
			_, containers := container.Find(host.Dirs, name)
			return pods == nil || containers == nil
		})
	}
	if r.Hostname = pod.Hostname; c.hostname != "" {
		r.Hostname = c.hostname
	}
	r.Infra, r.Share, r.Command = pod.Infra, pod.Share, nil
	for name, value := range pod.Labels {
		if _, given := r.Labels[name]; !given {
			if r.Labels == nil {
				r.Labels = map[string]string{}
			}
			r.Labels[name] = value
		}
	}
	return r, nil
}

// member makes the clone of one of its containers.
func (c *podCloning) member(host container.Host, i *container.Info, pod, clone *container.Pod, clones map[string]string) error {
	o, err := i.Clone(host.Dirs)
	if err != nil {
		return err
	}
	clones[i.ID] = o.ID
	o.Follow(clones)
	m := *i.Options.Pod
	m.ID, m.Name = clone.ID, clone.Name
	o.Pod = &m
	if m.Infra {
		if o.Name = c.infraName; o.Name == "" {
			o.Name = short(clone.ID) + "-infra"
		}
		if m.Pause {
			o.Rootfs = clone.Dir + "/rootfs"
		}
	}
	switch {
	case c.hostname != "" && m.Infra:
		o.Hostname = c.hostname
	case o.Hostname == pod.Name:
		o.Hostname = clone.Name
	}
	if err := findOther(host, i, o, nil); err != nil {
		return err
	}
	defer o.Image.Close()
	return container.MakeClone(host, i, o)
}
