package container

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	netconfig "containers/rl/netslirp/config"
	"containers/rl/storage"
)

func TestCloneName(t *testing.T) {
	for _, test := range []struct {
		name  string
		taken []string
		want  string
	}{
		{"web", nil, "web-clone"},
		{"web", []string{"web-clone"}, "web-clone1"},
		{"web", []string{"web-clone", "web-clone1", "web-clone2"}, "web-clone3"},
		{"web-clone", []string{"web-clone"}, "web-clone1"},
		{"web-clone1", []string{"web-clone", "web-clone1"}, "web-clone2"},
		{"web-clones", nil, "web-clones-clone"},
	} {
		if got := CloneName(test.name, func(name string) bool { return slices.Contains(test.taken, name) }); got != test.want {
			t.Errorf("%s beside %v: %s, want %s", test.name, test.taken, got, test.want)
		}
	}
}

// A clone has all that the record has, but for what tells one from another; and
// what is changed of it is not the container's.
func TestClone(t *testing.T) {
	id := strings.Repeat("ab", 32)
	i := &Info{Entry: storage.Entry{ID: id}, Record: Record{Image: "alpine"}}
	i.Options = Options{ID: id, Name: "one", Hostname: id[:12], Env: []string{"A=b"}, Labels: map[string]string{"l": "v"}, Slirp: netconfig.Default(), StopTimeout: 3,
		Joins: &Joins{PID: "container:x", Network: "container:y"}, Mounts: []specs.Mount{{Destination: "/b", Type: "bind", Source: "/s"}}, Rare: &Rare{Requires: []string{"x", "z"}}}
	before := string(encode(i.Options))
	o, err := i.Clone(storage.Dirs{})
	if err != nil {
		t.Fatal(err)
	}
	if o.ID == id || len(o.ID) != len(id) || o.Name != "" || o.Hostname != o.ID[:12] || o.ImageName != "alpine" {
		t.Errorf("id %s, name %q, host name %s, image %s", o.ID, o.Name, o.Hostname, o.ImageName)
	}
	o.Labels["l"], o.Mounts[0].Source = "other", "/t"
	o.Follow(map[string]string{"x": "x2"})
	if *o.Joins != (Joins{PID: "container:x2", Network: "container:y"}) || !slices.Equal(o.Rare.Requires, []string{"x2", "z"}) {
		t.Errorf("it follows to %v and %v", o.Joins, o.Rare.Requires)
	}
	if after := string(encode(i.Options)); after != before {
		t.Errorf("the container is another:\n%s\n%s", before, after)
	}
}

// In a pod it shares what the pod's containers share, and nothing contradicts that.
func TestEnter(t *testing.T) {
	member := &Info{Entry: storage.Entry{ID: "infra"}}
	member.Options.Pod = &Membership{Infra: true}
	p := &Pod{PodRecord: PodRecord{ID: "p", Name: "pod", Share: []string{"net", "uts"}, ExitPolicy: ExitStop}, Containers: []*Info{member}}
	o := &Options{HostPID: true, HostUTS: true, KeepID: true, DNS: []string{"1.1.1.1"}, Ports: []netconfig.Port{{Port: 80}}, Slirp: netconfig.Default(),
		Joins: &Joins{User: "container:c", IPC: "container:c", Network: "container:c"}}
	o.Enter(p)
	want := &Options{HostPID: true, Network: NetworkJoined, Pod: &Membership{ID: "p", Name: "pod", Ends: true},
		Joins: &Joins{User: "container:infra", UTS: "container:infra", Network: "container:infra"}}
	if !reflect.DeepEqual(o, want) {
		t.Errorf("%+v, want %+v", o, want)
	}
}

// Where the pod shares no network, or nothing, it has one of its own.
func TestEnterAlone(t *testing.T) {
	member := &Info{Entry: storage.Entry{ID: "infra"}}
	member.Options.Pod = &Membership{Infra: true}
	for _, test := range []struct {
		pod  Pod
		want *Joins
	}{
		{Pod{PodRecord: PodRecord{Share: []string{"uts"}}, Containers: []*Info{member}}, &Joins{User: "container:infra", UTS: "container:infra"}},
		{Pod{PodRecord: PodRecord{Share: []string{"net"}}}, nil},
	} {
		o := &Options{Network: NetworkJoined, Joins: &Joins{User: "container:other", PID: "container:other", Network: "container:other"}}
		o.Enter(&test.pod)
		if want := (&Options{Slirp: netconfig.Default(), Pod: &Membership{}, Joins: test.want}); !reflect.DeepEqual(o, want) {
			t.Errorf("%v: %+v, want %+v", test.pod.Share, o, want)
		}
	}
}

func TestInOrder(t *testing.T) {
	made := func(id string, needs ...string) *Info {
		i := &Info{Entry: storage.Entry{ID: id}}
		i.Options.Rare = &Rare{Requires: needs}
		return i
	}
	a, b, c := made("a", "c"), made("b"), made("c", "b")
	c.Options.Joins = &Joins{IPC: "container:b"}
	if got := InOrder([]*Info{a, b, c}); !slices.Equal(got, []*Info{b, c, a}) {
		t.Errorf("%v", got)
	}
	x, y := made("x", "y"), made("y", "x")
	if got := InOrder([]*Info{x, y}); !slices.Equal(got, []*Info{x, y}) {
		t.Errorf("a circle: %v", got)
	}
}
