package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/storage"
)

// inspectedPod is a pod as podman shows it (podman-pod-inspect(1)). What rl has
// nothing of is left out.
type inspectedPod struct {
	ID               string `json:"Id"`
	Name             string
	Created          time.Time
	CreateCommand    []string
	ExitPolicy       string
	State            string
	Hostname         string
	Labels           map[string]string `json:",omitempty"`
	CreateCgroup     bool
	CgroupParent     string `json:",omitempty"`
	CgroupPath       string `json:",omitempty"`
	CreateInfra      bool
	InfraContainerID string          `json:",omitempty"`
	InfraConfig      *inspectedInfra `json:",omitempty"`
	SharedNamespaces []string        `json:",omitempty"`
	NumContainers    int
	Containers       []inspectedMember `json:",omitempty"`
	Mounts           []inspectedMount  `json:"mounts,omitempty"`
}

type inspectedMember struct{ Id, Name, State string } //nolint:revive // podman's names

type inspectedInfra struct {
	PortBindings                    map[string][]portBinding
	HostNetwork                     bool
	StaticIP, StaticMAC             string
	NoManageResolvConf              bool
	DNSServer, DNSSearch, DNSOption []string
	NoManageHosts                   bool
	HostAdd, Networks               []string
	NetworkOptions                  map[string][]string
	PidNS                           string `json:"pid_ns"`
	Userns                          string `json:"userns"`
	UTSNS                           string `json:"uts_ns"`
}

func inspectPod(p *container.Pod) inspectedPod {
	v := inspectedPod{ID: p.ID, Name: p.Name, Created: p.Created, CreateCommand: p.Command, ExitPolicy: p.ExitPolicy, State: p.State(), Hostname: p.Hostname, Labels: p.Labels,
		CreateInfra: p.Infra, SharedNamespaces: p.Share, NumContainers: len(p.Containers)}
	for _, i := range p.Containers {
		v.Containers = append(v.Containers, inspectedMember{i.ID, i.Name(), string(i.Status)})
	}
	infra := p.InfraContainer()
	if infra == nil {
		return v
	}
	v.InfraContainerID, v.Mounts = infra.ID, inspectMounts(infra)
	o := &infra.Options
	own := func(host bool) string {
		if host {
			return "host"
		}
		return "private"
	}
	v.InfraConfig = &inspectedInfra{PortBindings: portBindings(infra, nil, false), HostNetwork: o.Network == container.NetworkHost, DNSServer: o.DNS, DNSSearch: o.DNSSearch, DNSOption: o.DNSOptions,
		HostAdd: o.AddHost, PidNS: own(o.HostPID), Userns: "host", UTSNS: own(o.HostUTS)}
	if o.KeepID {
		v.InfraConfig.Userns = o.KeepMode()
	}
	return v
}

