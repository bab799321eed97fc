package start

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"containers/rl/container"
	"containers/rl/security"
)

// check refuses what is wrong in the command line before any work is done.
func (o *Run) check(cold *Cold) error {
	bad := func(format string, a ...any) error { return UsageError{fmt.Sprintf(format, a...), "run"} }
	switch o.pull {
	case "missing", "always", "never", "newer":
	case "ifnotpresent", "ifmissing":
		o.pull = "missing"
	default:
		return bad("unsupported pull policy %q: --pull missing, always, never or newer", o.pull)
	}
	if o.WorkingDir != "" && !strings.HasPrefix(o.WorkingDir, "/") {
		return bad("--workdir: the working directory '%s' is invalid, it needs to be an absolute path", o.WorkingDir)
	}
	if o.Name != "" && !validName(o.Name) {
		return bad("--name %s: letters, digits, _ . and -, a letter or digit first", o.Name)
	}
	if o.rootfs && (o.platform != "" || o.flags.Changed("pull")) {
		return bad("conflicting options: --rootfs takes no image, so neither --pull nor --platform")
	}
	network := func() error { return o.checkNetwork(cold) }
	mounts := func() error { return o.checkMounts(cold) }
	for _, step := range []func() error{func() error { return o.checkPod(cold) }, o.checkNamespaces, network, o.checkSecurity, o.checkLimits, o.checkEnvironment, mounts, o.checkLife, o.checkRare} {
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
		if text == "host" { // ours are the container's, unless it is given others
			continue
		}
		name, value, ok := strings.Cut(text, "=")
		name = strings.ToLower(strings.TrimPrefix(strings.ToUpper(name), "RLIMIT_"))
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
			return fmt.Errorf("ulimit option %q requires name=SOFT:HARD, failed to be parsed: invalid ulimit type: %s", text, name)
		}
		o.Rlimits = append(o.Rlimits, specs.POSIXRlimit{Type: name, Soft: s, Hard: h})
	}
	var err error
	if o.Limits, err = o.limits.parse(); err != nil {
		return err
	}
	switch o.shm {
	case "":
		return nil
	case "0":
		o.ShmSize = -1 // no limit but the memory's
		return nil
	}
	if o.HostIPC {
		return errors.New("conflicting options: --shm-size and --ipc host")
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

// parseSize reads docker's sizes: a number, also with a fraction, and b, k, m,
// g, t or p, or kb, kib and so on, which are the same.
func parseSize(text string) (int64, error) {
	number := strings.TrimSuffix(strings.ToLower(text), "b")
	number = strings.TrimSuffix(number, "i")
	unit := 1.0
	if at := strings.IndexAny(number, "kmgtp"); at >= 0 && at == len(number)-1 {
		unit = float64(int64(1) << (10 * (1 + strings.IndexByte("kmgtp", number[at]))))
		number = strings.TrimSpace(number[:at])
	}
	size, err := strconv.ParseFloat(number, 64)
	if size *= unit; err != nil || !(size >= 1 && size < 1<<62) || strings.ContainsAny(number, "einpx") {
		return 0, fmt.Errorf("size %q: a positive number with b, k, m or g", text)
	}
	return int64(size), nil
}

func (o *Run) checkEnvironment() (err error) {
	if o.envHost {
		o.HostEnv = os.Environ()
	}
	o.Env, err = environment(o.envFile, o.Env)
	return err
}

// environment: files first, flags after; a bare NAME is ours passed on.
func environment(files, vars []string) (env []string, err error) {
	var all []string
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("--env-file: %w", err)
		}
		for line := range strings.SplitSeq(string(text), "\n") {
			if line = strings.TrimLeft(strings.TrimSuffix(line, "\r"), " \t"); line != "" && line[0] != '#' {
				if line[0] == '=' || strings.ContainsRune(line, 0) {
					return nil, fmt.Errorf("--env-file %s: variable %q: NAME=VALUE or NAME", name, line)
				}
				all = append(all, line)
			}
		}
	}
	for _, entry := range append(all, vars...) {
		name, _, set := strings.Cut(entry, "=")
		if name == "" || strings.ContainsRune(entry, 0) {
			return nil, fmt.Errorf("variable %q: NAME=VALUE or NAME", entry)
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
	return env, nil
}
