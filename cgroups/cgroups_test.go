package cgroups

import "testing"

func TestParseOwn(t *testing.T) {
	for text, want := range map[string]string{
		"0::/\n":                               Root,
		"0::/user.slice/x.scope\n":             Root + "/user.slice/x.scope",
		"12:pids:/a\n1:name=systemd:/b\n0::/c": Root + "/c",
		"0::/../../etc\n":                      Root + "/etc",
	} {
		if got, err := parseOwn(text); err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
	for _, bad := range []string{"", "1:name=systemd:/\n"} {
		if got, err := parseOwn(bad); err == nil {
			t.Errorf("%q gives %q", bad, got)
		}
	}
}

func TestWritable(t *testing.T) {
	if Writable(t.TempDir()) {
		t.Error("a directory without cgroup.procs is taken")
	}
}
