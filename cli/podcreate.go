package cli

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/storage"
)

// podCreation are the flags of pod create (podman-pod-create(1)).
type podCreation struct {
	name, hostname, share, exitPolicy, idFile    string
	infraImage, infraCommand, infraName, pidFile string
	infra, replace                               bool
	labels, labelFile                            []string

	cold  *start.Cold
	flags *flags.Set
	texts map[string]*[]string // of the infra container, by the flags of create
	bools map[string]*bool
}

// infraFlags of create are those of a pod too: its infra container has them.
var infraFlags = []string{"add-host", "device", "dns", "dns-option", "dns-search", "gidmap", "ip", "ip6", "mac-address", "network", "network-alias", "no-hosts",
	"pid", "publish", "security-opt", "shm-size", "subgidname", "subuidname", "sysctl", "uidmap", "userns", "uts", "volume", "volumes-from"}

func podCreateFlags(f *flags.Set) func(Streams, []string) error {
	c := &podCreation{flags: f, cold: cold, texts: map[string]*[]string{}, bools: map[string]*bool{}}
	f.StringVarP(&c.name, "name", "n", "", "name of the pod")
	f.StringVarP(&c.hostname, "hostname", "h", "", "host name (default: the pod's name)")
	f.StringArrayVarP(&c.labels, "label", "l", nil, "NAME[=VALUE], for filters and people")
	f.StringArrayVar(&c.labelFile, "label-file", nil, "read labels from a file")
	f.StringVar(&c.share, "share", "ipc,net,uts", "namespaces that its containers share: cgroup, ipc, net, pid, uts, or none; +pid adds to the default")
	f.StringVar(&c.exitPolicy, "exit-policy", "continue", "continue, or stop with the last container")
	f.BoolVar(&c.infra, "infra", true, "make a container that holds the namespaces")
	f.StringVar(&c.infraImage, "infra-image", "", "its image (default: none, and a program of rl's own)")
	f.StringVar(&c.infraCommand, "infra-command", "", "its command")
	f.StringVar(&c.infraName, "infra-name", "", "its name (default: the pod's id with -infra)")
	f.StringVar(&c.pidFile, "infra-conmon-pidfile", "", "write the number of the infra container's rl to a file when the pod is started")
	f.StringVar(&c.idFile, "pod-id-file", "", "write the pod's id to a file")
	f.BoolVar(&c.replace, "replace", false, "remove another pod of this name first")
	f.Bool("share-parent", true, "accepted for podman's sake: containers have no common cgroup")
	probe := flags.New("create")
	start.New(probe)
	for _, flag := range probe.All() {
		if !slices.Contains(infraFlags, flag.Name) {
			continue
		}
		if flag.Kind == flags.Bool {
			c.bools[flag.Name] = f.Bool(flag.Name, false, flag.Usage)
			continue
		}
		list := &[]string{}
		f.StringArrayVarP(list, flag.Name, flag.Short, nil, flag.Usage)
		c.texts[flag.Name] = list
	}
	f.Alias("net", "network")
	return c.run
}

func (c *podCreation) run(s Streams, args []string) error {
	if len(args) > 1 {
		return usageError{Text: fmt.Sprintf("accepts at most 1 arg(s), received %d", len(args)), Command: "pod create"}
	}
	if len(args) == 1 {
		if c.name != "" {
			return usageError{Text: "cannot specify --name and a name as an argument", Command: "pod create"}
		}
		c.name = args[0]
	}
	host, err := start.OpenHost()
	if err != nil {
		return err
	}
	if c.replace {
		if err := c.removeNamesake(host); err != nil {
			return err
		}
	}
	pod, err := c.create(s, host)
	if err == nil && c.idFile != "" {
		err = os.WriteFile(c.idFile, []byte(pod.ID), 0o644)
	}
	if err == nil {
		_, err = fmt.Fprintln(s.Out, pod.ID)
	}
	return err
}

func (c *podCreation) removeNamesake(host container.Host) error {
	if c.name == "" {
		return usageError{Text: "cannot replace pod without --name being set", Command: "pod create"}
	}
	pod, err := container.FindPod(host.Dirs, c.name)
	if errors.Is(err, storage.ErrNoPod) || err == nil && pod.Name != c.name {
		return nil
	}
	if err == nil {
		err = removePod(host, pod, true, "0")
	}
	return err
}

// check reads the flags. Nothing is made before.
func (c *podCreation) check() (r container.PodRecord, err error) {
	r = container.PodRecord{Name: c.name, Created: time.Now().UTC(), Command: append([]string{"rl", "pod", "create"}, c.flags.Raw()...), ExitPolicy: c.exitPolicy, Infra: c.infra,
		Hostname: c.hostname}
	if c.exitPolicy != "continue" && c.exitPolicy != container.ExitStop {
		return r, fmt.Errorf("running pod create option: invalid pod exit policy: %q", c.exitPolicy)
	}
	if r.PIDFile, err = filepath.Abs(c.pidFile); c.pidFile == "" {
		r.PIDFile = ""
	}
	if err != nil {
		return r, err
	}
	if r.Share, err = parseShare(c.share); err != nil {
		return r, err
	}
	if len(r.Share) == 0 && !c.flags.Changed("infra") {
		r.Infra = false
	}
	if !r.Infra {
		if err := c.withoutInfra(r.Share); err != nil {
			return r, err
		}
		r.Share = nil
	}
	if r.Labels, err = start.Labels(c.labelFile, c.labels); err != nil {
		return r, err
	}
	id := make([]byte, 32)
	_, err = rand.Read(id)
	r.ID = hex.EncodeToString(id)
	return r, err
}

