package cli

import (
	"os"
	"runtime"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"containers/rl/cli/flags"
	"containers/rl/cli/self"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/security"
	"containers/rl/storage"
)

// hostInfo is what rl works with, by podman's names (podman-info(1)).
type hostInfo struct {
	Host       hostFacts      `json:"host"`
	Store      storeFacts     `json:"store"`
	Registries map[string]any `json:"registries"`
	Plugins    pluginFacts    `json:"plugins"`
	Version    versionFacts   `json:"version"`
	dockerFacts
}

type hostFacts struct {
	Arch               string        `json:"arch"`
	BuildahVersion     string        `json:"buildahVersion"`
	CgroupManager      string        `json:"cgroupManager"`
	CgroupControllers  []string      `json:"cgroupControllers"`
	Conmon             runtimeFacts  `json:"conmon"`
	CPUUtilization     cpuFacts      `json:"cpuUtilization"`
	Distribution       distroFacts   `json:"distribution"`
	RemoteSocket       socketFacts   `json:"remoteSocket"`
	ServiceIsRemote    bool          `json:"serviceIsRemote"`
	LinkMode           string        `json:"linkmode"`
	Slirp4NetNS        slirpFacts    `json:"slirp4netns"`
	OS                 string        `json:"os"`
	Kernel             string        `json:"kernel"`
	Hostname           string        `json:"hostname"`
	CPUs               int           `json:"cpus"`
	MemTotal           uint64        `json:"memTotal"`
	MemFree            uint64        `json:"memFree"`
	SwapTotal          uint64        `json:"swapTotal"`
	SwapFree           uint64        `json:"swapFree"`
	Uptime             string        `json:"uptime"`
	CgroupVersion      string        `json:"cgroupVersion"`
	EventLogger        string        `json:"eventLogger"`
	LogDriver          string        `json:"logDriver"`
	NetworkBackend     string        `json:"networkBackend"`
	RootlessNetworkCmd string        `json:"rootlessNetworkCmd"`
	OCIRuntime         runtimeFacts  `json:"ociRuntime"`
	Security           securityFacts `json:"security"`
	IDMappings         mappingFacts  `json:"idMappings"`
}

type runtimeFacts struct {
	Name    string `json:"name,omitempty"`
	Package string `json:"package"`
	Path    string `json:"path"`
	Version string `json:"version"`
}

type securityFacts struct {
	Rootless        bool   `json:"rootless"`
	SeccompEnabled  bool   `json:"seccompEnabled"`
	AppArmorEnabled bool   `json:"apparmorEnabled"`
	Capabilities    string `json:"capabilities"`
	SECCOMPProfile  string `json:"seccompProfilePath"`
	SELinuxEnabled  bool   `json:"selinuxEnabled"`
}

type mappingFacts struct {
	UIDs []mappingFact `json:"uidmap"`
	GIDs []mappingFact `json:"gidmap"`
}

type mappingFact struct {
	ContainerID uint32 `json:"container_id"`
	HostID      uint32 `json:"host_id"`
	Size        uint32 `json:"size"`
}

type storeFacts struct {
	GraphRoot       string         `json:"graphRoot"`
	RunRoot         string         `json:"runRoot"`
	GraphDriverName string         `json:"graphDriverName"`
	ConfigFile      string         `json:"configFile"`
	GraphOptions    map[string]any `json:"graphOptions"`
	GraphStatus     map[string]any `json:"graphStatus"`
	RootAllocated   uint64         `json:"graphRootAllocated"`
	RootUsed        uint64         `json:"graphRootUsed"`
	ImageCopyTmpDir string         `json:"imageCopyTmpDir"`
	VolumePath      string         `json:"volumePath"`
	ContainerStore  containerFacts `json:"containerStore"`
	ImageStore      countFacts     `json:"imageStore"`
}

type containerFacts struct {
	Number  int `json:"number"`
	Paused  int `json:"paused"`
	Running int `json:"running"`
	Stopped int `json:"stopped"`
}

