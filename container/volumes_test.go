package container

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

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

// TestMountPoint: links lead inside, and to what has to be made.
func TestMountPoint(t *testing.T) {
	dir := t.TempDir()
	for name, to := range map[string]string{"dangling": "/run/lock", "up": "../../../../etc/x", "twice": "dangling/more", "loop": "loop"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(root)
	for _, test := range []struct {
		place, made string
		directory   bool
	}{{"/a/b", "a/b", true}, {"/dangling", "run/lock", true}, {"/up", "etc/x", false}, {"/twice/../file", "run/lock/file", false}, {"/dangling/sub", "run/lock/sub", true}} {
		if fd, err := mountPoint(root, test.place, test.directory, false); err == nil {
			unix.Close(fd)
			t.Errorf("%s was there", test.place)
		}
		fd, err := mountPoint(root, test.place, test.directory, true)
		if err != nil {
			t.Errorf("%s: %v", test.place, err)
			continue
		}
		var there, made unix.Stat_t
		if err := errors.Join(unix.Fstat(fd, &there), unix.Lstat(filepath.Join(dir, test.made), &made)); err != nil || there.Ino != made.Ino || (there.Mode&unix.S_IFMT == unix.S_IFDIR) != test.directory {
			t.Errorf("%s is not %s: %v", test.place, test.made, err)
		}
		unix.Close(fd)
	}
	if _, err := mountPoint(root, "/loop/x", true, true); !errors.Is(err, unix.ELOOP) {
		t.Errorf("a loop: %v", err)
	}
}
