package self

import "testing"

func TestIsCommandLine(t *testing.T) {
	for name, want := range map[string]bool{"rl": true, "/usr/bin/rl": true, "./rl": true, "/a/rl2": true, "rl_amd64": true,
		"rl-pull": false, "/x/rl-amd64": false, "sh": false, "/rl/sh": false, "": false, "r": false, "/": false} {
		if IsCommandLine(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
