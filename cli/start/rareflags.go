package start

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"containers/rl/cli/flags"
	"containers/rl/container"
)

// rare are flags that few runs have (podman-run(1)), as they were typed.
type rare struct {
	container.Rare
	attach, requires, sysctls, hostUsers             []string
	unset, merge                                     []string
	zone, timeout, systemd, sdnotify, oomScore       string
	personality, seccompPolicy, detachKeys, monitor  string
	preserve, arch, os, variant, isolation, initCtr  string
	sigProxy, passwd, tmpfs, httpProxy, quiet, trust bool
	links, storageOpts                               []string
	removeImage, verify                              bool
	authFile                                         string
}

// detachDefault are docker's keys that leave a container alone.
const detachDefault = "ctrl-p,ctrl-q"

func (r *rare) flags(f *flags.Set) {
	f.StringArrayVarP(&r.attach, "attach", "a", nil, "show stdout or stderr only, type to stdin only")
	f.StringVar(&r.detachKeys, "detach-keys", detachDefault, "keys that leave the container running; empty: none")
	f.BoolVar(&r.sigProxy, "sig-proxy", true, "pass signals on to the container")
	f.StringVar(&r.preserve, "preserve-fds", "0", "pass so many descriptors on, from 3")
	f.StringArrayVar(&r.merge, "env-merge", nil, "NAME=VALUE, with $NAME for what the image has")
	f.StringArrayVar(&r.unset, "unsetenv", nil, "leave out a variable of the image's or rl's")
	f.BoolVar(&r.UnsetEnvAll, "unsetenv-all", false, "leave out all variables of the image's and rl's")
	f.StringVar(&r.zone, "tz", "", "time zone: Area/City, or local for the host's")
	f.StringVar(&r.timeout, "timeout", "0", "seconds after which the container is killed; 0: never")
	f.StringArrayVar(&r.hostUsers, "hostuser", nil, "add a user of the host to /etc/passwd")
	f.BoolVar(&r.passwd, "passwd", true, "give the user an entry of /etc/passwd and /etc/group when he has none")
	f.StringVar(&r.PasswdEntry, "passwd-entry", "", "that entry, with $USERNAME, $UID, $GID, $NAME, $HOME")
	f.StringVar(&r.GroupEntry, "group-entry", "", "that of the group, with $GROUPNAME, $GID, $USERLIST")
	f.StringVar(&r.systemd, "systemd", "true", "true|false|always: what systemd needs, when it is the program")
	f.StringVar(&r.sdnotify, "sdnotify", "container", "container|conmon|ignore: who says READY to $NOTIFY_SOCKET")
	f.StringVar(&r.InitPath, "init-path", "", "a program of the host in place of rl's own init")
	f.StringVar(&r.initCtr, "init-ctr", "", "not here: it is for pods")
	f.BoolVar(&r.tmpfs, "read-only-tmpfs", true, "with --read-only: tmpfs on /run, /tmp, /var/tmp")
	f.BoolVar(&r.httpProxy, "http-proxy", true, "pass http_proxy, https_proxy, ftp_proxy, no_proxy on")
	f.StringVar(&r.arch, "arch", "", "architecture of the image")
	f.StringVar(&r.os, "os", "", "operating system of the image")
	f.StringVar(&r.variant, "variant", "", "variant of the architecture of the image")
	f.BoolVarP(&r.quiet, "quiet", "q", false, "show no progress of a pull")
	if f.Name() == "run" {
		f.BoolVar(&r.removeImage, "rmi", false, "remove the container at its end, and the image if no other one has it")
	}
	f.StringVar(&r.authFile, "authfile", "", "file with the credentials for a pull, instead of auth.json")
	f.BoolVar(&r.verify, "tls-verify", true, "verify the registry's certificate and demand https")
	f.StringSliceVar(&r.Chroots, "chrootdirs", nil, "directories that get /etc/hosts, /etc/hostname and /etc/resolv.conf too, for chroot(2)")
	f.BoolVar(&r.trust, "disable-content-trust", true, "nothing: rl has no content trust")
	f.StringArrayVar(&r.sysctls, "sysctl", nil, "NAME=VALUE of a namespace of the container")
	f.StringVar(&r.oomScore, "oom-score-adj", "", "-1000 to 1000: whom the kernel kills first when memory runs out")
	f.StringVar(&r.seccompPolicy, "seccomp-policy", "default", "default|image: take the profile of the image's label")
	f.StringVar(&r.personality, "personality", "", "LINUX or LINUX32")
	f.StringArrayVar(&r.requires, "requires", nil, "containers to start first")
	f.StringVar(&r.monitor, "conmon-pidfile", "", "write the number of the container's rl to a file")
	f.StringVar(&r.Domain, "domainname", "", "NIS domain name")
	f.StringArrayVar(&r.links, "link", nil, "not here: use --network container:NAME or a pod")
	f.StringVar(&r.isolation, "isolation", "default", "default, as there is one")
	f.StringArrayVar(&r.storageOpts, "storage-opt", nil, "not here: there is no quota without root")
}

