package start

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"containers/rl/cli/flags"
	"containers/rl/container"
	netconfig "containers/rl/netslirp/config"
	"containers/rl/security"
	"containers/rl/storage"
)

// Run are the flags of run as they were typed.
type Run struct {
	container.Options
	network network

	entrypoint                                                    string
	envFile, volumes, mounts, tmpfs, securityOpt, ulimits         []string
	annotations                                                   []string
	device                                                        deviceFlags
	umask, pidfile                                                string
	envHost, replace                                              bool
	labels, labelFile                                             []string
	logDriver, stopTimeout, restart                               string
	pid, ipc, uts, userns, cgroupns, pull, platform, cidfile, shm string
	health                                                        health
	limits                                                        limits
	seccomp                                                       string // path of a profile
	rootfs, printID                                               bool
	logOpts, notes                                                []string
	attached                                                      attached
	pod, podFile                                                  string
	unlock                                                        func() // the pod
	rare                                                          rare
	flags                                                         *flags.Set
}

// New declares the flags of run.
func New(f *flags.Set) *Run {
	o := &Run{flags: f}
	f.BoolVarP(&o.Detached, "detach", "d", false, "leave the container running and print its id")
	f.BoolVarP(&o.Interactive, "interactive", "i", false, "keep standard input open")
	f.BoolVarP(&o.TTY, "tty", "t", false, "give the container a terminal")
	f.BoolVar(&o.Remove, "rm", false, "remove the container when it ends")
	f.StringVar(&o.Name, "name", "", "name of the container")
	f.StringArrayVarP(&o.Env, "env", "e", nil, "set a variable: NAME=VALUE, or NAME to pass ours on")
	f.StringArrayVar(&o.envFile, "env-file", nil, "read variables from a file")
	f.StringVarP(&o.WorkingDir, "workdir", "w", "", "working directory")
	f.StringVarP(&o.User, "user", "u", "", "name or uid[:group or gid]")
	f.StringArrayVar(&o.GroupAdd, "group-add", nil, "add a group by name or number; keep-groups keeps the user's own")
	f.StringVar(&o.umask, "umask", "0022", "file mode creation mask")
	f.BoolVar(&o.envHost, "env-host", false, "begin with all of our variables")
	f.StringVar(&o.entrypoint, "entrypoint", "", "replace the image's entrypoint")
	f.StringArrayVarP(&o.volumes, "volume", "v", nil, "mount a directory or a volume: [/HOST|NAME:]/CONTAINER[:OPTION,...]")
	f.StringArrayVar(&o.mounts, "mount", nil, "type=bind|volume|image|tmpfs|ramfs|devpts|glob,source=...,target=...[,KEY=VALUE,...]")
	o.attached.flags(f)
	f.StringArrayVar(&o.tmpfs, "tmpfs", nil, "mount a tmpfs: /CONTAINER[:OPTIONS]; it begins with what the image has there, unless notmpcopyup is one")
	f.BoolVar(&o.ReadOnly, "read-only", false, "make the root file system read-only")
	f.StringVarP(&o.Hostname, "hostname", "h", "", "host name (default: the container's short id)")
	o.networkFlags(f)
	f.StringSliceVar(&o.CapAdd, "cap-add", nil, "add a capability")
	f.StringSliceVar(&o.CapDrop, "cap-drop", nil, "drop a capability")
	f.StringArrayVar(&o.securityOpt, "security-opt", nil, "seccomp=FILE|unconfined, no-new-privileges[=false], unmask=ALL")
	f.BoolVar(&o.Init, "init", false, "run an init that reaps and passes on signals")
	f.BoolVar(&o.Privileged, "privileged", false, "all capabilities of the user namespace, no filter, no masks")
	f.StringVar(&o.pull, "pull", "missing", "missing|always|never|newer")
	f.StringVar(&o.platform, "platform", "", "OS/ARCH[/VARIANT] of the image")
	f.BoolVar(&o.rootfs, "rootfs", false, "IMAGE is a directory")
	f.StringArrayVarP(&o.labels, "label", "l", nil, "NAME[=VALUE], for filters and people")
	f.StringArrayVar(&o.labelFile, "label-file", nil, "read labels from a file")
	f.StringVar(&o.logDriver, "log-driver", "k8s-file", "k8s-file, json-file (the same here), journald, passthrough or none")
	f.StringArrayVar(&o.logOpts, "log-opt", nil, "max-size=SIZE, max-file=NUMBER, path=FILE, tag=TEXT")
	o.health.flags(f)
	o.limits.runFlags(f)
	o.rare.flags(f)
	f.StringVar(&o.restart, "restart", "no", "no|on-failure[:MOST]|always|unless-stopped")
	f.StringVar(&o.StopSignal, "stop-signal", "", "signal that stop sends (default: the image's, or TERM)")
	f.StringVar(&o.stopTimeout, "stop-timeout", "10", "seconds from there to KILL")
	f.StringArrayVar(&o.annotations, "annotation", nil, "NAME=VALUE, for the specification")
	o.device.flags(f)
	f.BoolVar(&o.replace, "replace", false, "remove another container of this name first")
	f.StringVar(&o.pidfile, "pidfile", "", "write the number of the first process to a file")
	f.StringVar(&o.cidfile, "cidfile", "", "write the container's id to a file")
	f.StringArrayVar(&o.ulimits, "ulimit", nil, "NAME=SOFT[:HARD]")
	f.StringVar(&o.shm, "shm-size", "", "size of /dev/shm (default 64m)")
	f.StringVar(&o.pid, "pid", "private", "host|private|container:NAME|ns:PATH")
	f.StringVar(&o.ipc, "ipc", "", "host|shareable|private|none|container:NAME|ns:PATH (default: shareable)")
	f.StringVar(&o.uts, "uts", "private", "host|private|container:NAME|ns:PATH")
	f.StringVar(&o.cgroupns, "cgroupns", "private", "host|private|container:NAME|ns:PATH")
	f.StringVar(&o.pod, "pod", "", "put it into a pod; new:NAME makes one")
	f.StringVar(&o.podFile, "pod-id-file", "", "put it into the pod whose id is in a file")
	f.StringVar(&o.userns, "userns", "host", "host|private|keep-id[:uid=N,gid=N]|container:NAME|ns:PATH")
	return o
}

