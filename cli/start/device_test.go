package start

import (
	"strings"
	"testing"

	"containers/rl/container"
)

func TestParseDevice(t *testing.T) {
	for _, test := range []struct {
		text, want string // source path permissions, or a part of the error
	}{
		{"/dev/null", "/dev/null /dev/null "},
		{"/dev//null:rwm", "/dev/null /dev/null "},
		{"/dev/null:r", "/dev/null /dev/null r"},
		{"/dev/null:/dev/x", "/dev/null /dev/x "},
		{"/dev/null:/dev/x:rw", "/dev/null /dev/x rw"},
		{"/dev/null:/dev/x:mrw", "/dev/null /dev/x mrw"},
		{"/dev/null:", "invalid device specification"},
		{"/dev/null::rw", "invalid device specification"},
		{"/dev/null:/dev/x:", "invalid device specification"},
		{":/dev/x", "invalid device specification"},
		{"", "invalid device specification"},
		{"/dev/null:/a:rw:/b", "invalid device specification"},
		{"/dev/null:x", "invalid device mode: x"},
		{"/dev/null:/x:rwr", "invalid device mode: rwr"},
		{"null", "null is not an absolute path"},
		{"/dev/none", `stat /dev/none: no such file or directory: error gathering device information while adding custom device "/dev/none"`},
		{"/etc/passwd", "not a device node"},
		{"/etc", "not a device node"},
	} {
		d, err := parseDevice(test.text)
		got := d.Source + " " + d.Path + " " + d.Permissions
		if err != nil {
			got = err.Error()
		}
		if got != test.want && (err == nil || !strings.Contains(got, test.want)) {
			t.Errorf("%q: %q, want %q", test.text, got, test.want)
		}
	}
}

func TestValidRule(t *testing.T) {
	for text, want := range map[string]bool{
		"c 1:3 mr": true, "b *:* rwm": true, "a 10:* r": true, "": false, "c 1:3": false, "d 1:3 r": false, "c 1 r": false, "c x:3 r": false, "c 1:3 rx": false,
		"c 1:3 rr": false, "cc 1:3 r": false, "c :3 r": false,
	} {
		if validRule(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

func TestDirectoryOfDevices(t *testing.T) {
	if !(container.Device{Source: "/dev"}).HasNodes() || (container.Device{Source: "/proc/self/fdinfo"}).HasNodes() {
		t.Error("not as the directories are")
	}
}