// checkRare refuses what cannot be done, and fills in what was asked for.
func (o *Run) checkRare() error {
	r := &o.rare
	for _, no := range []struct {
		given bool
		why   string
	}{
		{len(r.links) > 0, "--link: docker's legacy links are not supported: use --network container:NAME, a pod, or --add-host"},
		{r.initCtr != "", "--init-ctr: must specify pod value with init-ctr"},
		{len(r.storageOpts) > 0, "--storage-opt: not supported: a size for a container's files needs quotas, which need root"},
		{r.isolation != "default" && r.isolation != "process", "--isolation " + r.isolation + ": default, as there is one on Linux"},
		{r.removeImage && o.flags.Changed("rm") && !o.Remove, "the --rmi option does not work without --rm"},
		{r.removeImage && o.rootfs, "conflicting options: --rootfs takes no image, so there is none for --rmi"},
		{o.Init && r.InitPath != "" && !path.IsAbs(r.InitPath), "--init-path " + r.InitPath + ": an absolute path"},
	} {
		if no.given {
			return errors.New(no.why)
		}
	}
	for _, step := range []func() error{r.checkWords, r.checkNumbers, r.checkEnv, r.checkFiles, o.checkSysctls, o.checkPlatform, o.checkAttach} {
		if err := step(); err != nil {
			return err
		}
	}
	o.Remove = o.Remove || r.removeImage
	if r.removeImage && o.Detached {
		o.notes = append(o.notes, "--rmi: the image stays, as nobody waits for a detached container's end")
	}
	o.pass()
	if !reflect.DeepEqual(r.Rare, container.Rare{}) {
		o.Rare = &r.Rare
	}
	return nil
}

func (r *rare) checkWords() error {
	choose := func(flag, value string, words ...string) error {
		if slices.Contains(words, value) {
			return nil
		}
		return fmt.Errorf("--%s %s: invalid value: %s", flag, value, strings.Join(words, ", "))
	}
	switch r.systemd = strings.ToLower(r.systemd); r.systemd {
	case "false", "always":
		r.Systemd = r.systemd
	}
	if r.sdnotify != "container" {
		r.SDNotify = r.sdnotify
	}
	r.NoPasswd, r.NoTmpfs = !r.passwd, !r.tmpfs
	personalities := map[string]uint64{"": 0, "LINUX": 0, "LINUX32": 8}
	persona, known := personalities[strings.ToUpper(r.personality)]
	r.Personality = persona
	if !known {
		return fmt.Errorf("--personality %s: LINUX or LINUX32", r.personality)
	}
	return errors.Join(choose("systemd", r.systemd, "true", "false", "always"), choose("sdnotify", r.sdnotify, "container", "conmon", "ignore"),
		choose("seccomp-policy", r.seccompPolicy, "default", "image"))
}

func (r *rare) checkNumbers() (err error) {
	if r.Timeout, err = strconv.Atoi(r.timeout); err != nil || r.Timeout < 0 || r.Timeout > math.MaxInt32 {
		return fmt.Errorf("--timeout %s: a number of seconds", r.timeout)
	}
	if r.oomScore == "" {
		return nil
	}
	score, err := strconv.Atoi(r.oomScore)
	if err != nil || score < -1000 || score > 1000 {
		return fmt.Errorf("invalid value %s, oom score adj range is [-1000, 1000]: --oom-score-adj", r.oomScore)
	}
	r.OOMScoreAdj = &score
	return nil
}

func (r *rare) checkEnv() error {
	for _, text := range r.merge {
		if name, _, ok := strings.Cut(text, "="); !ok || name == "" || strings.ContainsRune(text, 0) {
			return fmt.Errorf("--env-merge %s: NAME=VALUE", text)
		}
	}
	r.EnvMerge, r.UnsetEnv = r.merge, r.unset
	return nil
}

// checkFiles is for what is taken from the host's files.
func (r *rare) checkFiles() error {
	switch {
	case r.zone == "local":
		r.Zone = "/etc/localtime"
	case r.zone != "":
		r.Zone = path.Join("/usr/share/zoneinfo", path.Clean("/"+r.zone))
	}
	if r.Zone != "" {
		if info, err := os.Stat(r.Zone); err != nil || !info.Mode().IsRegular() {
			return fmt.Errorf("--tz %s: finding timezone: no file %s on this host: ls /usr/share/zoneinfo", r.zone, r.Zone)
		}
	}
	if r.InitPath != "" {
		if info, err := os.Stat(r.InitPath); err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			return fmt.Errorf("--init-path %s: not a program of this host", r.InitPath)
		}
	}
	if r.authFile != "" {
		if _, err := os.Stat(r.authFile); err != nil { // also when nothing is to be pulled, as podman
			return fmt.Errorf("checking authfile: %w", err)
		}
	}
	for _, name := range r.hostUsers {
		line, err := hostUser(name)
		if err != nil {
			return err
		}
		r.HostUsers = append(r.HostUsers, line)
	}
	return nil
}