// Cold is what a start needs now and then, from packages that the usual start
// does without.
type Cold struct {
	// Find gives the image, and brings it or makes it when it is not there.
	Find func(h container.Host, w Wanted) (*storage.Image, error)
	// Seccomp resolves a profile, or the default one when text is nil.
	Seccomp func(text []byte, caps []string) (*specs.LinuxSeccomp, error)
	// Network reads the options of --network slirp; the others refuse a wrong
	// --add-host and --dns.
	Network             func(text string) (netconfig.Network, error)
	CheckHost, CheckDNS func(text string) error
	// Publish reads what --publish says, Expose one --expose, as PORT/PROTOCOL
	// each; Exposed are the ports that an image names.
	Publish func(texts []string) ([]netconfig.Port, error)
	Expose  func(text string) ([]string, error)
	Exposed func(img *storage.Image) []string
	// Attach finds a place in a network by its name or id; the address may be "".
	Attach func(network, address string, aliases []string) (*container.Attachment, error)
	// MAC reads --mac-address.
	MAC func(text string) ([6]byte, error)
	// Glob gives the paths that a pattern matches.
	Glob func(pattern string) ([]string, error)
	// Devices finds those of CDI, and what they need.
	Devices func(w WantedDevices) (*container.Edits, error)
	// Pod finds the pod of --pod, or makes one, and starts it for a container
	// that is to be started. It cannot be removed until unlock is called.
	Pod func(h container.Host, c *Cold, name string, starts bool) (pod *container.Pod, unlock func(), err error)
}

// Wanted is an image that a container is to be made of.
type Wanted struct {
	Ref, Pull, Platform string
	Quiet               bool
	AuthFile            string
	TLSVerify           *bool // nil: as registries.conf says
}

