package start

import (
	"encoding/hex"
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
	entrypoint                                                             string
	envFile, volumes, mounts, tmpfs, securityOpt, ulimits                  []string
	network, pid, ipc, uts, userns, cgroupns, pull, platform, cidfile, shm string
	seccomp                                                                string // path of a profile
	rootfs                                                                 bool
	flags                                                                  *flags.Set
}

// New declares the flags of run.
func New(f *flags.Set) *Run {
	o := &Run{flags: f}
	f.BoolVarP(&o.Interactive, "interactive", "i", false, "keep standard input open")
	f.BoolVarP(&o.TTY, "tty", "t", false, "give the container a terminal")
	f.BoolVar(&o.Remove, "rm", false, "remove the container when it ends")
	f.StringVar(&o.Name, "name", "", "name of the container")
	f.StringArrayVarP(&o.Env, "env", "e", nil, "set a variable: NAME=VALUE, or NAME to pass ours on")
	f.StringArrayVar(&o.envFile, "env-file", nil, "read variables from a file")
	f.StringVarP(&o.WorkingDir, "workdir", "w", "", "working directory")
	f.StringVarP(&o.User, "user", "u", "", "name or uid[:group or gid]")
	f.StringVar(&o.entrypoint, "entrypoint", "", "replace the image's entrypoint")
	f.StringArrayVarP(&o.volumes, "volume", "v", nil, "bind a directory: /HOST:/CONTAINER[:ro]")
	f.StringArrayVar(&o.mounts, "mount", nil, "type=bind|tmpfs,source=...,target=...[,readonly]")
	f.StringArrayVar(&o.tmpfs, "tmpfs", nil, "mount a tmpfs: /CONTAINER[:OPTIONS]")
	f.BoolVar(&o.ReadOnly, "read-only", false, "make the root file system read-only")
	f.StringVarP(&o.Hostname, "hostname", "h", "", "host name (default: the container's short id)")
	f.StringVar(&o.network, "network", "slirp", "slirp[:OPTION,...]|host|none")
	f.StringArrayVar(&o.DNS, "dns", nil, "name server")
	f.StringArrayVar(&o.DNSSearch, "dns-search", nil, "search domain")
	f.StringArrayVar(&o.DNSOptions, "dns-option", nil, "resolver option")
	f.StringArrayVar(&o.AddHost, "add-host", nil, "line of /etc/hosts: NAME:ADDRESS")
	f.StringSliceVar(&o.CapAdd, "cap-add", nil, "add a capability")
	f.StringSliceVar(&o.CapDrop, "cap-drop", nil, "drop a capability")
	f.StringArrayVar(&o.securityOpt, "security-opt", nil, "seccomp=FILE|unconfined, no-new-privileges[=false], unmask=ALL")
	f.BoolVar(&o.Init, "init", false, "run an init that reaps and passes on signals")
	f.BoolVar(&o.Privileged, "privileged", false, "all capabilities of the user namespace, no filter, no masks")
	f.StringVar(&o.pull, "pull", "missing", "missing|always|never")
	f.StringVar(&o.platform, "platform", "", "OS/ARCH[/VARIANT] of the image")
	f.BoolVar(&o.rootfs, "rootfs", false, "IMAGE is a directory")
	f.StringVar(&o.cidfile, "cidfile", "", "write the container's id to a file")
	f.StringArrayVar(&o.ulimits, "ulimit", nil, "NAME=SOFT[:HARD]")
	f.StringVar(&o.shm, "shm-size", "", "size of /dev/shm (default 64m)")
	f.StringVar(&o.pid, "pid", "private", "host|private")
	f.StringVar(&o.ipc, "ipc", "private", "host|private")
	f.StringVar(&o.uts, "uts", "private", "host|private")
	f.StringVar(&o.cgroupns, "cgroupns", "private", "host|private")
	f.StringVar(&o.userns, "userns", "host", "host|private|keep-id")
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
}

// errCold says that a start needs what Cold has. Nothing was done yet.
var errCold = errors.New("the start needs more than package start has")

