package cli

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
)

// podRow is a pod as pod ps shows it.
type podRow struct {
	pod  *container.Pod
	long bool
}

// podColumns are what a template of --format can name (podman-pod-ps(1)).
var podColumns = map[string]column[podRow]{
	"ID": {"POD ID", func(r podRow) any { return r.id(r.pod.ID) }}, "Id": {"POD ID", func(r podRow) any { return r.id(r.pod.ID) }},
	"Name": {"NAME", func(r podRow) any { return r.pod.Name }}, "Status": {"STATUS", func(r podRow) any { return r.pod.State() }},
	"Labels":             {"LABELS", func(r podRow) any { return r.pod.Labels }},
	"NumberOfContainers": {"# OF CONTAINERS", func(r podRow) any { return len(r.pod.Containers) }}, "Cgroup": {"CGROUP", func(podRow) any { return "" }},
	"Created": {"CREATED", func(r podRow) any { return ago(r.pod.Created) }}, "InfraID": {"INFRA ID", func(r podRow) any { return r.id(r.infra()) }},
	"InfraId": {"INFRA ID", func(r podRow) any { return r.id(r.infra()) }}, "Namespace": {"NAMESPACES", func(r podRow) any { return strings.Join(r.pod.Share, ",") }},
	"Networks":          {"NETWORKS", func(r podRow) any { return strings.Join(r.networks(), ",") }},
	"ContainerIds":      {"IDS", func(r podRow) any { return r.each(func(i *container.Info) string { return r.id(i.ID) }) }},
	"ContainerNames":    {"NAMES", func(r podRow) any { return r.each((*container.Info).Name) }},
	"ContainerStatuses": {"STATUS", func(r podRow) any { return r.each(func(i *container.Info) string { return string(i.Status) }) }},
}

func (r podRow) id(id string) string {
	if r.long || id == "" {
		return id
	}
	return short(id)
}

func (r podRow) infra() string {
	if i := r.pod.InfraContainer(); i != nil {
		return i.ID
	}
	return ""
}

func (r podRow) networks() []string {
	if i := r.pod.InfraContainer(); i != nil {
		return networksOf(i)
	}
	return []string{}
}

func (r podRow) each(what func(*container.Info) string) string {
	var list []string
	for _, i := range r.pod.Containers {
		list = append(list, what(i))
	}
	return strings.Join(list, ",")
}

// podJSON is a pod as `pod ps --format json` shows it.
type podJSON struct {
	Cgroup     string
	Containers []podJSONMember
	Created    time.Time
	ID         string `json:"Id"`
	InfraID    string `json:"InfraId"`
	Name       string
	Namespace  string
	Networks   []string
	Status     string
	Labels     map[string]string
}

type podJSONMember struct {
	ID     string `json:"Id"`
	Names  string
	Status string
}

func (r podRow) json() podJSON {
	v := podJSON{Created: r.pod.Created, ID: r.pod.ID, InfraID: r.infra(), Name: r.pod.Name, Networks: r.networks(), Status: r.pod.State(), Labels: r.pod.Labels,
		Containers: []podJSONMember{}}
	for _, i := range r.pod.Containers {
		v.Containers = append(v.Containers, podJSONMember{i.ID, i.Name(), string(i.Status)})
	}
	return v
}

// podListing are the flags of pod ps.
type podListing struct {
	ids, names, status, long, latest, quiet, noHeader, namespaces bool
	format, order                                                 string
	filters                                                       []string
}

func podPsFlags(f *flags.Set) func(Streams, []string) error {
	o := &podListing{}
	f.BoolVar(&o.ids, "ctr-ids", false, "show the ids of containers")
	f.BoolVar(&o.names, "ctr-names", false, "show their names")
	f.BoolVar(&o.status, "ctr-status", false, "show their states")
	f.BoolVar(&o.long, "no-trunc", false, "show whole ids")
	f.BoolVarP(&o.latest, "latest", "l", false, "show the one that was made last")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "show ids alone")
	f.BoolVar(&o.noHeader, "noheading", false, "leave out the head of the table")
	f.BoolVar(&o.namespaces, "ns", false, "show namespaces")
	f.BoolVar(&o.namespaces, "namespace", false, "the same")
	f.StringVar(&o.format, "format", "", "json, [table] TEMPLATE, or nothing for a table")
	f.StringVar(&o.order, "sort", "created", "created|id|name|status|number")
	f.StringArrayVarP(&o.filters, "filter", "f", nil, "id|name|label|status|until|network|ctr-ids|ctr-names|ctr-number|ctr-status=VALUE")
	return func(s Streams, args []string) error {
		if err := exactly("pod ps", args, 0); err != nil {
			return err
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		list, unread := container.Pods(host.Dirs)
		if list, err = o.pick(list); err != nil {
			return usageError{Text: err.Error(), Command: "pod ps"}
		}
		return errors.Join(o.print(s, list), unread)
	}
}

