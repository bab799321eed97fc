package cli

import (
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"containers/rl/cgroups"
	"containers/rl/container"
	"containers/rl/security"
)

// inspectedRest are the fields of podman's that rl has little or nothing to say
// about: they are there because programs read them.
type inspectedRest struct {
	Id                                        string `json:"-"` // for templates, which may use either
	ImageDigest                               string
	Rootfs, Pod                               string
	StaticDir, OCIConfigPath, OCIRuntime      string
	ConmonPidFile, PidFile                    string
	MountLabel, ProcessLabel, AppArmorProfile string
	EffectiveCaps, BoundingCaps               []string
	ExecIDs                                   []string
	GraphDriver                               inspectedDriver
	SizeRw                                    *int64 `json:",omitempty"`
	SizeRootFs                                *int64 `json:",omitempty"`
	Dependencies                              []string
	Namespace                                 string
	IsInfra, IsService                        bool
	Platform                                  string
}

type inspectedDriver struct {
	Name string
	Data map[string]string
}

type inspectedConfigRest struct {
	Domainname                                         string
	AttachStdin, AttachStdout, AttachStderr, StdinOnce bool
	Volumes                                            map[string]struct{}
	OnBuild                                            []string
	Annotations                                        map[string]string
	HealthcheckOnFailureAction                         string
	CreateCommand                                      []string
	Umask                                              string
	Timeout                                            uint
	Passwd                                             bool
	SdNotifyMode                                       string `json:"sdNotifyMode"`
}

type inspectedHostRest struct {
	CgroupManager, Cgroup, Cgroups, CgroupParent string
	ContainerIDFile, VolumeDriver, Isolation     string
	VolumesFrom, Links, GroupAdd, SecurityOpt    []string
	OomScoreAdj                                  int
	Tmpfs                                        map[string]string
	Runtime                                      string
	ConsoleSize                                  [2]int
	Devices                                      []inspectedDevice
	DeviceRequests                               []inspectedRequest
	inspectedLimits
}

// inspectedRequest is docker's form of devices that are more than nodes.
type inspectedRequest struct {
	Driver       string
	Count        int
	DeviceIDs    []string
	Capabilities [][]string
	Options      map[string]string
}

type inspectedDevice struct{ PathOnHost, PathInContainer, CgroupPermissions string }

// inspectedLimits are those of the cgroup, by docker's names. 0 is none.
type inspectedLimits struct {
	CpuShares                                               uint64
	Memory, NanoCpus, MemoryReservation, MemorySwap         int64
	CpuPeriod                                               uint64
	CpuQuota                                                int64
	CpuRealtimePeriod                                       uint64
	CpuRealtimeRuntime                                      int64
	CpusetCpus, CpusetMems                                  string
	BlkioWeight                                             uint16
	BlkioWeightDevice                                       []inspectedWeight
	BlkioDeviceReadBps, BlkioDeviceWriteBps                 []inspectedRate
	BlkioDeviceReadIOps, BlkioDeviceWriteIOps               []inspectedRate
	DiskQuota, KernelMemory, MemorySwappiness               int64
	OomKillDisable                                          bool
	PidsLimit                                               int64
	CpuCount, CpuPercent, IOMaximumIOps, IOMaximumBandwidth int64
	CgroupConf                                              map[string]string
}

type inspectedWeight struct {
	Path   string
	Weight uint16
}

type inspectedRate struct {
	Path string
	Rate uint64
}

type inspectedUlimit struct {
	Name       string
	Soft, Hard int64
}

func inspectUlimits(o *container.Options) []inspectedUlimit {
	list := []inspectedUlimit{}
	for _, l := range o.Rlimits {
		list = append(list, inspectedUlimit{"RLIMIT_" + strings.ToUpper(strings.TrimPrefix(l.Type, "RLIMIT_")), int64(l.Soft), int64(l.Hard)})
	}
	return list
}

// complete fills in what needs the host: the image, and the specification that
// a container has or would have.
func (v *inspected) complete(host container.Host, i *container.Info) {
	o := &i.Options
	v.Id, v.Rootfs, v.StaticDir, v.OCIRuntime, v.Platform = i.ID, o.Rootfs, i.Dir, "rl", "linux"
	v.Pod, _ = podOf(i)
	v.IsInfra, v.ExecIDs, v.Dependencies = infra(i), []string{}, dependencies(i)
	v.GraphDriver = inspectedDriver{i.Driver(), map[string]string{}}
	if !i.Copied() {
		v.GraphDriver.Data = map[string]string{"UpperDir": path.Join(i.Dir, "upper"), "WorkDir": path.Join(i.Dir, "work")}
	}
	if v.State.Running {
		v.GraphDriver.Data["MergedDir"] = path.Join(i.Dir, "merged")
	}
	if img, err := host.Dirs.Lookup(i.ImageID); err == nil {
		if v.ImageDigest = img.Digest; !i.Copied() {
			v.GraphDriver.Data["LowerDir"] = strings.Join(img.Layers, ":")
		}
		img.Close()
	}
	if name, err := host.Dirs.FullName(i.Image); err == nil {
		v.ImageName = name
	}
	spec, err := i.Spec()
	if err == nil {
		v.OCIConfigPath = path.Join(i.Dir, "config.json")
	} else {
		spec, err = i.Planned(host)
	}
	if err == nil {
		v.Config.Env, v.Config.WorkingDir = spec.Process.Env, spec.Process.Cwd
		v.fromSpec(spec)
	}
	v.HostConfig.rest(o, v.BoundingCaps)
	v.Config.rest(i)
}