// Start checks everything before any work starts. Without cold it gives up
// with errCold before it has done anything that a second try would notice.
func (o *Run) Start(s Streams, args []string, cold *Cold) (*container.Running, error) {
	if len(args) == 0 {
		return nil, UsageError{"run needs an image", "run"}
	}
	if err := o.check(cold); err != nil {
		return nil, err
	}
	o.Args, o.EntrySet = args[1:], o.flags.Changed("entrypoint")
	if o.entrypoint != "" {
		o.Entrypoint = []string{o.entrypoint}
	}
	if err := o.filter(cold); err != nil {
		return nil, err
	}
	if err := o.streams(s); err != nil {
		return nil, err
	}
	host, err := OpenHost()
	if err != nil {
		return nil, err
	}
	if o.rootfs {
		o.Rootfs = args[0]
	} else if o.Image, err = o.find(host, args[0], cold); err != nil {
		return nil, err
	}
	if err := o.identify(); err != nil {
		o.Image.Close()
		return nil, err
	}
	return container.Start(host, &o.Options)
}

func (o *Run) streams(s Streams) error {
	o.Stdin, o.Stdout, o.Stderr = s.In, s.Out, s.Err
	if !o.Interactive {
		null, err := os.Open(os.DevNull)
		if err != nil {
			return err
		}
		o.Stdin = null
	}
	if o.TTY && o.Interactive && !term.IsTerminal(int(s.In.Fd())) {
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

func (o *Run) check(cold *Cold) error {
	bad := func(format string, a ...any) error { return UsageError{fmt.Sprintf(format, a...), "run"} }
	for _, ns := range []struct {
		flag, value string
		host        *bool
	}{{"pid", o.pid, &o.HostPID}, {"ipc", o.ipc, &o.HostIPC}, {"uts", o.uts, &o.HostUTS}, {"cgroupns", o.cgroupns, &o.HostCgroup}} {
		if ns.value != "host" && ns.value != "private" {
			return bad("--%s %s: host or private", ns.flag, ns.value)
		}
		*ns.host = ns.value == "host"
	}
	switch o.userns {
	case "host", "private":
	case "keep-id":
		o.KeepID = true
	default:
		return bad("--userns %s: host, private or keep-id", o.userns)
	}
	switch o.pull {
	case "missing", "always", "never":
	default:
		return bad("--pull %s: missing, always or never", o.pull)
	}
	if o.WorkingDir != "" && !strings.HasPrefix(o.WorkingDir, "/") {
		return bad("--workdir %s: it must be an absolute path", o.WorkingDir)
	}
	if o.Name != "" && !validName(o.Name) {
		return bad("--name %s: letters, digits, _ . and -, a letter or digit first", o.Name)
	}
	if o.HostUTS && o.flags.Changed("hostname") {
		return bad("conflicting options: hostname and the UTS mode")
	}
	if o.rootfs && (o.platform != "" || o.flags.Changed("pull")) {
		return bad("conflicting options: --rootfs takes no image, so neither --pull nor --platform")
	}
	network := func() error { return o.checkNetwork(cold) }
	for _, step := range []func() error{network, o.checkSecurity, o.checkLimits, o.checkEnvironment, o.checkMounts} {
		if err := step(); errors.Is(err, errCold) {
			return err
		} else if err != nil {
			return bad("%s", err)
		}
	}
	return nil
}

// validName is docker's [a-zA-Z0-9][a-zA-Z0-9_.-]+.
func validName(name string) bool {
	for i, c := range name {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || !strings.ContainsRune("_.-", c)) {
			return false
		}
	}
	return true
}

func (o *Run) checkNetwork(cold *Cold) (err error) {
	mode, _, some := strings.Cut(o.network, ":")
	switch mode {
	case "host":
		o.Network = container.NetworkHost
	case "none":
		o.Network = container.NetworkNone
	case "slirp", "slirp4netns":
		o.Network = container.NetworkSlirp
	default:
		return fmt.Errorf("--network %s: slirp, host or none", o.network)
	}
	if o.Network != container.NetworkSlirp && some {
		return fmt.Errorf("--network %s: %s takes no options", o.network, mode)
	}
	if mode == "none" && len(o.DNS)+len(o.DNSSearch)+len(o.DNSOptions) > 0 {
		return errors.New("conflicting options: --network none has no use for --dns")
	}
	o.Slirp = netconfig.Default()
	if !some && len(o.DNS)+len(o.AddHost) == 0 {
		return nil
	}
	return o.checkAddresses(cold)
}

// checkAddresses is for what has addresses in it.
func (o *Run) checkAddresses(cold *Cold) (err error) {
	if cold == nil {
		return errCold
	}
	for _, check := range []struct {
		texts []string
		one   func(string) error
	}{{o.DNS, cold.CheckDNS}, {o.AddHost, cold.CheckHost}} {
		for _, text := range check.texts {
			if err := check.one(text); err != nil {
				return err
			}
		}
	}
	if o.Network == container.NetworkSlirp {
		o.Slirp, err = cold.Network(o.network)
	}
	return err
}

func (o *Run) checkSecurity() error {
	if _, err := security.AdjustCapabilities(nil, o.CapAdd, o.CapDrop); err != nil {
		return err
	}
	for _, option := range o.securityOpt {
		key, value, _ := strings.Cut(strings.Replace(option, ":", "=", 1), "=")
		switch {
		case key == "no-new-privileges" && (value == "" || value == "true"):
		case key == "no-new-privileges" && value == "false":
			o.NewPrivs = true
		case key == "seccomp" && value == "unconfined":
			o.Unconfined = true
		case key == "seccomp" && value == "default":
			o.seccomp, o.Unconfined = "", false
		case key == "seccomp" && value != "":
			o.seccomp, o.Unconfined = value, false
		case key == "unmask" && strings.EqualFold(value, "ALL"), option == "systempaths=unconfined":
			o.Unmask = true
		case key == "label" && value == "disable":
		case key == "apparmor" && value == "unconfined":
		default:
			return fmt.Errorf("--security-opt %s: unknown option", option)
		}
	}
	return nil
}

func (o *Run) checkLimits() error {
	for _, text := range o.ulimits {
		name, value, ok := strings.Cut(text, "=")
		soft, hard, both := strings.Cut(value, ":")
		if !both {
			hard = soft
		}
		s, err1 := limit(soft)
		h, err2 := limit(hard)
		if !ok || err1 != nil || err2 != nil || s > h {
			return fmt.Errorf("--ulimit %s: NAME=SOFT[:HARD] with SOFT at most HARD", text)
		}
		if !container.KnownLimit(name) {
			return fmt.Errorf("--ulimit %s: unknown limit", text)
		}
		o.Rlimits = append(o.Rlimits, specs.POSIXRlimit{Type: name, Soft: s, Hard: h})
	}
	if o.shm == "" {
		return nil
	}
	size, err := parseSize(o.shm)
	o.ShmSize = size
	return err
}

func limit(text string) (uint64, error) {
	if text == "-1" || text == "unlimited" {
		return ^uint64(0), nil
	}
	return strconv.ParseUint(text, 10, 64)
}

// parseSize reads docker's sizes: a number with b, k, m or g.
func parseSize(text string) (int64, error) {
	number := strings.TrimSuffix(strings.ToLower(text), "b")
	shift := 0
	if at := strings.IndexAny(number, "kmg"); at >= 0 && at == len(number)-1 {
		shift = 10 * (1 + strings.IndexByte("kmg", number[at]))
		number = number[:at]
	}
	size, err := strconv.ParseInt(number, 10, 64)
	if err != nil || size <= 0 || size<<shift>>shift != size {
		return 0, fmt.Errorf("size %q: a positive number with b, k, m or g", text)
	}
	return size << shift, nil
}

// checkEnvironment: files first, flags after; a bare NAME is ours passed on.
func (o *Run) checkEnvironment() error {
	var all []string
	for _, name := range o.envFile {
		text, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("--env-file: %w", err)
		}
		for line := range strings.SplitSeq(string(text), "\n") {
			if line = strings.TrimLeft(strings.TrimSuffix(line, "\r"), " \t"); line != "" && line[0] != '#' {
				if line[0] == '=' || strings.ContainsRune(line, 0) {
					return fmt.Errorf("--env-file %s: variable %q: NAME=VALUE or NAME", name, line)
				}
				all = append(all, line)
			}
		}
	}
	var env []string
	for _, entry := range append(all, o.Env...) {
		name, _, set := strings.Cut(entry, "=")
		if name == "" || strings.ContainsRune(entry, 0) {
			return fmt.Errorf("variable %q: NAME=VALUE or NAME", entry)
		}
		if !set {
			value, ours := os.LookupEnv(name)
			if !ours {
				continue
			}
			entry = name + "=" + value
		}
		env = append(env, entry)
	}
	o.Env = env
	return nil
}
