package cli

import (
	"slices"
	"testing"
)

func TestParseShare(t *testing.T) {
	for _, test := range []struct {
		text string
		want []string
		ok   bool
	}{
		{"ipc,net,uts", []string{"ipc", "net", "uts"}, true},
		{"+pid", []string{"ipc", "net", "pid", "uts"}, true},
		{"+net", []string{"ipc", "net", "uts"}, true},
		{"uts,pid,uts", []string{"pid", "uts"}, true},
		{"none", []string{}, true},
		{"", []string{}, true},
		{"user", nil, false},
	} {
		got, err := parseShare(test.text)
		if (err == nil) != test.ok || test.ok && !slices.Equal(got, test.want) {
			t.Errorf("parseShare(%q) = %q, %v", test.text, got, err)
		}
	}
}
