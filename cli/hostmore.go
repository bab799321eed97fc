package cli

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"containers/rl/cgroups"
	"containers/rl/cli/cdi"
	"containers/rl/cli/self"
	"containers/rl/container"
	"containers/rl/image"
	"containers/rl/storage"
)

// What info says beyond what rl works with, as programs read it: podman's
// names, and docker's where podman has none of them (docker-info(1)).

type cpuFacts struct {
	User   float64 `json:"userPercent"`
	System float64 `json:"systemPercent"`
	Idle   float64 `json:"idlePercent"`
}

type distroFacts struct {
	Distribution string `json:"distribution"`
	Version      string `json:"version"`
	Codename     string `json:"codename,omitempty"`
}

type socketFacts struct {
	Path   string `json:"path"`
	Exists bool   `json:"exists"`
}

type slirpFacts struct {
	Executable string `json:"executable"`
	Package    string `json:"package"`
	Version    string `json:"version"`
}

type pluginFacts struct {
	Volume        []string `json:"volume"`
	Network       []string `json:"network"`
	Log           []string `json:"log"`
	Authorization []string `json:"authorization"`
}

var plugins = pluginFacts{Volume: []string{"local"}, Network: []string{"slirp4netns"}, Log: []string{"k8s-file", "json-file", "journald", "passthrough", "none"}}

type dockerFacts struct {
	ServerVersion, Driver, OperatingSystem, OSType, Architecture, KernelVersion, Name, DockerRootDir, CgroupDriver, LoggingDriver string
	Containers, ContainersRunning, ContainersPaused, ContainersStopped, Images, NCPU                                              int
	CgroupVersion                                                                                                                 string
	MemTotal                                                                                                                      uint64
	SecurityOptions                                                                                                               []string
	CDISpecDirs                                                                                                                   []string
	DiscoveredDevices                                                                                                             []discoveredDevice
}

type discoveredDevice struct{ Source, ID string }

// docker says the same in docker's words.
func (i *hostInfo) docker() dockerFacts {
	machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[i.Host.Arch]
	c := i.Store.ContainerStore
	registry := cdi.Load(cdiDirs(nil))
	devices := []discoveredDevice{}
	for _, name := range deviceNames(registry) {
		devices = append(devices, discoveredDevice{"cdi", name})
	}
	return dockerFacts{ServerVersion: self.Version, Driver: i.Store.GraphDriverName, OperatingSystem: i.Host.Distribution.name(), OSType: i.Host.OS, Architecture: machine,
		KernelVersion: i.Host.Kernel, Name: i.Host.Hostname, DockerRootDir: i.Store.GraphRoot, CgroupDriver: i.Host.CgroupManager, LoggingDriver: i.Host.LogDriver,
		Containers: c.Number, ContainersRunning: c.Running, ContainersPaused: c.Paused, ContainersStopped: c.Stopped, Images: i.Store.ImageStore.Number, NCPU: i.Host.CPUs,
		CgroupVersion: strings.TrimPrefix(i.Host.CgroupVersion, "v"), MemTotal: i.Host.MemTotal,
		SecurityOptions: []string{"name=seccomp,profile=default", "name=rootless", "name=cgroupns"}, CDISpecDirs: registry.Dirs, DiscoveredDevices: devices}
}

func (d distroFacts) name() string { return strings.TrimSpace(d.Distribution + " " + d.Version) }

func (f *hostFacts) more() {
	f.CgroupManager, f.CgroupControllers = "cgroupfs", cgroups.Controllers()
	f.Conmon = runtimeFacts{Path: ownPath(), Version: self.Version}
	f.CPUUtilization, f.Distribution, f.LinkMode = cpuTimes(), distribution(), "static"
	f.Slirp4NetNS = slirpFacts{Executable: ownPath(), Version: self.Version}
}

func ownPath() string {
	path, _ := os.Executable()
	return path
}

// cpuTimes are shares of the time since boot (proc_stat(5)).
func cpuTimes() (c cpuFacts) {
	text, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(text), "\n")
	var values [10]float64
	total := 0.0
	for n, word := range strings.Fields(line) {
		if n > 0 && n <= 8 {
			values[n], _ = strconv.ParseFloat(word, 64)
			total += values[n]
		}
	}
	if total == 0 {
		return c
	}
	part := func(v float64) float64 { return float64(int(v/total*10000)) / 100 }
	return cpuFacts{User: part(values[1] + values[2]), System: part(values[3]), Idle: part(values[4])}
}

// distribution reads os-release(5).
func distribution() (d distroFacts) {
	file, err := os.Open("/etc/os-release")
	if err != nil {
		return distroFacts{Distribution: "unknown", Version: "unknown"}
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), "=")
		value = strings.Trim(value, `"'`)
		switch key {
		case "ID":
			d.Distribution = value
		case "VERSION_ID":
			d.Version = value
		case "VERSION_CODENAME":
			d.Codename = value
		}
	}
	return d
}

// more: the reason for the driver is our own entry.
func (f *storeFacts) more(host container.Host, reason string) {
	f.GraphOptions, f.GraphStatus = map[string]any{}, map[string]any{"Backing Filesystem": "", "Reason": reason}
	if f.GraphDriverName == storage.Overlay {
		f.GraphStatus["Native Overlay Diff"], f.GraphStatus["Using metacopy"] = "true", "false"
	}
	f.VolumePath, f.ImageCopyTmpDir = filepath.Join(host.Dirs.Data, "volumes"), os.TempDir()
	var st unix.Statfs_t
	if unix.Statfs(host.Dirs.Data, &st) == nil {
		f.RootAllocated = st.Blocks * uint64(st.Bsize)
		f.RootUsed = (st.Blocks - st.Bfree) * uint64(st.Bsize)
		f.GraphStatus["Backing Filesystem"] = map[int64]string{0xef53: "extfs", 0x58465342: "xfs", 0x9123683e: "btrfs", 0x01021994: "tmpfs", 0x794c7630: "overlayfs"}[int64(st.Type)]
	}
}

// factsOfRegistries has podman's form: the search list and the registries in
// one map.
func factsOfRegistries() (map[string]any, error) {
	r, err := image.LoadRegistries(os.Getenv)
	if err != nil {
		return nil, err
	}
	facts := map[string]any{}
	for _, e := range r.Entries {
		facts[e.Prefix] = e
	}
	if len(r.Search) > 0 {
		facts["search"] = r.Search
	}
	return facts, nil
}
