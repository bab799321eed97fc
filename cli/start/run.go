package start

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"

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
	annotations, devices                                          []string
	umask, pidfile                                                string
	envHost, replace                                              bool
	labels, labelFile                                             []string
	logDriver, stopTimeout, restart                               string
	pid, ipc, uts, userns, cgroupns, pull, platform, cidfile, shm string
	health                                                        health
	limits                                                        limits
	seccomp                                                       string // path of a profile
	rootfs                                                        bool
	logOpts, notes                                                []string
	attached                                                      attached
	pod, podFile                                                  string
	unlock                                                        func() // the pod
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
	f.StringArrayVar(&o.tmpfs, "tmpfs", nil, "mount a tmpfs: /CONTAINER[:OPTIONS]")
	f.BoolVar(&o.ReadOnly, "read-only", false, "make the root file system read-only")
	f.StringVarP(&o.Hostname, "hostname", "h", "", "host name (default: the container's short id)")
	o.networkFlags(f)
	f.StringSliceVar(&o.CapAdd, "cap-add", nil, "add a capability")
	f.StringSliceVar(&o.CapDrop, "cap-drop", nil, "drop a capability")
	f.StringArrayVar(&o.securityOpt, "security-opt", nil, "seccomp=FILE|unconfined, no-new-privileges[=false], unmask=ALL")
	f.BoolVar(&o.Init, "init", false, "run an init that reaps and passes on signals")
	f.BoolVar(&o.Privileged, "privileged", false, "all capabilities of the user namespace, no filter, no masks")
	f.StringVar(&o.pull, "pull", "missing", "missing|always|never")
	f.StringVar(&o.platform, "platform", "", "OS/ARCH[/VARIANT] of the image")
	f.BoolVar(&o.rootfs, "rootfs", false, "IMAGE is a directory")
	f.StringArrayVarP(&o.labels, "label", "l", nil, "NAME[=VALUE], for filters and people")
	f.StringArrayVar(&o.labelFile, "label-file", nil, "read labels from a file")
	f.StringVar(&o.logDriver, "log-driver", "k8s-file", "k8s-file, json-file (the same here), journald, passthrough or none")
	f.StringArrayVar(&o.logOpts, "log-opt", nil, "max-size=SIZE, max-file=NUMBER, path=FILE, tag=TEXT")
	o.health.flags(f)
	o.limits.runFlags(f)
	f.StringVar(&o.restart, "restart", "no", "no|on-failure[:MOST]|always|unless-stopped")
	f.StringVar(&o.StopSignal, "stop-signal", "", "signal that stop sends (default: the image's, or TERM)")
	f.StringVar(&o.stopTimeout, "stop-timeout", "10", "seconds from there to KILL")
	f.StringArrayVar(&o.annotations, "annotation", nil, "NAME=VALUE, for the specification")
	f.StringArrayVar(&o.devices, "device", nil, "give the container a device: /HOST[:/CONTAINER[:rwm]]")
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
	f.StringVar(&o.userns, "userns", "host", "host|private|keep-id|container:NAME|ns:PATH")
	return o
}

// Cold is what a start needs now and then, from packages that the usual start
// does without.
type Cold struct {
	// Find gives the image, and brings it or makes it when it is not there.
	Find func(h container.Host, ref, pull, platform string) (*storage.Image, error)
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
	// Pod finds the pod of --pod, or makes one, and starts it for a container
	// that is to be started. It cannot be removed until unlock is called.
	Pod func(h container.Host, c *Cold, name string, starts bool) (pod *container.Pod, unlock func(), err error)
}

// errCold says that a start needs what Cold has. Nothing was done yet.
var errCold = errors.New("the start needs more than package start has")

// Start checks everything before any work starts. Without cold it gives up
// with errCold before it has done anything that a second try would notice.
func (o *Run) Start(s Streams, args []string, cold *Cold) (*container.Running, error) {
	host, err := o.prepare(s, args, cold)
	if err != nil {
		return nil, err
	}
	if o.Detached {
		return container.StartHere(host, &o.Options, func(r *container.Running) error {
			o.left()
			return errors.Join(o.ready(s, r), Leave(o.ID))
		})
	}
	running, err := container.Start(host, &o.Options, func(r *container.Running) error { return o.ready(s, r) })
	o.left()
	return running, err
}

