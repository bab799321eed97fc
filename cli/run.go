package cli

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"containers/rl/container"
	"containers/rl/netslirp"
	"containers/rl/security"
	"containers/rl/storage"
	"containers/rl/userns"
)

// runOptions are the flags of run as they were typed.
type runOptions struct {
	container.Options
	entrypoint                                                             string
	envFile, volumes, mounts, tmpfs, securityOpt, ulimits                  []string
	network, pid, ipc, uts, userns, cgroupns, pull, platform, cidfile, shm string
	rootfs                                                                 bool
	flags                                                                  *pflag.FlagSet
}

func runFlags(f *pflag.FlagSet) func(Streams, []string) error {
	o := &runOptions{flags: f}
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
	return o.run
}

// run checks everything before any work starts.
func (o *runOptions) run(s Streams, args []string) error {
	if len(args) == 0 {
		return usageError{"run needs an image", "run"}
	}
	if err := o.check(); err != nil {
		return err
	}
	o.Args, o.EntrySet = args[1:], o.flags.Changed("entrypoint")
	if o.entrypoint != "" {
		o.Entrypoint = []string{o.entrypoint}
	}
	o.Stdin, o.Stdout, o.Stderr = s.In, s.Out, s.Err
	if !o.Interactive {
		null, err := os.Open(os.DevNull)
		if err != nil {
			return err
		}
		defer null.Close()
		o.Stdin = null
	}
	if o.TTY && o.Interactive && !term.IsTerminal(int(s.In.Fd())) {
		return usageError{"the input device is not a TTY: leave out -t", "run"}
	}
	host, err := openHost()
	if err != nil {
		return err
	}
	if err := o.identify(); err != nil {
		return err
	}
	if o.rootfs {
		o.Rootfs = args[0]
	} else if o.Image, err = findImage(host, args[0], o.pull, o.platform); err != nil {
		return err
	} else {
		defer o.Image.Close()
	}
	return container.Run(host, &o.Options)
}

// openHost finds the directories and id maps, and clears what the dead left.
func openHost() (container.Host, error) {
	var h container.Host
	var err error
	if h.Dirs, err = storage.Locate(os.Getenv, os.Getuid()); err != nil {
		return h, err
	}
	h.User = userns.Self()
	if h.IDs, h.Notice, err = userns.FindMap(h.User); err != nil {
		return h, err
	}
	left, err := h.Dirs.Heal()
	if err != nil {
		return h, err
	}
	return h, container.RemoveMapped(h.IDs, left...)
}

// identify gives the container its id and writes the cidfile, which must not exist.
func (o *runOptions) identify() error {
	id := make([]byte, 32)
	_, _ = rand.Read(id)
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

func (o *runOptions) check() error {
	bad := func(format string, a ...any) error { return usageError{fmt.Sprintf(format, a...), "run"} }
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
	for _, step := range []func() error{o.checkNetwork, o.checkSecurity, o.checkLimits, o.checkEnvironment, o.checkMounts} {
		if err := step(); err != nil {
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

func (o *runOptions) checkNetwork() (err error) {
	if _, err := netslirp.ResolvConf(nil, nil, o.DNS, o.DNSSearch, o.DNSOptions); err != nil {
		return err
	}
	if _, err := netslirp.Hosts("", o.AddHost, nil); err != nil {
		return err
	}
	mode, _, _ := strings.Cut(o.network, ":")
	if mode == "none" && len(o.DNS)+len(o.DNSSearch)+len(o.DNSOptions) > 0 {
		return errors.New("conflicting options: --network none has no use for --dns")
	}
	switch mode {
	case "host":
		o.Network = container.NetworkHost
	case "none":
		o.Network = container.NetworkNone
	case "slirp", "slirp4netns":
		o.Slirp, err = netslirp.ParseOptions(o.network)
	default:
		err = fmt.Errorf("--network %s: slirp, host or none", o.network)
	}
	return err
}

func (o *runOptions) checkSecurity() error {
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
			o.Seccomp = value
		case key == "seccomp" && value != "":
			text, err := os.ReadFile(value)
			if err != nil {
				return fmt.Errorf("--security-opt %s: %w", option, err)
			}
			profile, err := security.ParseProfile(text, nil)
			if err == nil {
				_, _, err = security.Compile(profile)
			}
			if err != nil {
				return fmt.Errorf("--security-opt %s: %w", option, err)
			}
			o.Seccomp = string(text)
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

func (o *runOptions) checkLimits() error {
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
func (o *runOptions) checkEnvironment() error {
	var all []string
	for _, name := range o.envFile {
		file, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("--env-file: %w", err)
		}
		defer file.Close()
		for scanner := bufio.NewScanner(file); scanner.Scan(); {
			if line := strings.TrimLeft(scanner.Text(), " \t"); line != "" && line[0] != '#' {
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