func podInspectFlags(f *flags.Set) func(Streams, []string) error {
	format := f.StringP("format", "f", "json", "json, or a template")
	latest := f.BoolP("latest", "l", false, "the pod that was made last")
	return func(s Streams, args []string) error {
		if len(args) == 0 && !*latest {
			return usageError{Text: "no names or ids specified", Command: "pod inspect"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		if args, err = (&podSelection{latest: *latest}).refs(host, args); err != nil {
			return err
		}
		list, failed := []any{}, []error{}
		for _, ref := range args {
			pod, err := container.FindPod(host.Dirs, ref)
			if errors.Is(err, storage.ErrNoPod) {
				err = fmt.Errorf("inspecting object: %w %s", storage.ErrNoPod, ref)
			}
			if err != nil {
				failed = append(failed, err)
				continue
			}
			list = append(list, inspectPod(pod))
		}
		// One pod is shown as itself, not in a list, by podman 4.
		if len(list) == 1 && len(args) == 1 && (*format == "json" || *format == "") {
			return printJSON(s.Out, list[0])
		}
		return errors.Join(append([]error{printInspected(s, list, *format)}, failed...)...)
	}
}

// inspectPodRef is for inspect --type pod.
func inspectPodRef(_ *inspection, host container.Host, ref string) (any, error) {
	pod, err := container.FindPod(host.Dirs, ref)
	if err != nil {
		return nil, err
	}
	return inspectPod(pod), nil
}

func podLogsFlags(f *flags.Set) func(Streams, []string) error {
	c := &logsCommand{}
	name := f.StringP("container", "c", "", "those of one container alone")
	f.BoolVarP(&c.follow, "follow", "f", false, "go on until the containers end")
	f.StringVar(&c.since, "since", "", "leave out what is older: a time, or a duration before now")
	f.StringVar(&c.until, "until", "", "leave out what is younger; with --follow a duration is one from now on")
	f.StringVar(&c.tail, "tail", "-1", "the last lines of each only")
	f.BoolVarP(&c.stamps, "timestamps", "t", false, "show the time of each line")
	f.BoolVarP(&c.names, "names", "n", false, "show the container's name before each line, in place of its id")
	f.BoolVar(&c.color, "color", false, "show each container's lines in another color")
	latest := f.BoolP("latest", "l", false, "the pod that was made last")
	return func(s Streams, args []string) error {
		if err := c.check([]string{"pod"}, time.Now()); err != nil {
			return usageError{Text: err.Error(), Command: "pod logs"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		pod, rest, err := onePod(host, "pod logs", *latest, args)
		if err == nil {
			err = exactly("pod logs", rest, 0)
		}
		if err != nil {
			return err
		}
		list := slices.DeleteFunc(podMembers(pod), func(i *container.Info) bool {
			return infra(i) || *name != "" && i.Name() != *name && !strings.HasPrefix(i.ID, *name)
		})
		if len(list) == 0 && *name != "" {
			return fmt.Errorf("container %s is not in pod %s: %w", *name, pod.Name, storage.ErrNoContainer)
		}
		return c.show(s, list)
	}
}

func podTopFlags(f *flags.Set) func(Streams, []string) error {
	latest := f.BoolP("latest", "l", false, "the pod that was made last")
	return func(s Streams, args []string) error {
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		pod, rest, err := onePod(host, "pod top", *latest, args)
		if err != nil {
			return fmt.Errorf("unable to look up requested container: %w", err)
		}
		columns, err := topNames(rest)
		if err != nil {
			return usageError{Text: err.Error(), Command: "pod top"}
		}
		var list []*container.Info
		for _, i := range pod.Containers {
			if i.Running() {
				list = append(list, i)
			}
		}
		if len(list) == 0 {
			return fmt.Errorf("pod top can only be used on pods with at least one running container: %w", container.ErrNotRunning)
		}
		return showProcesses(s, list, columns)
	}
}

// podStatsColumns are those of podman-pod-stats(1).
var podStatsColumns = map[string]column[statsRow]{
	"Pod": {"POD", func(r statsRow) any { id, _ := podOf(r.info); return short(id) }}, "CID": {"CID", func(r statsRow) any { return r.id() }},
	"ID": {"ID", func(r statsRow) any { return r.id() }}, "Name": {"NAME", func(r statsRow) any { return r.info.Name() }},
	"CPU": {"CPU %", func(r statsRow) any { return r.percent(r.cpu()) }}, "MemUsage": {"MEM USAGE / LIMIT", func(r statsRow) any { return decimalPair(r.now.Memory, r.now.Limit) }},
	"MemUsageBytes": {"MEM USAGE / LIMIT", func(r statsRow) any { return binaryPair(r.now.Memory, r.now.Limit) }}, "Mem": {"MEM %", func(r statsRow) any { return r.percent(r.memory()) }},
	"NetIO":   {"NET IO", func(r statsRow) any { return decimalPair(r.now.NetIn, r.now.NetOut) }},
	"BlockIO": {"BLOCK IO", func(r statsRow) any { return decimalPair(r.now.BlockIn, r.now.BlockOut) }}, "PIDS": {"PIDS", func(r statsRow) any { return r.pids() }},
}

const podStatsTable = "{{.Pod}}\t{{.CID}}\t{{.Name}}\t{{.CPU}}\t{{.MemUsage}}\t{{.Mem}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDS}}"

func podStatsFlags(f *flags.Set) func(Streams, []string) error {
	o := &statsOptions{show: listing[statsRow]{table: podStatsTable, columns: podStatsColumns}}
	f.BoolVarP(&o.all, "all", "a", false, "those of all pods")
	f.BoolVar(&o.once, "no-stream", false, "show them once")
	f.BoolVar(&o.noReset, "no-reset", false, "do not clear the screen")
	f.StringVar(&o.format, "format", "", "json, [table] TEMPLATE, or nothing for a table")
	latest := f.BoolP("latest", "l", false, "the pod that was made last")
	return func(s Streams, args []string) error {
		if o.all && (*latest || len(args) > 0) || *latest && len(args) > 0 {
			return usageError{Text: "--all, --latest and arguments cannot be used together", Command: "pod stats"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		refs, err := (&podSelection{all: len(args) == 0 && !*latest, latest: *latest}).refs(host, args)
		if err != nil {
			return err
		}
		o.pick = func() (list []*container.Info, err error) {
			for _, ref := range refs {
				pod, err := container.FindPod(host.Dirs, ref)
				if err != nil {
					return nil, err
				}
				list = append(list, slices.DeleteFunc(pod.Containers, func(i *container.Info) bool { return !i.Running() })...)
			}
			return list, nil
		}
		return o.run(s, host, 5*time.Second)
	}
}