// Away starts a container that stays when we go, and prints its id. words are
// the command line, without the command, for a monitor that has to read it again.
func (o *Run) Away(s Streams, args, words []string, cold *Cold) error {
	if o.pod != "" || o.podFile != "" { // it joins others, and is put into the pod once
		return Detach(s, append([]string{"run"}, words...))
	}
	host, err := o.prepare(s, args, cold)
	if err == nil {
		err = container.StartAway(host, &o.Options, func(r *container.Running) error { return o.ready(s, r) })
	}
	if errors.Is(err, container.ErrMonitor) {
		if o.cidfile != "" {
			_ = os.Remove(o.cidfile) // of an id that the monitor will not take
		}
		return Detach(s, append([]string{"run"}, words...))
	}
	if err == nil {
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
	return o.ID, container.Create(host, &o.Options)
}

func (o *Run) prepare(s Streams, args []string, cold *Cold) (host container.Host, err error) {
	if len(args) == 0 {
		return host, UsageError{o.flags.Name() + " needs an image", o.flags.Name()}
	}
	if err := o.check(cold); err != nil {
		return host, err
	}
	o.ImageName, o.CreateCommand = args[0], append([]string{o.flags.Name()}, o.flags.Raw()...)
	o.Args, o.EntrySet = args[1:], o.flags.Changed("entrypoint")
	if o.entrypoint != "" {
		o.Entrypoint = []string{o.entrypoint}
	}
	if err := o.filter(cold); err != nil {
		return host, err
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
	if o.replace {
		if err := o.removeNamesake(host); err != nil {
			return host, err
		}
	}
	if o.pod != "" {
		if err := o.enterPod(host, cold); err != nil {
			return host, err
		}
	}
	if o.Joins != nil {
		if err := o.lookupJoins(host); err != nil {
			return host, err
		}
	}
	if err := errors.Join(o.volumesFrom(host), o.findSecrets(host)); err != nil {
		return host, err
	}
	if o.rootfs {
		if o.Rootfs, err = absolute(args[0]); err != nil {
			return host, err
		}
	} else if o.Image, err = o.find(host, args[0], cold); err != nil {
		return host, err
	}
	err = o.publish(s, cold)
	if err == nil {
		err = o.identify()
	}
	if err != nil {
		o.Image.Close()
	}
	return host, err
}

// ready says what the container goes without, and which process it is.
func (o *Run) ready(s Streams, running *container.Running) error {
	if err := notice(s, running); err != nil || o.pidfile == "" {
		return err
	}
	return os.WriteFile(o.pidfile, []byte(strconv.Itoa(running.PID())), 0o644)
}

func (o *Run) streams(s Streams) error {
	o.Stdin, o.Stdout, o.Stderr = s.In, s.Out, s.Err
	o.StdinOnce = o.Interactive && !o.Detached
	if o.Log.Driver == container.LogPassthrough {
		return nil
	}
	if !o.Interactive || o.Detached {
		null, err := os.Open(os.DevNull)
		if err != nil {
			return err
		}
		o.Stdin = null
	}
	if o.TTY && o.Interactive && !o.Detached && !term.IsTerminal(int(s.In.Fd())) {
		return UsageError{"the input device is not a TTY: leave out -t", "run"}
	}
	return nil
}

// find: the index of images is all that a cached image needs.
func (o *Run) find(host container.Host, ref string, cold *Cold) (*storage.Image, error) {
	if o.pull != "always" && o.platform == "" {
		img, err := lookup(host, ref)
		if err == nil || !errors.Is(err, storage.ErrNoImage) {
			return img, err
		}
	}
	if cold == nil {
		return nil, errCold
	}
	return cold.Find(host, ref, o.pull, o.platform)
}

func lookup(host container.Host, ref string) (*storage.Image, error) {
	if IsBuiltin(ref) {
		return LookupBuiltin(host)
	}
	return host.Dirs.Lookup(ref)
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
		return fmt.Errorf("container ID file found, make sure the other container isn't running or delete %s: %w", o.cidfile, err)
	}
	_, err = file.WriteString(o.ID)
	return errors.Join(err, file.Close())
}
