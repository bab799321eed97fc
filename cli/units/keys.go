package units

// kind says how the values of a key become words of the command line.
type kind int

const (
	special kind = iota // by code of its own
	one                 // the last value
	many                // each value
	words               // each word of all values
	truth               // the flag alone, or what stands for no
	refused             // an error, with the reason
)

// key is one of a section that is ours.
type key struct {
	name string
	kind kind
	flag string // --flag, or --flag= with what the value is put behind; the reason when refused
	no   string // of truth
}

// containerKeys are those of [Container], in the order of the command line.
var containerKeys = [...]key{
	{"AddCapability", words, "--cap-add", ""},
	{"DropCapability", words, "--cap-drop", ""},
	{"AddDevice", special, "--device", ""},
	{"AddHost", many, "--add-host", ""},
	{"Annotation", words, "--annotation", ""},
	{"AutoUpdate", one, "--label=io.containers.autoupdate=", ""},
	{"CgroupsMode", special, "--cgroups", ""},
	{"ContainerName", special, "--name", ""},
	{"ContainersConfModule", refused, "rl reads no containers.conf", ""},
	{"DNS", many, "--dns", ""},
	{"DNSOption", many, "--dns-option", ""},
	{"DNSSearch", many, "--dns-search", ""},
	{"Entrypoint", one, "--entrypoint", ""},
	{"Environment", words, "--env", ""},
	{"EnvironmentFile", special, "--env-file", ""},
	{"EnvironmentHost", truth, "--env-host", ""},
	{"Exec", special, "", ""},
	{"ExposeHostPort", many, "--expose", ""},
	{"GIDMap", many, "--gidmap", ""},
	{"GlobalArgs", special, "", ""},
	{"Group", special, "--user", ""},
	{"GroupAdd", many, "--group-add", ""},
	{"HealthCmd", one, "--health-cmd", ""},
	{"HealthInterval", one, "--health-interval", ""},
	{"HealthLogDestination", one, "--health-log-destination", ""},
	{"HealthMaxLogCount", one, "--health-max-log-count", ""},
	{"HealthMaxLogSize", one, "--health-max-log-size", ""},
	{"HealthOnFailure", one, "--health-on-failure", ""},
	{"HealthRetries", one, "--health-retries", ""},
	{"HealthStartPeriod", one, "--health-start-period", ""},
	{"HealthStartupCmd", one, "--health-startup-cmd", ""},
	{"HealthStartupInterval", one, "--health-startup-interval", ""},
	{"HealthStartupRetries", one, "--health-startup-retries", ""},
	{"HealthStartupSuccess", one, "--health-startup-success", ""},
	{"HealthStartupTimeout", one, "--health-startup-timeout", ""},
	{"HealthTimeout", one, "--health-timeout", ""},
	{"HostName", one, "--hostname", ""},
	{"Image", special, "", ""},
	{"IP", one, "--ip", ""},
	{"IP6", one, "--ip6", ""},
	{"Label", words, "--label", ""},
	{"LogDriver", one, "--log-driver", ""},
	{"LogOpt", many, "--log-opt", ""},
	{"Mask", refused, "paths are masked as by default, or not at all: Unmask=ALL", ""},
	{"Memory", one, "--memory", ""},
	{"Mount", special, "--mount", ""},
	{"Network", special, "--network", ""},
	{"NetworkAlias", many, "--network-alias", ""},
	{"NoNewPrivileges", truth, "--security-opt=no-new-privileges", ""},
	{"Notify", special, "--sdnotify", ""},
	{"PidsLimit", one, "--pids-limit", ""},
	{"Pod", refused, "files .pod are not supported: rl generate systemd makes the units of a pod", ""},
	{"PodmanArgs", special, "", ""},
	{"PublishPort", many, "--publish", ""},
	{"Pull", one, "--pull", ""},
	{"ReadOnly", truth, "--read-only", ""},
	{"ReadOnlyTmpfs", truth, "--read-only-tmpfs", "--read-only-tmpfs=false"},
	{"ReloadCmd", special, "", ""},
	{"ReloadSignal", special, "", ""},
	{"Retry", one, "--retry", ""},
	{"RetryDelay", one, "--retry-delay", ""},
	{"RlArgs", special, "", ""},
	{"Rootfs", special, "--rootfs", ""},
	{"RunInit", truth, "--init", ""},
	{"SeccompProfile", one, "--security-opt=seccomp=", ""},
	{"Secret", many, "--secret", ""},
	{"SecurityLabelDisable", truth, "--security-opt=label=disable", ""},
	{"SecurityLabelFileType", refused, "rl sets no labels of SELinux", ""},
	{"SecurityLabelLevel", refused, "rl sets no labels of SELinux", ""},
	{"SecurityLabelNested", refused, "rl sets no labels of SELinux", ""},
	{"SecurityLabelType", refused, "rl sets no labels of SELinux", ""},
	{"ServiceName", special, "", ""},
	{"ShmSize", one, "--shm-size", ""},
	{"StartWithPod", refused, "files .pod are not supported", ""},
	{"StopSignal", one, "--stop-signal", ""},
	{"StopTimeout", one, "--stop-timeout", ""},
	{"SubGIDMap", one, "--subgidname", ""},
	{"SubUIDMap", one, "--subuidname", ""},
	{"Sysctl", words, "--sysctl", ""},
	{"Timezone", one, "--tz", ""},
	{"Tmpfs", many, "--tmpfs", ""},
	{"UIDMap", many, "--uidmap", ""},
	{"Ulimit", many, "--ulimit", ""},
	{"Unmask", one, "--security-opt=unmask=", ""},
	{"User", special, "--user", ""},
	{"UserNS", one, "--userns", ""},
	{"Volume", special, "--volume", ""},
	{"WorkingDir", one, "--workdir", ""},
}

