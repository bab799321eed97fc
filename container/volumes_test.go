package container

import (
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"containers/rl/storage"
)

// Two containers that fill the same volumes take the locks in one order,
// whatever that of their flags: else each would wait for the other.
func TestFillingOrder(t *testing.T) {
	d := storage.Dirs{Data: t.TempDir()}
	o := &Options{}
	for _, name := range []string{"b", "a"} {
		v, err := d.CreateVolume(storage.Volume{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		o.volumes = append(o.volumes, v)
	}
	o.Mounts = []specs.Mount{{Type: TypeVolume, Source: "b", Destination: "/1"}, {Type: TypeVolume, Source: "a", Destination: "/2"}, {Type: TypeVolume, Source: "b", Destination: "/3", Options: []string{"U"}}}
	places, fillings, err := o.places()
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for n, place := range places {
		got += place.Path
		if fillings[n] != nil {
			fillings[n].Close()
			got += "+"
		}
	}
	if want := "/2+/1+/3"; got != want {
		t.Errorf("the places are %s, want %s", got, want)
	}
	if o.Mounts[0].Source != "b" {
		t.Errorf("the mounts are in another order: %v", o.Mounts)
	}
}
