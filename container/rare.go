package container

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"containers/rl/userns"
)

// Rare are options that few containers have (podman-run(1)). A container
// without any has none of its steps.
type Rare struct {
	EnvMerge      []string    `json:",omitzero"` // NAME=VALUE with $NAME of the image's
	UnsetEnv      []string    `json:",omitzero"` // of what the image and rl set
	UnsetEnvAll   bool        `json:",omitzero"`
	Zone          string      `json:",omitzero"` // a file of the host for /etc/localtime
	Timeout       int         `json:",omitzero"` // seconds to live; 0: no limit
	HostUsers     []string    `json:",omitzero"` // lines for /etc/passwd
	NoPasswd      bool        `json:",omitzero"` // leave /etc/passwd and /etc/group alone
	PasswdEntry   string      `json:",omitzero"` // with $USERNAME, $UID, $GID, $NAME, $HOME
	GroupEntry    string      `json:",omitzero"` // with $GROUPNAME, $GID, $USERLIST
	Systemd       string      `json:",omitzero"` // "": by the program's name; false, always
	SDNotify      string      `json:",omitzero"` // "": container; conmon, ignore
	InitPath      string      `json:",omitzero"` // a program of the host in place of our init
	NoTmpfs       bool        `json:",omitzero"` // with ReadOnly: no tmpfs on /run, /tmp, /var/tmp
	Sysctls       [][2]string `json:",omitzero"`
	OOMScoreAdj   *int        `json:",omitzero"`
	Personality   uint64      `json:",omitzero"` // personality(2)
	RootfsOverlay bool        `json:",omitzero"` // what is written does not reach the directory of Rootfs
	Chroots       []string    `json:",omitzero"` // directories inside with the network's files
	Requires      []string    `json:",omitzero"` // ids of containers that must run first
	Domain        string      `json:",omitzero"` // NIS domain name
	VolumesFrom   []string    `json:",omitzero"` // as it was asked for; Mounts has what came of it
	Devices       []Device    `json:",omitzero"`
	CDI           *Edits      `json:",omitzero"`
}

// rare is never nil.
func (o *Options) rare() *Rare {
	if o.Rare == nil {
		return &noRare
	}
	return o.Rare
}

var noRare Rare

// defaults are the variables that nobody gave by hand.
func (r *Rare) defaults(env []string) []string {
	if r.UnsetEnvAll {
		return nil
	}
	env = slices.DeleteFunc(env, func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(r.UnsetEnv, name)
	})
	for _, merge := range r.EnvMerge {
		name, value, _ := strings.Cut(merge, "=")
		env = mergeEnv(env, []string{name + "=" + os.Expand(value, func(n string) string { return variable(env, n) })})
	}
	return env
}

