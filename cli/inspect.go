package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"containers/rl/container"
)

// inspected is a container as docker and podman show it, with the names of
// their fields (docker-inspect(1), podman-container-inspect(1)). What rl has
// nothing of is left out.
type inspected struct {
	ID              string `json:"Id"`
	Created         string
	Path            string
	Args            []string
	State           inspectedState
	Image           string
	ImageName       string
	Name            string
	RestartCount    int
	Driver          string
	Mounts          []inspectedMount
	LogPath         string
	HostnamePath    string
	ResolvConfPath  string
	HostsPath       string
	HostConfig      inspectedHost
	Config          inspectedConfig
	NetworkSettings inspectedNetwork
	inspectedRest
}

type inspectedState struct {
	OciVersion                                   string
	Status                                       string
	Running, Paused, Restarting, OOMKilled, Dead bool
	Pid, ConmonPid, ExitCode                     int
	Error                                        string
	StartedAt, FinishedAt                        string
	Health                                       *container.HealthState
	CheckpointedAt, RestoredAt                   string
	CgroupPath                                   string `json:",omitempty"`
}

type inspectedHost struct {
	NetworkMode, PidMode, IpcMode, UTSMode, CgroupMode, UsernsMode string
	AutoRemove, Privileged, ReadonlyRootfs, Init                   bool
	CapAdd, CapDrop, Dns, DnsSearch, DnsOptions, ExtraHosts        []string
	ShmSize                                                        int64
	Ulimits                                                        []inspectedUlimit
	LogConfig                                                      inspectedLog
	RestartPolicy                                                  struct {
		Name              string
		MaximumRetryCount int
	}
	Binds           []string
	PortBindings    map[string][]portBinding
	PublishAllPorts bool
	inspectedHostRest
}

type inspectedConfig struct {
	Hostname, User, WorkingDir, Image string
	Env, Cmd, Entrypoint              []string
	Labels                            map[string]string
	ExposedPorts                      map[string]struct{} `json:",omitempty"`
	Tty, OpenStdin                    bool
	StopSignal                        string
	StopTimeout                       int
	Healthcheck                       *container.Health `json:",omitempty"`
	inspectedConfigRest
}

func inspectContainer(host container.Host, i *container.Info) inspected {
	o := &i.Options
	v := inspected{ID: i.ID, Created: stamp(i.Created), Image: i.ImageID, ImageName: i.Image, Name: i.Name(), RestartCount: i.State.Restarts, Driver: i.Driver(),
		LogPath: i.LogPath(), HostnamePath: path.Join(i.Dir, "hostname"), ResolvConfPath: path.Join(i.Dir, "resolv.conf"), HostsPath: path.Join(i.Dir, "hosts"),
		State: inspectState(i), HostConfig: inspectHost(o), Config: inspectConfig(i), Mounts: inspectMounts(i), NetworkSettings: inspectNetwork(i)}
	inspectPorts(&v, i)
	if len(i.Command) > 0 {
		v.Path, v.Args = i.Command[0], i.Command[1:]
	}
	v.complete(host, i)
	return v
}

func inspectState(i *container.Info) inspectedState {
	s := inspectedState{OciVersion: specs.Version, Status: string(i.Status), Running: i.Running(), ExitCode: i.Ended.Code, Error: i.Ended.Error, Restarting: i.Status == container.StatusRestarting,
		StartedAt: stamp(i.State.Started), FinishedAt: stamp(i.Ended.Finished)}
	s.OOMKilled = i.Ended.OOM
	s.Health, s.CheckpointedAt, s.RestoredAt = &container.HealthState{}, stamp(time.Time{}), stamp(time.Time{})
	if i.Options.Health.Checked() {
		*s.Health = i.Health()
	}
	if s.Running {
		s.CgroupPath = i.State.Cgroup
		s.Pid, s.ConmonPid = i.State.Init.PID, i.State.Monitor.PID
	}
	return s
}

// stamp: the zero time is docker's "0001-01-01T00:00:00Z".
func stamp(t time.Time) string { return t.Format(time.RFC3339Nano) }

func inspectHost(o *container.Options) inspectedHost {
	j := o.Joins
	if j == nil {
		j = &container.Joins{}
	}
	mode := func(joined string, host bool, own string) string {
		if joined == "" && host {
			return "host"
		}
		return cmp.Or(joined, own)
	}
	h := inspectedHost{NetworkMode: o.NetworkMode(), PidMode: mode(j.PID, o.HostPID, "private"), IpcMode: mode(j.IPC, o.HostIPC, ipcMode(o)),
		UTSMode: mode(j.UTS, o.HostUTS, "private"), CgroupMode: mode(j.Cgroup, o.HostCgroup, "private"), UsernsMode: j.User,
		AutoRemove: o.Remove, Privileged: o.Privileged, ReadonlyRootfs: o.ReadOnly, Init: o.Init, CapAdd: o.CapAdd, CapDrop: o.CapDrop, Dns: o.DNS,
		DnsSearch: o.DNSSearch, DnsOptions: o.DNSOptions, ExtraHosts: o.AddHost, ShmSize: o.ShmSize, Ulimits: inspectUlimits(o)}
	if h.ShmSize == 0 {
		h.ShmSize = 64 << 20
	}
	h.RestartPolicy.Name, h.RestartPolicy.MaximumRetryCount = o.Restart, o.RestartMax
	if o.KeepID {
		h.UsernsMode = o.KeepMode()
	}
	h.LogConfig = inspectLog(o)
	h.Binds = inspectBinds(o)
	if o.Rare != nil {
		h.VolumesFrom = o.Rare.VolumesFrom
	}
	return h
}

func ipcMode(o *container.Options) string {
	switch {
	case o.NoShm:
		return "none"
	case o.PrivateIPC:
		return "private"
	}
	return "shareable"
}

func inspectConfig(i *container.Info) inspectedConfig {
	o := &i.Options
	c := inspectedConfig{Hostname: o.Hostname, User: o.User, WorkingDir: o.WorkingDir, Image: i.Image, Env: o.Env, Cmd: o.Args, Entrypoint: o.Entrypoint,
		Labels: o.Labels, Tty: o.TTY, OpenStdin: o.Interactive, StopSignal: unix.SignalName(i.StopSignal()), StopTimeout: o.StopTimeout, Healthcheck: o.Health}
	if spec, err := i.Spec(); err == nil { // it ran: what the image gave is known too
		c.Env, c.WorkingDir = spec.Process.Env, spec.Process.Cwd
	}
	if len(c.Cmd) == 0 {
		c.Cmd = i.Command
	}
	if c.Labels == nil {
		c.Labels = map[string]string{}
	}
	return c
}

// printInspected: a template may name fields as Go has them (.ID) or as JSON
// has them (.Id), as with docker.
func printInspected(s Streams, list []any, format string) error {
	if format == "" || format == "json" {
		return printJSON(s.Out, list)
	}
	one, err := parseTemplate(format)
	if err != nil {
		return err
	}
	for _, v := range list {
		var b strings.Builder
		if failed := one.Execute(&b, v); failed != nil {
			b.Reset()
			text, err := json.Marshal(v)
			if err != nil {
				return err
			}
			raw, err := plain(text)
			if err != nil {
				return err
			}
			if fields, ok := raw.(map[string]any); ok && fields["ID"] == nil {
				fields["ID"] = fields["Id"] // both at once
			}
			if one.Execute(&b, raw) != nil {
				return fmt.Errorf("printing inspect output: %w", failed)
			}
		}
		fmt.Fprintln(s.Out, b.String())
	}
	return nil
}