// hostUser is a user's line for a container's passwd.
func hostUser(name string) (string, error) {
	text, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return "", fmt.Errorf("--hostuser %s: %w", name, err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) >= 7 && (f[0] == name || f[2] == name) {
			return fmt.Sprintf("%s:*:%s:%s:%s:%s:/bin/sh", f[0], f[2], f[3], f[4], f[5]), nil
		}
	}
	return "", fmt.Errorf("--hostuser %s: unknown user %[1]s: not in /etc/passwd of this host", name)
}

// ipcSysctls belong to the IPC namespace, beside all of fs.mqueue (sysctl(8),
// ipc_namespaces(7)); net belongs to the network's.
var ipcSysctls = []string{"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced"}

func (o *Run) checkSysctls() error {
	for _, text := range o.rare.sysctls {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return fmt.Errorf("%s is invalid, sysctl values must be in the form of KEY=VALUE", text)
		}
		file := container.SysctlFile(name)
		dotted := strings.ReplaceAll(file, "/", ".")
		ipc := slices.Contains(ipcSysctls, dotted) || strings.HasPrefix(dotted, "fs.mqueue.")
		switch {
		case strings.Contains(file, "..") || strings.ContainsRune(text, 0):
			return fmt.Errorf("sysctl '%s' is not allowed", name)
		case ipc && o.HostIPC:
			return fmt.Errorf("sysctl '%s' is not allowed in the hosts ipc namespace", name)
		case strings.HasPrefix(dotted, "net.") && o.Network == container.NetworkHost:
			return fmt.Errorf("sysctl '%s' is not allowed in the hosts network namespace", name)
		case dotted == "kernel.domainname" && !o.HostUTS:
		case !ipc && !strings.HasPrefix(dotted, "net."):
			return fmt.Errorf("sysctl '%s' is not allowed", name)
		}
		o.rare.Sysctls = append(o.rare.Sysctls, [2]string{name, value})
	}
	return nil
}

// checkPlatform makes one of --os, --arch and --variant.
func (o *Run) checkPlatform() error {
	r := &o.rare
	if r.arch+r.os+r.variant == "" {
		return nil
	}
	if o.platform != "" {
		return errors.New("--platform option can not be specified with --arch or --os")
	}
	o.platform = orElse(r.os, "linux") + "/" + orElse(r.arch, runtime.GOARCH)
	if r.variant != "" {
		o.platform += "/" + r.variant
	}
	return nil
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

func (o *Run) checkAttach() error {
	for _, stream := range o.rare.attach {
		if !slices.Contains([]string{"stdin", "stdout", "stderr"}, strings.ToLower(stream)) {
			return fmt.Errorf("invalid stream %q for --attach - must be one of stdin, stdout, or stderr: valid streams are STDIN, STDOUT and STDERR", stream)
		}
	}
	switch {
	case len(o.rare.attach) == 0:
	case o.Detached:
		return errors.New("conflicting options: cannot specify both --attach and --detach")
	case o.Log.Driver == container.LogPassthrough:
		return errors.New("cannot specify --attach with --log-driver=passthrough")
	}
	return nil
}

// attached says whether one of our streams is the container's.
func (r *rare) attached(stream string) bool {
	return len(r.attach) == 0 || slices.ContainsFunc(r.attach, func(s string) bool { return strings.EqualFold(s, stream) })
}

// proxies are passed on in small and capital letters.
var proxies = []string{"http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY"}

// pass takes from our environment what is meant for the container.
func (o *Run) pass() {
	for _, name := range proxies {
		if value, ok := os.LookupEnv(name); ok && o.rare.httpProxy && !o.envHost {
			o.HostEnv = append(o.HostEnv, name+"="+value)
		}
	}
	o.NotifySocket = notifySocket(container.Options{Rare: &o.rare.Rare})
}

// notifySocket is the one to tell of a container. An abstract one cannot be
// reached from another network namespace, so the container does not get it.
func notifySocket(o container.Options) string {
	if o.Rare != nil && o.Rare.SDNotify == "ignore" {
		return ""
	}
	return os.Getenv("NOTIFY_SOCKET")
}

// findRequired gives --requires its ids.
func (o *Run) findRequired(host container.Host) error {
	for _, ref := range strings.FieldsFunc(strings.Join(o.rare.requires, ","), func(c rune) bool { return c == ',' }) {
		info, err := container.Find(host.Dirs, ref)
		if err != nil {
			return fmt.Errorf("--requires %s: %w", ref, err)
		}
		o.rare.Requires, o.Rare = append(o.rare.Requires, info.ID), &o.rare.Rare
	}
	return nil
}

// startRequired starts what has to run before a container.
func startRequired(s Streams, host container.Host, o container.Options) error {
	if o.Rare == nil {
		return nil
	}
	for _, id := range o.Rare.Requires {
		info, err := container.Find(host.Dirs, id)
		if err == nil && !info.Running() {
			err = Revive(s, host, info)
		}
		if err != nil {
			return fmt.Errorf("starting container %.12s, which is required: %w", id, err)
		}
	}
	return nil
}
