package userns

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestParseSubid(t *testing.T) {
	ann := User{UID: 1000, GID: 1000, Name: "ann"}
	for _, c := range []struct {
		text string
		want []idRange
		bad  string
	}{
		{"", nil, ""},
		{"bob:1:2\n", nil, ""},
		{"bob:nonsense\nann:100000:65536\n", []idRange{{100000, 65536}}, ""},
		{"1000:5:6", []idRange{{5, 6}}, ""},
		{"ann:1:2\nann:7:1\n", []idRange{{1, 2}, {7, 1}}, ""},
		{"ann:1:0\n", nil, ""},
		{"# ann:1:2\n\n ann:3:4 \n", []idRange{{3, 4}}, ""},
		{"x:1:1\nann:1\n", nil, "line 2"},
		{"ann:-1:5\n", nil, "line 1"},
		{"ann:4294967295:5\n", nil, "line 1"},
		{"ann:1:99999999999\n", nil, "line 1"},
	} {
		got, err := parseSubid(c.text, ann)
		if c.bad != "" {
			if err == nil || !strings.Contains(err.Error(), c.bad) {
				t.Errorf("%q: error %v, want %s", c.text, err, c.bad)
			}
			continue
		}
		if err != nil || !cmp.Equal(got, c.want, cmp.AllowUnexported(idRange{})) {
			t.Errorf("%q: %v, %v, want %v", c.text, got, err, c.want)
		}
	}
}

func FuzzSubid(f *testing.F) {
	f.Add("ann:100000:65536\n", "ann")
	f.Add("1000:1:2\nann:\n", "")
	f.Fuzz(func(t *testing.T, text, name string) {
		ranges, err := parseSubid(text, User{UID: 1000, GID: 1000, Name: name})
		if err != nil && ranges != nil {
			t.Fatalf("both ranges %v and error %v", ranges, err)
		}
		end := uint64(0)
		for _, m := range stack(1000, ranges) {
			if m.Size == 0 || uint64(m.ContainerID) != end || uint64(m.HostID)+uint64(m.Size) > 1<<32 {
				t.Fatalf("%q: entry %v is empty, overflows or leaves a hole", text, m)
			}
			end += uint64(m.Size)
		}
	})
}

func TestKeepID(t *testing.T) {
	m := Map{stack(1000, []idRange{{100000, 65536}}), stack(1000, []idRange{{100000, 500}})}
	kept, err := KeepID(m, User{UID: 1000, GID: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for inside, outside := range map[uint32]uint32{0: 100000, 999: 100999, 1000: 1000, 1001: 101000, 65536: 165535} {
		if got, ok := kept.HostUID(inside); !ok || got != outside {
			t.Errorf("uid %d is %d outside, want %d", inside, got, outside)
		}
	}
	if _, ok := kept.HostUID(65537); ok {
		t.Error("an id beyond the range is mapped")
	}
	if got, ok := kept.HostGID(1000); !ok || got != 1000 {
		t.Errorf("gid 1000 is %d outside with a range of 500", got)
	}
	single, err := KeepID(Map{one(1000), one(1000)}, User{UID: 1000, GID: 1000})
	if got, ok := single.HostUID(1000); err != nil || !ok || got != 1000 || !single.Single() {
		t.Errorf("a single id kept: %v, %v", single, err)
	}
}

func TestIdentity(t *testing.T) {
	got, err := identity("         0          0 4294967295\n")
	if want := []specs.LinuxIDMapping{{Size: rootRange}}; err != nil || !cmp.Equal(got, want) {
		t.Errorf("the host: %v, %v", got, err)
	}
	got, err = identity("0 1000 1\n1 100000 65536\n")
	if want := []specs.LinuxIDMapping{{Size: 1}, {ContainerID: 1, HostID: 1, Size: rootRange - 1}}; err != nil || !cmp.Equal(got, want) {
		t.Errorf("a container: %v, %v", got, err)
	}
	if _, err := identity("nonsense"); err == nil {
		t.Error("nonsense is taken")
	}
}

// What KeepID does to a map, KeptID does to an id.
func TestKeptID(t *testing.T) {
	base := Map{stack(1000, []idRange{{100000, 65536}}), stack(1000, []idRange{{200000, 10}, {300000, 65526}})}
	for _, id := range []int{0, 1, 5, 9, 10, 11, 1000, 65536} {
		kept, err := KeepID(base, User{UID: id, GID: id})
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []uint32{0, 1, 2, 4, 5, 6, 9, 10, 11, 12, 999, 1000, 1001, 65535, 65536} {
			for name, lists := range map[string][2][]specs.LinuxIDMapping{"uid": {base.UIDs, kept.UIDs}, "gid": {base.GIDs, kept.GIDs}} {
				before, _ := outside(lists[0], at)
				after, ok := outside(lists[1], KeptID(at, uint32(id)))
				if !ok || before != after {
					t.Errorf("%s %d with %d kept: %d on the host, and then %d, %v", name, at, id, before, after, ok)
				}
			}
		}
	}
}

func TestInside(t *testing.T) {
	m := Map{UIDs: stack(1000, []idRange{{100000, 10}}), GIDs: one(100)}
	for _, test := range [][4]uint32{{1000, 100, 0, 0}, {100000, 100, 1, 0}, {100009, 101, 10, ^uint32(0)}, {100010, 0, ^uint32(0), ^uint32(0)}} {
		if u, g := m.Inside(test[0], test[1]); u != test[2] || g != test[3] {
			t.Errorf("%d:%d is %d:%d inside, want %d:%d", test[0], test[1], u, g, test[2], test[3])
		}
	}
}