// withoutInfra refuses what only an infra container could have.
func (c *podCreation) withoutInfra(share []string) error {
	if c.flags.Changed("share") && len(share) > 0 {
		return fmt.Errorf("cannot set share(%s) namespaces without an infra container", strings.Join(share, ","))
	}
	for _, name := range append([]string{"infra-image", "infra-command", "hostname"}, infraFlags...) {
		if c.flags.Changed(name) {
			return fmt.Errorf("cannot set --%s without an infra container", name)
		}
	}
	return nil
}

// parseShare reads --share. A + before the first adds to the default.
func parseShare(text string) ([]string, error) {
	list := []string{}
	if more, ok := strings.CutPrefix(text, "+"); ok {
		list, text = []string{"ipc", "net", "uts"}, more
	}
	for _, kind := range strings.Split(text, ",") {
		switch kind {
		case "cgroup", "ipc", "net", "pid", "uts":
			if !slices.Contains(list, kind) {
				list = append(list, kind)
			}
		case "", "none":
		default:
			return nil, fmt.Errorf("invalid kernel namespace to share: %s. Options are: cgroup, ipc, net, pid, uts or none", kind)
		}
	}
	slices.Sort(list)
	return list, nil
}

// create makes the pod, and then its infra container.
func (c *podCreation) create(s Streams, host container.Host) (*container.Pod, error) {
	r, err := c.check()
	if err != nil {
		return nil, usageError{Text: err.Error(), Command: "pod create"}
	}
	var pod *container.Pod
	for given := r.Name != ""; ; {
		if !given {
			r.Name = container.RandomName()
		}
		if pod, err = container.CreatePod(host.Dirs, r); given || !errors.Is(err, storage.ErrPodExists) {
			break
		}
	}
	if err == nil && r.Infra {
		if err = c.createInfra(s, pod); err != nil {
			err = errors.Join(err, container.RemovePod(host, pod))
		}
	}
	return pod, err
}

// createInfra: what the pod was asked for are flags of create.
func (c *podCreation) createInfra(s Streams, pod *container.Pod) error {
	name, hostname := c.infraName, c.hostname
	if name == "" {
		name = short(pod.ID) + "-infra"
	}
	args := []string{"--name", name}
	uts := c.texts["uts"]
	if hostname == "" && (uts == nil || len(*uts) == 0 || (*uts)[0] == "private") {
		hostname = pod.Name
	}
	if hostname != "" {
		args = append(args, "--hostname", hostname)
	}
	for name, values := range c.texts {
		for _, value := range *values {
			args = append(args, "--"+name+"="+value)
		}
	}
	for name, on := range c.bools {
		if *on {
			args = append(args, "--"+name)
		}
	}
	m := container.Membership{ID: pod.ID, Name: pod.Name, Infra: true, Pause: c.infraImage == ""}
	if m.Pause {
		args = append(args, pod.Dir+"/rootfs")
		if c.infraCommand != "" && c.infraCommand != "/pause" {
			return fmt.Errorf("--infra-command %s: without --infra-image there is /pause alone", c.infraCommand)
		}
	} else {
		args = append(args, c.infraImage)
		args = append(args, strings.Fields(c.infraCommand)...)
	}
	set := flags.New("create")
	set.SetInterspersed(false)
	run := start.New(set)
	if err := set.Parse(args); err != nil {
		return usageError{Text: err.Error(), Command: "pod create"}
	}
	_, err := run.CreateInfra(s, m, set.Args(), c.cold)
	return err
}

// podFor finds the pod of --pod, or makes that of --pod new:NAME, and has its
// namespaces there when its container is to be started. It cannot be removed
// until unlock is called.
func podFor(host container.Host, c *start.Cold, name string, starts bool) (pod *container.Pod, unlock func(), err error) {
	if fresh, ok := strings.CutPrefix(name, "new:"); ok {
		if pod, err = newPod(host, c, fresh); err != nil {
			return nil, nil, err
		}
		name = pod.ID
	}
	entry, err := host.Dirs.FindPod(name)
	if err != nil {
		return nil, nil, err
	}
	if unlock, err = host.Dirs.LockPod(entry, false); err != nil {
		return nil, nil, err
	}
	pod, err = container.FindPod(host.Dirs, entry.ID)
	if err == nil && starts {
		err = startInfra(host, pod)
	}
	if err != nil {
		unlock()
		return nil, nil, err
	}
	return pod, unlock, nil
}

func newPod(host container.Host, cold *start.Cold, name string) (*container.Pod, error) {
	set := flags.New("pod create")
	c := &podCreation{name: name, share: "ipc,net,uts", exitPolicy: "continue", infra: true, flags: set, cold: cold}
	return c.create(Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, host)
}

// startInfra has a process of its own, whose child the infra container's
// monitor is not for long: ours would be nobody's to wait for.
func startInfra(host container.Host, pod *container.Pod) error {
	infra := pod.InfraContainer()
	if infra == nil && pod.Infra {
		return fmt.Errorf("pod %s has lost its infra container: rl pod rm -f %[1]s", pod.Name)
	}
	if infra == nil || infra.Running() {
		return nil
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	process, err := os.StartProcess("/proc/self/exe", []string{"rl", "start", infra.ID}, &os.ProcAttr{Env: withoutUnit(os.Environ()), Files: []*os.File{null, null, os.Stderr}})
	if err != nil {
		return fmt.Errorf("starting the infra container of pod %s: %w", pod.Name, err)
	}
	state, err := process.Wait()
	if err == nil && !state.Success() {
		err = fmt.Errorf("starting the infra container of pod %s: %s", pod.Name, state)
	}
	if err == nil {
		err = tellPod(host, pod)
	}
	return err
}