// errCold says that a start needs what Cold has. Nothing was done yet.
var errCold = errors.New("the start needs more than package start has")

// Start checks everything before any work starts. Without cold it gives up
// with errCold before it has done anything that a second try would notice.
func (o *Run) Start(s Streams, args []string, cold *Cold) (*container.Running, error) {
	if o.Unproxied() && cold == nil {
		return nil, errCold
	}
	host, err := o.prepare(s, args, cold)
	if err != nil {
		return nil, err
	}
	if err := startRequired(s, host, o.Options); err != nil {
		return nil, err
	}
	var running *container.Running
	if o.Detached {
		running, err = container.StartHere(host, &o.Options, func(r *container.Running) error {
			o.left()
			return errors.Join(o.ready(s, r), Leave(o.ID, o.PreserveFDs))
		})
	} else {
		running, err = container.Start(host, &o.Options, func(r *container.Running) error { return o.ready(s, r) })
		o.left()
	}
	o.forget(host, err)
	return running, err
}

// forget removes the file with the id of a container that is not there. One
// whose program could not be executed is, without --rm.
func (o *Run) forget(host container.Host, err error) {
	if err == nil || o.cidfile == "" {
		return
	}
	if _, there := container.Find(host.Dirs, o.ID); there != nil {
		_ = os.Remove(o.cidfile)
	}
}

// Away starts a container that stays when we go, and prints its id. words are
// the command line, without the command, for a monitor that has to read it again.
func (o *Run) Away(s Streams, args, words []string, cold *Cold) error {
	if o.pod != "" || o.podFile != "" { // it joins others, and is put into the pod once
		return Detach(s, append([]string{"run"}, words...), o.PreserveFDs)
	}
	host, err := o.prepare(s, args, cold)
	if err != nil {
		return err
	}
	if err = startRequired(s, host, o.Options); err == nil {
		err = container.StartAway(host, &o.Options, func(r *container.Running) error { return o.ready(s, r) })
	}
	o.forget(host, err) // or its monitor takes another id
	if errors.Is(err, container.ErrMonitor) {
		return Detach(s, append([]string{"run"}, words...), o.PreserveFDs)
	}
	if err == nil {
		warnOfLogout(s)
		_, err = fmt.Fprintln(s.Out, o.ID)
	}
	if err == nil {
		err = container.Exit{Code: 0}
	}
	return err
}

// Create is Start without a start. It gives the new container's id.
func (o *Run) Create(s Streams, args []string, cold *Cold) (id string, err error) {
	host, err := o.prepare(s, args, cold)
	if err != nil {
		return "", err
	}
	defer o.Image.Close()
	defer o.left()
	o.disguise()
	err = container.Create(host, &o.Options)
	o.forget(host, err)
	return o.ID, err
}

func (o *Run) prepare(s Streams, args []string, cold *Cold) (host container.Host, err error) {
	if len(args) == 0 {
		return host, UsageError{o.flags.Name() + " needs an image: it requires at least 1 argument", o.flags.Name()}
	}
	if err := o.check(cold); err != nil {
		return host, err
	}
	o.ImageName, o.CreateCommand = args[0], append([]string{o.flags.Name()}, o.flags.Raw()...)
	o.Args, o.EntrySet = args[1:], o.flags.Changed("entrypoint")
	if o.entrypoint != "" {
		// podman's form of a list; docker's is one program.
		if o.entrypoint[0] != '[' || json.Unmarshal([]byte(o.entrypoint), &o.Entrypoint) != nil {
			o.Entrypoint = []string{o.entrypoint}
		}
	}
	if o.rare.seccompPolicy == "default" {
		if err := o.filter(cold); err != nil {
			return host, err
		}
	}
	if err := o.streams(s); err != nil {
		return host, err
	}
	for _, note := range o.notes {
		fmt.Fprintf(s.Err, "rl: %s\n", note)
	}
	if host, err = OpenHost(); err != nil {
		return host, err
	}
	if err := o.related(host, cold); err != nil {
		return host, err
	}
	if o.rootfs {
		if err := o.findRootfs(args[0]); err != nil {
			return host, err
		}
	} else if o.Image, err = o.find(host, args[0], cold); err != nil {
		return host, err
	}
	err = o.publish(s, cold)
	if err == nil && o.rare.seccompPolicy == "image" {
		err = o.filterOfImage(cold)
	}
	if err == nil {
		err = o.identify()
	}
	if err != nil {
		o.Image.Close()
	}
	return host, err
}

