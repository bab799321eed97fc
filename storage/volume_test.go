package storage

import (
	"errors"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func unused() error { return nil }

func TestVolume(t *testing.T) {
	d := Dirs{Data: t.TempDir()}
	v, err := d.CreateVolume(Volume{Name: "v", Driver: "local", Labels: []string{"a=b\n", "c="}, Options: []string{"o=ro", "o=rw"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.CreateVolume(Volume{Name: "v"}); !errors.Is(err, ErrVolumeExists) {
		t.Errorf("a second one of the name: %v", err)
	}
	if _, err := d.RemoveVolume("v", unused); !errors.Is(err, ErrVolumeInUse) {
		t.Errorf("removed while it is held: %v", err)
	}
	again, err := d.HoldVolume("v")
	if err != nil {
		t.Fatal(err)
	}
	if again.Option("o") != "rw" || again.Option("type") != "" || !slices.Equal(again.Labels, v.Labels) || !again.Created.Equal(v.Created) || again.Driver != "local" || again.Anonymous {
		t.Errorf("read back: %+v, want %+v", again, v)
	}
	v.Close()
	again.Close()
	wrong := errors.New("used")
	if _, err := d.RemoveVolume("v", func() error { return wrong }); !errors.Is(err, wrong) {
		t.Errorf("removed while it is used: %v", err)
	}
	if left, err := d.RemoveVolume("v", unused); left != "" || err != nil {
		t.Errorf("%q, %v", left, err)
	}
	if _, err := d.HoldVolume("v"); !errors.Is(err, ErrNoVolume) {
		t.Errorf("held after its removal: %v", err)
	}
	if entries, _ := os.ReadDir(d.volumes()); len(entries) > 0 {
		t.Errorf("left: %v", entries)
	}
}

func TestVolumeNames(t *testing.T) {
	d := Dirs{Data: t.TempDir()}
	for _, name := range []string{"", ".", "..", "../x", "a/b", "-a", ".new-1", strings.Repeat("a", 201), "a\x00b", "é"} {
		if _, err := d.CreateVolume(Volume{Name: name}); err == nil {
			t.Errorf("%q was made", name)
		}
		if _, err := d.HoldVolume(name); !errors.Is(err, ErrNoVolume) {
			t.Errorf("%q: %v", name, err)
		}
		if _, err := d.RemoveVolume(name, unused); !errors.Is(err, ErrNoVolume) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestFindVolume(t *testing.T) {
	d := Dirs{Data: t.TempDir()}
	for _, name := range []string{"data", "data2", "other"} {
		v, err := d.CreateVolume(Volume{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		v.Close()
	}
	for ref, want := range map[string]string{"data": "data", "data2": "data2", "o": "other", "dat": "", "x": "", "": "", "../data": ""} {
		v, err := d.FindVolume(ref)
		if want == "" && err == nil || want != "" && (err != nil || v.Name != want) {
			t.Errorf("%q: %v, %v", ref, v, err)
		}
	}
}

// TestSweepVolumes: what a killed process left goes, what is alive stays.
func TestSweepVolumes(t *testing.T) {
	d := Dirs{Data: t.TempDir()}
	for _, dir := range []string{volumeNew + "1-1", volumeDead + "1-1/_data/x"} {
		if err := os.MkdirAll(path.Join(d.volumes(), dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	living, dead, plain := strings.Repeat("a", 64), strings.Repeat("b", 64), strings.Repeat("c", 64)
	for name, owner := range map[string]string{living: "1", dead: "2", plain: ""} {
		v, err := d.CreateVolume(Volume{Name: name, Anonymous: true, Owner: owner})
		if err != nil {
			t.Fatal(err)
		}
		v.Close()
	}
	if err := os.MkdirAll(path.Join(d.containers(), "1"+transientSuffix), 0o700); err != nil {
		t.Fatal(err)
	}
	held, err := d.makeVolume(&Volume{})
	if err != nil {
		t.Fatal(err)
	}
	if left := d.SweepVolumes(); left != nil {
		t.Errorf("left: %q", left)
	}
	entries, _ := os.ReadDir(d.volumes())
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{path.Base(held), living, plain}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}

// TestFilling: one fills, the others wait and find it done.
func TestFilling(t *testing.T) {
	d := Dirs{Data: t.TempDir()}
	v, err := d.CreateVolume(Volume{Name: "v"})
	if err != nil {
		t.Fatal(err)
	}
	first, err := v.Filling()
	if err != nil || first == nil || first.Owned {
		t.Fatalf("%+v, %v", first, err)
	}
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			if f, err := v.Filling(); f != nil || err != nil {
				t.Errorf("filled twice: %v", err)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	if err := errors.Join(first.Begin(), os.WriteFile(v.Data()+"/x", nil, 0o600), first.Done(false)); err != nil {
		t.Error(err)
	}
	group.Wait()
}

// TestFillingAgain: an interrupted one goes on; an empty one may be filled by another; what was there first stays.
func TestFillingAgain(t *testing.T) {
	d := Dirs{Data: t.TempDir()}
	v, err := d.CreateVolume(Volume{Name: "v"})
	if err != nil {
		t.Fatal(err)
	}
	f, _ := v.Filling()
	if err := f.Done(true); err != nil {
		t.Fatal(err)
	}
	if copyUp, chown := v.Untouched(); !copyUp || chown {
		t.Errorf("after an empty filling: %v %v", copyUp, chown)
	}
	if f, err = v.Filling(); err != nil || f == nil || !f.Owned {
		t.Fatalf("%+v, %v", f, err)
	}
	if err := errors.Join(f.Begin(), os.WriteFile(v.Data()+"/part", nil, 0o600)); err != nil {
		t.Error(err)
	}
	f.Close() // killed
	if f, err = v.Filling(); err != nil || f == nil {
		t.Fatalf("an interrupted filling is not taken up: %v", err)
	}
	f.Close()
	w, err := d.CreateVolume(Volume{Name: "w"})
	if err != nil || os.WriteFile(w.Data()+"/x", nil, 0o600) != nil {
		t.Fatal(err)
	}
	if f, err := w.Filling(); f != nil || err != nil {
		t.Errorf("a volume with content is filled: %v", err)
	}
	if copyUp, _ := w.Untouched(); copyUp {
		t.Error("and again")
	}
}
