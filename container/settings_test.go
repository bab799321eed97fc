package container

import (
	"reflect"
	"testing"

	"containers/rl/storage"
)

// An image of a container has what was given by hand, and nothing that a run adds or
// that is the host's.
func TestSettings(t *testing.T) {
	image := storage.Settings{User: "www", Env: []string{"PATH=/bin", "LANG=C", "GONE=1"}, Entrypoint: []string{"/e"}, Cmd: []string{"c"}, WorkingDir: "/w", Labels: []string{"a=b"}, Volumes: []string{"/v"}}
	plain := Options{Hostname: "h", TTY: true, HostEnv: []string{"http_proxy=p", "LANG=host"}}
	if got := plain.Settings(image); !reflect.DeepEqual(got, image) {
		t.Errorf("%+v", got)
	}
	o := Options{Hostname: "h", User: "5", WorkingDir: "/x", Env: []string{"A=1", "LANG=D", "HOME=/h"}, EntrySet: true, Labels: map[string]string{"l": "2", "k": "1"},
		Rare: &Rare{UnsetEnv: []string{"GONE"}, EnvMerge: []string{"B=${PATH}:/more"}}}
	want := storage.Settings{User: "5", Env: []string{"PATH=/bin", "HOME=/h", "LANG=D", "B=/bin:/more", "A=1"}, WorkingDir: "/x", Labels: []string{"a=b", "k=1", "l=2"}, Volumes: []string{"/v"}}
	if got := o.Settings(image); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	o.Args = []string{"d"}
	if got := o.Settings(image); got.Entrypoint != nil || !reflect.DeepEqual(got.Cmd, o.Args) {
		t.Errorf("%+v", got)
	}
}
