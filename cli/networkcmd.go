package cli

import (
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/storage"
)

// networkCreateFlags is podman-network-create(1).
func networkCreateFlags(f *flags.Set) func(Streams, []string) error {
	w := &networkWanted{}
	f.BoolVar(&w.noDNS, "disable-dns", false, "do not answer for the names of containers")
	f.StringVarP(&w.driver, "driver", "d", "bridge", "bridge alone")
	f.StringArrayVar(&w.gateways, "gateway", nil, "address of the gateway")
	f.BoolVar(&w.internal, "internal", false, "no way out of the network")
	f.StringArrayVar(&w.ranges, "ip-range", nil, "network from which addresses are given out")
	f.StringVar(&w.ipam, "ipam-driver", "host-local", "host-local alone")
	f.BoolVar(&w.six, "ipv6", false, "not supported: an error")
	f.BoolVar(&w.ignore, "ignore", false, "do not mind a network of this name that is there")
	f.StringArrayVar(&w.labels, "label", nil, "NAME[=VALUE]")
	f.StringArrayVarP(&w.options, "opt", "o", nil, "mtu=NUMBER")
	f.StringArrayVar(&w.subnets, "subnet", nil, "the network's addresses: 10.89.7.0/24 (default: free ones)")
	return func(s Streams, args []string) error {
		if len(args) > 1 {
			return usageError{Text: "network create takes one name", Command: "network create"}
		}
		if len(args) == 1 {
			w.name = args[0]
		}
		if w.driver != "bridge" {
			return fmt.Errorf("unsupported driver %s: without root there is bridge alone", w.driver)
		}
		if w.ipam != "host-local" && w.ipam != "" && w.ipam != "default" {
			return fmt.Errorf("unsupported ipam driver %s: host-local alone", w.ipam)
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		if w.ignore && w.name != "" {
			if n, err := networkFind(host.Dirs, w.name); err == nil && n.Name == w.name {
				_, err = fmt.Fprintln(s.Out, n.Name)
				return err
			}
		}
		n, err := w.create(host.Dirs)
		if err == nil {
			happened(host.Dirs, "network", "create", n.ID, n.Name)
			_, err = fmt.Fprintln(s.Out, n.Name)
		}
		return err
	}
}

// networkColumns are what a template of network ls can name.
var networkColumns = map[string]column[*userNetwork]{
	"ID": {"NETWORK ID", func(n *userNetwork) any { return n.ID }}, "Name": {"NAME", func(n *userNetwork) any { return n.Name }},
	"Driver": {"DRIVER", func(n *userNetwork) any { return n.Driver }}, "Labels": {"LABELS", func(n *userNetwork) any { return labelText(n.Labels) }},
	"Options": {"OPTIONS", func(n *userNetwork) any { return n.Options }}, "IPAMOptions": {"IPAM OPTIONS", func(n *userNetwork) any { return n.IPAMOptions }},
	"Created": {"CREATED", func(n *userNetwork) any { return n.Created }}, "Internal": {"INTERNAL", func(n *userNetwork) any { return n.Internal }},
	"IPv6Enabled": {"IPV6 ENABLED", func(n *userNetwork) any { return n.IPv6Enabled }}, "DNSEnabled": {"DNS ENABLED", func(n *userNetwork) any { return n.DNSEnabled }},
	"NetworkInterface": {"NETWORK INTERFACE", func(n *userNetwork) any { return n.NetworkInterface }}, "Subnets": {"SUBNETS", func(n *userNetwork) any { return n.Subnets }},
}

func labelText(labels map[string]string) string {
	var list []string
	for name, value := range labels {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return strings.Join(list, ",")
}

func networkLsFlags(f *flags.Set) func(Streams, []string) error {
	var filters []string
	f.StringArrayVarP(&filters, "filter", "f", nil, "name|id|label|driver|until|dangling=VALUE")
	format := f.String("format", "", "json, [table] TEMPLATE, or nothing for a table")
	long := f.Bool("no-trunc", false, "show whole ids")
	noHead := f.Bool("noheading", false, "leave out the head of the table")
	quiet := f.BoolP("quiet", "q", false, "show names alone")
	return func(s Streams, args []string) error {
		if err := exactly("network ls", args, 0); err != nil {
			return err
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		list, err := filteredNetworks(host, filters)
		if err != nil && !errors.Is(err, errNetworkDamaged) {
			return err
		}
		l := listing[*userNetwork]{table: "{{.ID}}\t{{.Name}}\t{{.Driver}}", columns: networkColumns, noHead: *noHead, labels: func(n *userNetwork) map[string]string { return n.Labels }}
		if *quiet {
			*format = "{{.Name}}"
		}
		rows := slices.Clone(list)
		if !*long && *format != "json" {
			for i, n := range rows {
				one := *n
				one.ID = short(n.ID)
				rows[i] = &one
			}
		}
		return errors.Join(l.print(s.Out, *format, rows, list), err)
	}
}

func filteredNetworks(host container.Host, filters []string) ([]*userNetwork, error) {
	list, unread := networkList(host.Dirs)
	if len(filters) == 0 {
		return list, unread
	}
	all, err := container.List(host.Dirs)
	if err != nil {
		return nil, err
	}
	tests := map[string][]func(*userNetwork) bool{}
	for _, text := range filters {
		key, value, found := strings.Cut(text, "=")
		if !found {
			return nil, fmt.Errorf("invalid filter %q: KEY=VALUE", text)
		}
		test, err := networkFilter(key, value, all)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(key, "label") {
			key = text // labels must all be there, of others one
		}
		tests[key] = append(tests[key], test)
	}
	return slices.DeleteFunc(list, func(n *userNetwork) bool {
		for _, one := range tests {
			if !slices.ContainsFunc(one, func(test func(*userNetwork) bool) bool { return test(n) }) {
				return true
			}
		}
		return false
	}), unread
}

func networkFilter(key, value string, all []*container.Info) (func(*userNetwork) bool, error) {
	switch key {
	case "name":
		pattern, err := regexp.Compile(value)
		if err != nil {
			return nil, fmt.Errorf("--filter name=%s: %w", value, err)
		}
		return func(n *userNetwork) bool { return pattern.MatchString(n.Name) }, nil
	case "id":
		return func(n *userNetwork) bool { return strings.HasPrefix(n.ID, value) }, nil
	case "driver":
		return func(n *userNetwork) bool { return n.Driver == value }, nil
	case "label", "label!":
		name, want, valued := strings.Cut(value, "=")
		return func(n *userNetwork) bool {
			is, there := n.Labels[name]
			return (there && (!valued || is == want)) == (key == "label")
		}, nil
	case "until":
		until, err := parseTime(value, time.Now())
		return func(n *userNetwork) bool { return n.Created.Before(until) }, err
	case "dangling":
		if value != "true" && value != "false" {
			return nil, fmt.Errorf("invalid value for dangling filter: %s: true or false", value)
		}
		return func(n *userNetwork) bool { return (len(members(all, n)) == 0) == (value == "true") }, nil
	}
	return nil, fmt.Errorf("invalid filter %q", key)
}

func networkInspectFlags(f *flags.Set) func(Streams, []string) error {
	format := f.StringP("format", "f", "", "json, or a template")
	return func(s Streams, args []string) error {
		if len(args) == 0 {
			return usageError{Text: "network inspect needs a network", Command: "network inspect"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		list, failed := []any{}, []error{}
		for _, ref := range args {
			n, err := networkFind(host.Dirs, ref)
			if err != nil {
				failed = append(failed, err)
				continue
			}
			list = append(list, n)
		}
		return removalCode(errors.Join(append([]error{printInspected(s, list, *format)}, failed...)...), errNoNetwork, errNetworkUsed)
	}
}

func networkExistsFlags(*flags.Set) func(Streams, []string) error {
	return func(_ Streams, args []string) error {
		if err := exactly("network exists", args, 1); err != nil {
			return err
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		if _, err = networkFind(host.Dirs, args[0]); errors.Is(err, errNoNetwork) {
			return container.Exit{Code: 1}
		}
		return err
	}
}

func networkRmFlags(f *flags.Set) func(Streams, []string) error {
	force := f.BoolP("force", "f", false, "remove the containers of the network too, and do not mind a network that is not there")
	limit := f.StringP("time", "t", "", "with --force: seconds until KILL (default 10)")
	return func(s Streams, args []string) error {
		if len(args) == 0 {
			return usageError{Text: "network rm needs a network", Command: "network rm"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		var failed []error
		for _, ref := range args {
			n, err := networkFind(host.Dirs, ref)
			if networkDamaged(host.Dirs, ref) {
				n, err = &userNetwork{Name: ref}, nil
			}
			if err == nil {
				err = removeNetwork(host, n, *force, *limit)
			}
			switch {
			case *force && errors.Is(err, errNoNetwork):
			case err != nil:
				failed = append(failed, err)
			default:
				fmt.Fprintln(s.Out, ref)
			}
		}
		return removalCode(errors.Join(failed...), errNoNetwork, errNetworkUsed)
	}
}

// networkDamaged says whether the file of that name cannot be read.
func networkDamaged(d storage.Dirs, name string) bool {
	if !networkName(name) {
		return false
	}
	_, err := readNetwork(d, name+".json")
	return errors.Is(err, errNetworkDamaged)
}

func removeNetwork(host container.Host, n *userNetwork, force bool, limit string) error {
	if n.Name == defaultNetwork {
		return fmt.Errorf("default network %s cannot be removed", n.Name)
	}
	all, err := container.List(host.Dirs)
	if err != nil && len(container.AllBroken(err)) == 0 { // one that cannot be read cannot be started either
		return err
	}
	for _, i := range members(all, n) {
		if !force {
			return fmt.Errorf("%q has associated containers with it. Use -f to forcibly delete containers and pods: %w", n.Name, errNetworkUsed)
		}
		if err := stop(host, i, "", limit); err != nil {
			return err
		}
		if err := container.Delete(host, i, true); err != nil {
			return err
		}
	}
	if err := os.Remove(path.Join(networksDir(host.Dirs), n.Name+".json")); err != nil {
		return fmt.Errorf("removing network %s: %w", n.Name, err)
	}
	happened(host.Dirs, "network", "remove", n.ID, n.Name)
	if n.ID == "" {
		return nil
	}
	return os.RemoveAll(container.SegmentDir(host.Dirs.Run, n.ID[:12]))
}

func networkPruneFlags(f *flags.Set) func(Streams, []string) error {
	var filters []string
	f.StringArrayVar(&filters, "filter", nil, "label|until=VALUE")
	force := f.BoolP("force", "f", false, "do not ask")
	return func(s Streams, args []string) error {
		if err := exactly("network prune", args, 0); err != nil {
			return err
		}
		if !*force && !confirm(s, "WARNING! This will remove all networks not used by at least one container.") {
			return nil
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		list, err := filteredNetworks(host, append(filters, "dangling=true"))
		pruned := 0
		for _, n := range list {
			if n.Name == defaultNetwork {
				continue
			}
			if failed := removeNetwork(host, n, false, ""); failed != nil {
				err = errors.Join(err, failed)
				continue
			}
			pruned++
			fmt.Fprintln(s.Out, n.Name)
		}
		if pruned > 0 {
			happened(host.Dirs, "network", "prune", "", "")
		}
		return err
	}
}

// networkReloadFlags: there are no rules of a firewall that could be lost.
func networkReloadFlags(f *flags.Set) func(Streams, []string) error {
	sel := &selection{command: "network reload"}
	sel.flags(f)
	return func(s Streams, args []string) error {
		return sel.each(s, args, func(container.Host, *container.Info) error { return nil })
	}
}