// related finds what the container has of others. The namesake goes first: it
// may be in the pod.
func (o *Run) related(host container.Host, cold *Cold) error {
	for _, step := range []struct {
		wanted bool
		do     func() error
	}{
		{len(o.rare.requires) > 0, func() error { return o.findRequired(host) }},
		{o.replace, func() error { return o.removeNamesake(host) }},
		{o.pod != "", func() error { return o.enterPod(host, cold) }},
		{o.Joins != nil, func() error { return o.lookupJoins(host) }},
		{true, func() error { return errors.Join(o.volumesFrom(host), o.findSecrets(host)) }},
	} {
		if !step.wanted {
			continue
		}
		if err := step.do(); err != nil {
			return err
		}
	}
	return nil
}

// ready says what the container goes without, and which process it is.
func (o *Run) ready(s Streams, running *container.Running) error {
	err := notice(s, running)
	for _, file := range []struct {
		name string
		pid  int
	}{{o.pidfile, running.PID()}, {o.rare.monitor, running.Monitor()}} {
		if err == nil && file.name != "" {
			err = os.WriteFile(file.name, []byte(strconv.Itoa(file.pid)), 0o644)
		}
	}
	if err == nil && o.printID {
		_, err = fmt.Fprintln(s.Out, o.ID)
	}
	return err
}

func (o *Run) streams(s Streams) (err error) {
	o.Stdin, o.Stdout, o.Stderr = s.In, s.Out, s.Err
	o.StdinOnce = o.Interactive && !o.Detached
	if o.Keys, err = container.DetachKeys(o.rare.detachKeys); err != nil {
		return UsageError{err.Error(), o.flags.Name()}
	}
	if o.Leave = func(id string) error { return Leave(id, o.PreserveFDs) }; !isTerminal() {
		o.Keys = nil
	}
	if o.PreserveFDs, o.ListenFDs, o.ListenNames, err = descriptors(o.rare.preserve); err != nil {
		return UsageError{err.Error(), o.flags.Name()}
	}
	if o.Log.Driver == container.LogPassthrough {
		return nil
	}
	if !o.Interactive || o.Detached || !o.rare.attached("stdin") {
		if o.Stdin, err = os.Open(os.DevNull); err != nil {
			return err
		}
	}
	if len(o.rare.attach) > 0 {
		return o.detachStreams(s)
	}
	if o.TTY && o.Interactive && !o.Detached && o.flags.Name() != "create" && !term.IsTerminal(int(s.In.Fd())) {
		return UsageError{"the input device is not a TTY: leave out -t", "run"}
	}
	return nil
}

// find: the index of images is all that a cached image needs.
func (o *Run) find(host container.Host, ref string, cold *Cold) (*storage.Image, error) {
	if o.pull != "always" && o.pull != "newer" && o.platform == "" {
		img, err := lookup(host, ref)
		if err == nil || !errors.Is(err, storage.ErrNoImage) {
			return img, err
		}
	}
	if cold == nil {
		return nil, errCold
	}
	w := Wanted{Ref: ref, Pull: o.pull, Platform: o.platform, Quiet: o.rare.quiet, AuthFile: o.rare.authFile}
	if o.flags.Changed("tls-verify") {
		w.TLSVerify = &o.rare.verify
	}
	return cold.Find(host, w)
}

func lookup(host container.Host, ref string) (*storage.Image, error) {
	if IsBuiltin(ref) {
		return LookupBuiltin(host)
	}
	return host.Dirs.LookupImage(ref)
}