func (v *inspected) fromSpec(spec *specs.Spec) {
	if caps := spec.Process.Capabilities; caps != nil {
		v.BoundingCaps, v.EffectiveCaps = sorted(caps.Bounding), sorted(caps.Bounding)
	}
	if spec.Process.User.UID != 0 { // execve(2) takes them from who is not root
		v.EffectiveCaps = nil
	}
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

func (c *inspectedConfig) rest(i *container.Info) {
	o := &i.Options
	c.AttachStdout, c.AttachStderr = !o.Detached, !o.Detached
	c.AttachStdin, c.StdinOnce = o.Interactive && !o.Detached, o.StdinOnce
	c.Annotations, c.Passwd, c.SdNotifyMode = o.Annotations, true, "container"
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	if c.HealthcheckOnFailureAction = "none"; o.Health != nil && o.Health.OnFailure != "" {
		c.HealthcheckOnFailureAction = o.Health.OnFailure
	}
	c.Umask = umaskText(o.Umask)
	c.CreateCommand = createCommand(i)
}

func umaskText(mask int) string {
	digits := []byte("0000")
	for n := 3; n >= 0; n-- {
		digits[n] = byte('0' + mask&7)
		mask >>= 3
	}
	return string(digits)
}

// createCommand is the whole line. Of one in the foreground that is removed at
// its end there is no record: its rl still has it.
func createCommand(i *container.Info) []string {
	if len(i.CreateCommand) > 0 {
		return append([]string{"rl"}, i.CreateCommand...)
	}
	return i.State.Monitor.CommandLine()
}

// rest: CapAdd and CapDrop are what differs from the default, as podman has it.
func (h *inspectedHost) rest(o *container.Options, caps []string) {
	h.CapAdd, h.CapDrop = []string{}, []string{}
	usual := security.DefaultCapabilities()
	for _, c := range caps {
		if !slices.Contains(usual, c) {
			h.CapAdd = append(h.CapAdd, c)
		}
	}
	for _, c := range usual {
		if !slices.Contains(caps, c) {
			h.CapDrop = append(h.CapDrop, c)
		}
	}
	for _, list := range []*[]string{&h.Dns, &h.DnsSearch, &h.DnsOptions, &h.ExtraHosts, &h.Binds, &h.CapAdd, &h.CapDrop} {
		if *list == nil {
			*list = []string{}
		}
	}
	h.CgroupManager, h.Cgroups, h.Runtime = "cgroupfs", "disabled", "rl"
	if o.Limits != nil {
		h.Cgroups, h.CgroupParent, h.inspectedLimits = "enabled", o.Limits.Parent, inspectLimits(o.Limits)
	}
	h.GroupAdd, h.SecurityOpt, h.Devices, h.Tmpfs = append([]string{}, o.GroupAdd...), securityOptions(o), []inspectedDevice{}, map[string]string{}
	h.devices(o)
	if o.KeepGroups {
		h.GroupAdd = append(h.GroupAdd, "keep-groups")
	}
	for _, m := range o.Mounts {
		if m.Type == "tmpfs" {
			h.Tmpfs[m.Destination] = strings.Join(m.Options, ",")
		}
	}
}

func (h *inspectedHost) devices(o *container.Options) {
	if o.Rare == nil {
		return
	}
	for _, d := range o.Rare.Devices {
		h.Devices = append(h.Devices, inspectedDevice{d.Source, d.Path, firstOf(d.Permissions, container.AllPermissions)})
	}
	if o.Rare.CDI != nil {
		h.DeviceRequests = []inspectedRequest{{Driver: "cdi", DeviceIDs: o.Rare.CDI.Names}}
	}
}

// inspectLimits: a quota of the usual period is shown as a number of CPUs too,
// as docker does.
func inspectLimits(l *cgroups.Limits) inspectedLimits {
	v := inspectedLimits{CpuShares: l.Shares, Memory: l.Memory, MemoryReservation: l.Reservation, MemorySwap: l.Swap, CpuPeriod: l.Period, CpuQuota: l.Quota,
		CpusetCpus: l.CPUs, CpusetMems: l.Mems, BlkioWeight: l.Weight, PidsLimit: l.PIDs}
	if l.Quota > 0 && l.Period > 0 {
		v.NanoCpus = l.Quota * 1e9 / int64(l.Period)
	}
	if l.Swap == 0 && l.Memory > 0 {
		v.MemorySwap = 2 * l.Memory
	}
	for _, w := range l.DeviceWeights {
		v.BlkioWeightDevice = append(v.BlkioWeightDevice, inspectedWeight{w.Path, w.Weight})
	}
	for _, r := range l.DeviceRates {
		list := map[string]*[]inspectedRate{"rbps": &v.BlkioDeviceReadBps, "wbps": &v.BlkioDeviceWriteBps, "riops": &v.BlkioDeviceReadIOps, "wiops": &v.BlkioDeviceWriteIOps}[r.Kind]
		*list = append(*list, inspectedRate{r.Path, r.Rate})
	}
	for _, text := range l.Conf {
		name, value, _ := strings.Cut(text, "=")
		if v.CgroupConf == nil {
			v.CgroupConf = map[string]string{}
		}
		v.CgroupConf[name] = value
	}
	return v
}

func securityOptions(o *container.Options) []string {
	list := []string{}
	if o.Unconfined {
		list = append(list, "seccomp=unconfined")
	}
	if o.NewPrivs {
		list = append(list, "no-new-privileges=false")
	}
	if o.Unmask {
		list = append(list, "unmask=all")
	}
	return list
}