func variable(env []string, name string) string {
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// systemd are the programs that get what systemd needs.
var systemd = []string{"systemd", "/sbin/init", "/usr/sbin/init", "/usr/local/sbin/init", "/lib/systemd/systemd", "/usr/lib/systemd/systemd", "/bin/systemd", "/usr/bin/systemd"}

// isSystemd says whether a container is one for systemd.
func (o *Options) isSystemd(args []string) bool {
	switch o.rare().Systemd {
	case "false":
		return false
	case "always":
		return true
	}
	return strings.HasSuffix(args[0], "init") && slices.Contains(systemd, args[0]) || strings.HasSuffix(args[0], "systemd") && slices.Contains(systemd, args[0])
}

// forSystemd is what systemd expects of whoever starts it (its
// CONTAINER_INTERFACE).
func (o *Options) forSystemd(spec *specs.Spec) {
	o.StopSignal = first(o.StopSignal, "SIGRTMIN+3")
	spec.Process.Env = mergeEnv(spec.Process.Env, []string{"container_uuid=" + o.ID[:min(32, len(o.ID))]})
	for _, dir := range []string{"/run", "/run/lock", "/tmp", "/var/log/journal"} {
		spec.Mounts = append(spec.Mounts, scratch(dir, o.Mounts)...)
	}
}

// scratch is a tmpfs, unless the user mounts something there.
func scratch(dir string, own []specs.Mount) []specs.Mount {
	if slices.ContainsFunc(own, func(m specs.Mount) bool { return m.Destination == dir }) {
		return nil
	}
	mode := "mode=1777"
	if strings.HasPrefix(dir, "/run") || strings.HasPrefix(dir, "/var/log") {
		mode = "mode=755"
	}
	return []specs.Mount{{Destination: dir, Type: "tmpfs", Source: "tmpfs", Options: []string{"rw", "nosuid", "nodev", CopyUp, mode}}}
}

// apply changes a specification by the rare options.
func (o *Options) apply(spec *specs.Spec) {
	if o.ReadOnly && !o.rare().NoTmpfs {
		for _, dir := range []string{"/run", "/tmp", "/var/tmp"} {
			spec.Mounts = append(spec.Mounts, scratch(dir, o.Mounts)...)
		}
	}
	if o.isSystemd(spec.Process.Args) {
		o.forSystemd(spec)
	}
	if o.NotifySocket != "" && o.rare().SDNotify == "" {
		spec.Process.Env = mergeEnv(spec.Process.Env, []string{"NOTIFY_SOCKET=" + notifyPlace})
		spec.Mounts = append(spec.Mounts, specs.Mount{Destination: notifyPlace, Type: "bind", Source: o.NotifySocket, Options: []string{"bind"}})
	}
	if o.ListenFDs > 0 {
		spec.Process.Env = mergeEnv(spec.Process.Env, append([]string{fmt.Sprintf("LISTEN_FDS=%d", o.ListenFDs), "LISTEN_PID=1"}, o.ListenNames...))
	}
	if path := o.rare().InitPath; path != "" && o.Init {
		spec.Mounts = append(spec.Mounts, specs.Mount{Destination: initPlace, Type: "bind", Source: path, Options: []string{"bind", "ro"}})
		spec.Process.Args = append([]string{initPlace, "--"}, spec.Process.Args...)
	}
	if edits := o.rare().CDI; edits != nil {
		edits.edit(spec)
	}
	if o.hasDevices() || o.Privileged {
		spec.Mounts = append(spec.Mounts, o.deviceMounts()...)
	}
	spec.Mounts = append(spec.Mounts, o.cgroupMount()...)
	spec.Linux.Sysctl = o.sysctls()
	spec.Process.OOMScoreAdj = o.rare().OOMScoreAdj
	spec.Domainname = o.rare().Domain
}

const (
	notifyPlace = "/run/notify/notify.sock" // as podman has it
	initPlace   = "/dev/init"
)

// ownInit: the program is started by our init.
func (o *Options) ownInit() bool { return o.Init && o.rare().InitPath == "" }

func (o *Options) sysctls() map[string]string {
	if len(o.rare().Sysctls) == 0 {
		return nil
	}
	all := map[string]string{}
	for _, s := range o.rare().Sysctls {
		all[s[0]] = s[1]
	}
	return all
}

// oomScore comes first: what is written is the process's own file, which is
// root's once ids have changed.
func (p *plan) oomScore() {
	if score := p.spec.Process.OOMScoreAdj; score != nil {
		text := fmt.Sprint(*score)
		fd := p.Do("opening", "/proc/self/oom_score_adj", unix.SYS_OPENAT, userns.Int(unix.AT_FDCWD), p.Str("/proc/self/oom_score_adj"), userns.Int(unix.O_WRONLY|unix.O_CLOEXEC), userns.Int(0)).Save()
		p.Do("setting oom_score_adj to", text+" (without root it can only be raised)", unix.SYS_WRITE, fd.Arg(), p.Str(text), userns.Int(len(text)))
		p.close(fd)
	}
}

// sysctls are set while /proc can be written to.
func (p *plan) sysctls() {
	for _, s := range p.o.rare().Sysctls {
		file := "/proc/sys/" + SysctlFile(s[0])
		fd := p.resolve(file, unix.O_WRONLY, 0).Save()
		p.Do("setting sysctl", s[0]+" to "+s[1], unix.SYS_WRITE, fd.Arg(), p.Str(s[1]), userns.Int(len(s[1])))
		p.close(fd)
	}
}

// SysctlFile is the path of a name below /proc/sys: sysctl(8) takes both.
func SysctlFile(name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	return strings.ReplaceAll(name, ".", "/")
}

// personality is set before the filter, which may forbid it.
func (p *plan) personality() {
	if persona := p.o.rare().Personality; persona != 0 && !p.joins {
		p.Do("setting the personality to", fmt.Sprintf("%#x", persona), unix.SYS_PERSONALITY, userns.Int(persona))
	}
}

// TimedOut is the code of a container that --timeout has ended, as podman's.
const TimedOut = 255

// limitLife ends the container after --timeout.
func (r *Running) limitLife(left time.Duration) {
	if r.keeper == nil && r.plan.o.rare().Timeout > 0 {
		time.AfterFunc(left, func() {
			atomic.StoreInt32(&r.timedOut, 1)
			_ = unix.PidfdSendSignal(r.child.PIDFD, unix.SIGKILL, nil, 0)
		})
	}
}

// notify tells systemd what to watch, and with conmon that we are up
// (sd_notify(3)); otherwise the container does the latter.
func (o *Options) notify(monitor int) error {
	if o.NotifySocket == "" || o.rare().SDNotify == "ignore" {
		return nil
	}
	text := fmt.Sprintf("MAINPID=%d", monitor)
	if o.rare().SDNotify == "conmon" {
		text += "\nREADY=1"
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Sendto(fd, []byte(text), unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: o.NotifySocket})
		unix.Close(fd)
	}
	if err != nil {
		return fmt.Errorf("telling $NOTIFY_SOCKET %s: %w", o.NotifySocket, err)
	}
	return nil
}