// filter finds the seccomp profile. The usual one was compiled beforehand.
func (o *Run) filter(cold *Cold) error {
	if o.Privileged || o.Unconfined {
		return nil
	}
	caps, err := security.AdjustCapabilities(security.DefaultCapabilities(), o.CapAdd, o.CapDrop)
	if err != nil {
		return err
	}
	if _, _, ok := security.CompiledDefault(caps); ok && o.seccomp == "" {
		return nil
	}
	if cold == nil {
		return errCold
	}
	var text []byte
	if o.seccomp != "" {
		if text, err = os.ReadFile(o.seccomp); err == nil && text == nil {
			text = []byte{}
		}
	}
	if err != nil {
		return UsageError{fmt.Sprintf("--security-opt seccomp=%s: %s", o.seccomp, err), "run"}
	}
	return o.compile(cold, text)
}

func (o *Run) compile(cold *Cold, text []byte) error {
	caps, err := security.AdjustCapabilities(security.DefaultCapabilities(), o.CapAdd, o.CapDrop)
	if err == nil {
		o.Seccomp, err = cold.Seccomp(text, caps)
	}
	if err == nil {
		_, _, err = security.Compile(o.Seccomp)
	}
	if err != nil {
		return UsageError{fmt.Sprintf("--security-opt seccomp=%s: %s", o.seccomp, err), "run"}
	}
	return nil
}

// identify gives the container its id and writes the cidfile, which must not exist.
func (o *Run) identify() error {
	id := make([]byte, 32)
	if _, err := unix.Getrandom(id, 0); err != nil {
		return fmt.Errorf("making an id: %w", err)
	}
	o.ID = hex.EncodeToString(id)
	if o.Hostname == "" {
		o.Hostname = o.ID[:12]
		if o.uts == "host" {
			o.Hostname, _ = os.Hostname()
		}
	}
	if o.cidfile == "" {
		return nil
	}
	file, err := os.OpenFile(o.cidfile, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		if errors.Is(err, os.ErrExist) {
			return fmt.Errorf("container id file exists. Ensure another container is not using it or delete %s", o.cidfile)
		}
		return fmt.Errorf("writing the container's id: %w", err)
	}
	_, err = file.WriteString(o.ID)
	return errors.Join(err, file.Close())
}

// detachStreams leaves out what --attach does not name; what is written there is in the log. When none of the
// output is shown, the id is (docker-run(1)).
func (o *Run) detachStreams(s Streams) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	for _, stream := range []struct {
		name string
		file **os.File
	}{{"stdout", &o.Stdout}, {"stderr", &o.Stderr}} {
		if !o.rare.attached(stream.name) {
			*stream.file = null
		}
	}
	o.printID = o.Stdout == null && o.Stderr == null
	return nil
}

// profileLabel of an image holds its seccomp profile.
const profileLabel = "io.containers.seccomp.profile="

// filterOfImage is filter with --seccomp-policy image.
func (o *Run) filterOfImage(cold *Cold) error {
	if o.seccomp != "" || o.Image == nil {
		return o.filter(cold)
	}
	for _, label := range o.Image.Settings.Labels {
		if text, ok := strings.CutPrefix(label, profileLabel); ok && !o.Privileged && !o.Unconfined {
			if cold == nil {
				return errCold
			}
			return o.compile(cold, []byte(text))
		}
	}
	return o.filter(cold)
}

// findRootfs: DIR, or DIR:O to leave it as it is.
func (o *Run) findRootfs(text string) (err error) {
	dir, overlay := strings.CutSuffix(text, ":O")
	if overlay {
		o.rare.RootfsOverlay, o.Rare = true, &o.rare.Rare
	}
	if dir, idmap := strings.CutSuffix(dir, ":idmap"); idmap {
		return UsageError{"--rootfs " + dir + ":idmap: not supported: idmapped mounts need root", o.flags.Name()}
	}
	o.Rootfs, err = absolute(dir)
	return err
}