type countFacts struct {
	Number int `json:"number"`
}

func infoFlags(f *flags.Set) func(Streams, []string) error {
	format := f.StringP("format", "f", "", "json, or a template (default: YAML)")
	f.BoolP("debug", "D", false, "accepted for podman's sake")
	return func(s Streams, args []string) error {
		if err := exactly("info", args, 0); err != nil {
			return err
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		info := hostInfo{Host: factsOfHost(host), Version: ourVersion(), Plugins: plugins}
		if info.Store, err = factsOfStore(host); err != nil {
			return err
		}
		if info.Registries, err = factsOfRegistries(); err != nil {
			return err
		}
		info.dockerFacts = info.docker()
		switch *format {
		case "":
			return printYAML(s.Out, info)
		case "json":
			return printJSON(s.Out, info)
		}
		return printInspected(s, []any{info}, *format)
	}
}

func factsOfHost(host container.Host) hostFacts {
	var uts unix.Utsname
	var sys unix.Sysinfo_t
	_, _ = unix.Uname(&uts), unix.Sysinfo(&sys)
	unit := uint64(sys.Unit)
	facts := hostFacts{Arch: runtime.GOARCH, OS: runtime.GOOS, Kernel: unix.ByteSliceToString(uts.Release[:]), Hostname: unix.ByteSliceToString(uts.Nodename[:]),
		CPUs: runtime.NumCPU(), MemTotal: uint64(sys.Totalram) * unit, MemFree: uint64(sys.Freeram) * unit, SwapTotal: uint64(sys.Totalswap) * unit, SwapFree: uint64(sys.Freeswap) * unit,
		Uptime: container.Uptime().Truncate(1e9).String(), CgroupVersion: cgroupVersion(), EventLogger: "file", LogDriver: "k8s-file", NetworkBackend: "netslirp",
		RootlessNetworkCmd: "rl", OCIRuntime: runtimeFacts{"rl", "", ownPath(), self.Version},
		Security: securityFacts{Rootless: os.Geteuid() != 0, SeccompEnabled: exists("/proc/sys/kernel/seccomp/actions_avail"),
			AppArmorEnabled: exists("/sys/kernel/security/apparmor/profiles"), Capabilities: strings.Join(security.DefaultCapabilities(), ",")},
		IDMappings: mappingFacts{mappings(host.IDs.UIDs), mappings(host.IDs.GIDs)}}
	facts.more()
	return facts
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// cgroupVersion: v2 is where the unified tree is mounted (cgroups(7)).
func cgroupVersion() string {
	var st unix.Statfs_t
	if unix.Statfs("/sys/fs/cgroup", &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
		return "v2"
	}
	return "v1"
}

func mappings(list []specs.LinuxIDMapping) (facts []mappingFact) {
	for _, m := range list {
		facts = append(facts, mappingFact{m.ContainerID, m.HostID, m.Size})
	}
	return facts
}

func factsOfStore(host container.Host) (storeFacts, error) {
	facts := storeFacts{GraphRoot: host.Dirs.Graph(), RunRoot: host.Dirs.Run, GraphDriverName: storage.Overlay}
	reason := ""
	if d, err := container.ChooseDriver(host); err == nil {
		facts.GraphDriverName, reason = d.Name, d.Reason
	}
	list, err := container.List(host.Dirs)
	if err != nil && len(container.AllBroken(err)) == 0 {
		return facts, err
	}
	for _, i := range list {
		facts.ContainerStore.Number++
		switch i.Status {
		case container.StatusPaused:
			facts.ContainerStore.Paused++
		case container.StatusRunning:
			facts.ContainerStore.Running++
		default:
			facts.ContainerStore.Stopped++
		}
	}
	facts.more(host, reason)
	images, err := host.Dirs.Images()
	facts.ImageStore.Number = len(images)
	return facts, err
}
