package security

import (
	"bufio"
	"slices"
	"strings"
	"testing"
)

func TestAdjustCapabilities(t *testing.T) {
	base := []string{"CAP_CHOWN", "CAP_KILL"}
	for _, c := range []struct {
		add, drop []string
		want      string
	}{
		{nil, nil, "CAP_CHOWN CAP_KILL"},
		{[]string{"sys_admin"}, nil, "CAP_CHOWN CAP_KILL CAP_SYS_ADMIN"},
		{[]string{"CAP_KILL"}, []string{"chown"}, "CAP_KILL"},
		{[]string{"net_raw"}, []string{"all"}, "CAP_NET_RAW"},
		{nil, []string{"ALL"}, ""},
		{nil, []string{"CAP_MKNOD"}, "CAP_CHOWN CAP_KILL"},
	} {
		got, err := AdjustCapabilities(base, c.add, c.drop)
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("add %v drop %v: %v, %v, want %s", c.add, c.drop, got, err, c.want)
		}
	}
	all, err := AdjustCapabilities(base, []string{"ALL"}, []string{"SYS_ADMIN"})
	if err != nil || len(all) != len(AllCapabilities())-1 || slices.Contains(all, "CAP_SYS_ADMIN") {
		t.Errorf("all but one: %v, %v", all, err)
	}
	for _, bad := range []string{"", "NONSENSE", "CAP_", "CAP_CAP_KILL"} {
		if _, err := AdjustCapabilities(base, []string{bad}, nil); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestDefaultCapabilityMask(t *testing.T) {
	// What docker's containers show as CapBnd in /proc/self/status.
	if mask, err := CapabilityMask(DefaultCapabilities()); err != nil || mask != 0xa80425fb {
		t.Errorf("mask %#x, %v", mask, err)
	}
	if _, err := CapabilityMask([]string{"CAP_NONSENSE"}); err == nil {
		t.Error("an unknown capability has a bit")
	}
}

func TestAppArmorList(t *testing.T) {
	const text = "/usr/sbin/dhclient (enforce)\nrl-default (complain)\nname (x) (enforce)\n"
	for name, want := range map[string]bool{"rl-default": true, "name (x)": true, "rl": false, "": false} {
		got, err := listed(bufio.NewScanner(strings.NewReader(text)), name)
		if err != nil || got != want {
			t.Errorf("%q: %v, %v", name, got, err)
		}
	}
}