// pick leaves what was asked for, in its order.
func (o *podListing) pick(list []*container.Pod) ([]*container.Pod, error) {
	if o.quiet && o.format != "" {
		return nil, errors.New("quiet and format cannot be used together")
	}
	compare, ok := podOrders[o.order]
	if !ok {
		return nil, errors.New("invalid option for --sort, options are: id, names, or number")
	}
	for _, text := range o.filters {
		test, err := podFilter(text)
		if err != nil {
			return nil, err
		}
		list = slices.DeleteFunc(list, func(p *container.Pod) bool { return !test(p) })
	}
	if o.latest {
		list = list[:min(1, len(list))]
	}
	if compare != nil {
		slices.SortStableFunc(list, compare)
	}
	return list, nil
}

// podOrders are those of --sort; nil is the newest first, as they come.
var podOrders = map[string]func(a, b *container.Pod) int{
	"created": nil, "id": func(a, b *container.Pod) int { return strings.Compare(a.ID, b.ID) },
	"name": comparePodNames, "names": comparePodNames,
	"status": func(a, b *container.Pod) int { return strings.Compare(a.State(), b.State()) },
	"number": func(a, b *container.Pod) int { return len(a.Containers) - len(b.Containers) },
}

func comparePodNames(a, b *container.Pod) int { return strings.Compare(a.Name, b.Name) }

type podTest = func(*container.Pod) bool

func podFilter(text string) (podTest, error) {
	key, value, ok := strings.Cut(text, "=")
	if !ok {
		return nil, fmt.Errorf("invalid filter %q: KEY=VALUE", text)
	}
	switch key {
	case "id", "name", "ctr-ids", "ctr-names":
		return podNameTest(key, value)
	case "status":
		if !slices.Contains([]string{"stopped", "running", "paused", "exited", "dead", "created", "degraded"}, value) {
			return nil, fmt.Errorf("%s is not a valid pod status", value)
		}
		return func(p *container.Pod) bool { return strings.EqualFold(p.State(), value) }, nil
	case "ctr-number":
		number, err := strconv.Atoi(value)
		return func(p *container.Pod) bool { return len(p.Containers) == number }, err
	case "ctr-status":
		if !slices.Contains([]string{"created", "running", "paused", "stopped", "exited", "unknown"}, value) {
			return nil, fmt.Errorf("%s is not a valid status", value)
		}
		return anyMember(func(i *container.Info) bool {
			return string(i.Status) == value || value == "stopped" && i.Status == container.StatusExited
		}), nil
	case "label", "label!":
		name, want, valued := strings.Cut(value, "=")
		return func(p *container.Pod) bool {
			is, there := p.Labels[name]
			return (there && (!valued || is == want)) == (key == "label")
		}, nil
	case "until":
		limit, err := parseTime(value, time.Now())
		return func(p *container.Pod) bool { return p.Created.Before(limit) }, err
	case "network":
		return func(p *container.Pod) bool { return slices.Contains(podRow{pod: p}.networks(), value) }, nil
	}
	return nil, fmt.Errorf("%s is an invalid filter", key)
}

func anyMember(test func(*container.Info) bool) podTest {
	return func(p *container.Pod) bool { return slices.ContainsFunc(p.Containers, test) }
}

// podNameTest takes regular expressions; an id is matched from its beginning.
func podNameTest(key, value string) (podTest, error) {
	if strings.HasSuffix(key, "id") || strings.HasSuffix(key, "ids") {
		value = "^(?:" + value + ")"
	}
	pattern, err := regexp.Compile(value)
	if err != nil {
		return nil, fmt.Errorf("--filter %s: %w", key, err)
	}
	switch key {
	case "id":
		return func(p *container.Pod) bool { return pattern.MatchString(p.ID) }, nil
	case "name":
		return func(p *container.Pod) bool { return pattern.MatchString(p.Name) }, nil
	case "ctr-ids":
		return anyMember(func(i *container.Info) bool { return pattern.MatchString(i.ID) }), nil
	}
	return anyMember(func(i *container.Info) bool { return pattern.MatchString(i.Name()) }), nil
}

func (o *podListing) print(s Streams, list []*container.Pod) error {
	rows, whole := []podRow{}, []podJSON{}
	for _, p := range list {
		rows = append(rows, podRow{p, o.long})
		if o.format == "json" {
			whole = append(whole, podRow{pod: p}.json())
		}
	}
	format := o.format
	if o.quiet {
		format = "{{.ID}}"
	}
	l := listing[podRow]{table: o.table(), columns: podColumns, noHead: o.noHeader, labels: func(r podRow) map[string]string { return r.pod.Labels }}
	return l.print(s.Out, format, rows, whole)
}

func (o *podListing) table() string {
	table := "{{.ID}}\t{{.Name}}\t{{.Status}}\t{{.Created}}\t{{.InfraID}}"
	if o.namespaces {
		table += "\t{{.Cgroup}}\t{{.Namespace}}"
	}
	if !o.ids && !o.names && !o.status {
		return table + "\t{{.NumberOfContainers}}"
	}
	for _, c := range []struct {
		wanted bool
		column string
	}{{o.ids, "ContainerIds"}, {o.names, "ContainerNames"}, {o.status, "ContainerStatuses"}} {
		if c.wanted {
			table += "\t{{." + c.column + "}}"
		}
	}
	return table
}