// volumeKeys are those of [Volume].
var volumeKeys = [...]key{
	{"ContainersConfModule", refused, "rl reads no containers.conf", ""},
	{"Copy", truth, "--opt=copy", "--opt=nocopy"},
	{"Device", one, "--opt=device=", ""},
	{"Driver", one, "--driver", ""},
	{"GlobalArgs", special, "", ""},
	{"Group", special, "", ""},
	{"Image", refused, "the driver of volumes is local: there is none that is an image's", ""},
	{"Label", words, "--label", ""},
	{"Options", special, "", ""},
	{"PodmanArgs", special, "", ""},
	{"RlArgs", special, "", ""},
	{"ServiceName", special, "", ""},
	{"Type", one, "--opt=type=", ""},
	{"User", special, "", ""},
	{"VolumeName", special, "", ""},
}

// networkKeys are those of [Network].
var networkKeys = [...]key{
	{"ContainersConfModule", refused, "rl reads no containers.conf", ""},
	{"DisableDNS", truth, "--disable-dns", ""},
	{"DNS", many, "--dns", ""},
	{"Driver", one, "--driver", ""},
	{"Gateway", many, "--gateway", ""},
	{"GlobalArgs", special, "", ""},
	{"InterfaceName", one, "--interface-name", ""},
	{"Internal", truth, "--internal", ""},
	{"IPAMDriver", one, "--ipam-driver", ""},
	{"IPRange", many, "--ip-range", ""},
	{"IPv6", truth, "--ipv6", ""},
	{"Label", words, "--label", ""},
	{"NetworkDeleteOnStop", special, "", ""},
	{"NetworkName", special, "", ""},
	{"Options", many, "--opt", ""},
	{"PodmanArgs", special, "", ""},
	{"RlArgs", special, "", ""},
	{"ServiceName", special, "", ""},
	{"Subnet", many, "--subnet", ""},
}

// quadletKeys are those of [Quadlet].
var quadletKeys = [...]key{{"DefaultDependencies", special, "", ""}}

func find(keys []key, name string) *key {
	for n := range keys {
		if keys[n].name == name {
			return &keys[n]
		}
	}
	return nil
}
