package container

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"containers/rl/storage"
)

// shelf is a data directory with containers that are only files.
type shelf struct {
	*testing.T
	dirs storage.Dirs
}

func newShelf(t *testing.T, count int) shelf {
	t.Helper()
	s := shelf{t, storage.Dirs{Data: t.TempDir()}}
	for n := range count {
		s.make(n, "i")
	}
	place, ok := s.dirs.OpenPlace()
	if !ok {
		t.Skip("the temporary directory is on a file system whose stamps are not trusted")
	}
	place.Close()
	return s
}

func (s shelf) dir(n int) string {
	return filepath.Join(s.dirs.Data, "containers", fmt.Sprintf("%064x", n))
}

func (s shelf) make(n int, image string) {
	s.Helper()
	if err := os.MkdirAll(s.dir(n), 0o700); err != nil {
		s.Fatal(err)
	}
	s.replace(n, storage.RecordFile, string(encode(s.record(n, image))))
}

func (s shelf) record(n int, image string) Record {
	return Record{Created: time.Unix(1e9+int64(n), 5).UTC(), Image: image, Command: []string{"true", ""}, Options: Options{Name: fmt.Sprint("c", n), Labels: map[string]string{"a": "b"}}}
}

// replace is how all files are written but for the content of exitFile.
func (s shelf) replace(n int, name, text string) {
	s.Helper()
	file := filepath.Join(s.dir(n), name)
	if err := os.WriteFile(file+".tmp", []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
	if err := os.Rename(file+".tmp", file); err != nil {
		s.Fatal(err)
	}
}

func (s shelf) inPlace(n int, name, text string) {
	s.Helper()
	file, err := os.OpenFile(filepath.Join(s.dir(n), name), os.O_WRONLY, 0)
	if err != nil {
		s.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt([]byte(text), 0); err != nil {
		s.Fatal(err)
	}
}

func (s shelf) list(now time.Time) map[string]*Info {
	s.Helper()
	entries, err := s.dirs.Containers()
	if err != nil {
		s.Fatal(err)
	}
	list, err := ListOf(s.dirs, entries, now)
	if err != nil {
		s.Fatal(err)
	}
	found := map[string]*Info{}
	for _, i := range list {
		found[i.ID] = i
	}
	return found
}

// later is when all that was done has settled. The clock of the kernel goes on
// before: else what is done next might not show, which settledFor is for.
func (s shelf) later() time.Time {
	time.Sleep(30 * time.Millisecond)
	return time.Now().Add(settledFor)
}

// same compares a list with what the files say.
func (s shelf) same(what string, list map[string]*Info) {
	s.Helper()
	entries, err := s.dirs.Containers()
	if err != nil || len(entries) != len(list) {
		s.Errorf("%s: %d of %d containers, %v", what, len(list), len(entries), err)
	}
	for _, e := range entries {
		if want, err := look(e); err != nil || !reflect.DeepEqual(want, list[e.ID]) {
			s.Errorf("%s: %+v, want %+v, %v", what, list[e.ID], want, err)
			return
		}
	}
}

// What happens to a container that is in the cache is seen at once.
func TestListing(t *testing.T) {
	s := newShelf(t, worthListing+3)
	ours := State{Init: process(os.Getpid()), Monitor: process(os.Getpid()), Boot: bootID(), Started: time.Unix(2e9, 0).UTC(), Cgroup: "/c"}
	dead, reboot := ours, ours
	dead.Init.Start, dead.Monitor.Start, reboot.Boot = 1, 1, "another"
	ended := string(encode(Ended{Code: 3, Finished: time.Unix(2e9, 7).UTC()}))
	run := func(n int, state State) {
		s.replace(n, stateFile, string(encode(state)))
		s.replace(n, exitFile, "")
	}
	again := func(n int) { s.replace(n, storage.RecordFile, string(encode(s.record(n, "renamed")))) }
	for _, step := range []struct {
		name string
		do   func(n int)
		want Status
	}{
		{"made", func(int) {}, StatusCreated},
		{"started", func(n int) { run(n, ours) }, StatusRunning},
		{"ended", func(n int) { s.inPlace(n, exitFile, ended) }, StatusExited},
		{"renamed", again, StatusExited},
		{"started again", func(n int) { run(n, ours) }, StatusRunning},
		{"killed", func(n int) { run(n, dead) }, StatusExited},
		{"started after that", func(n int) { run(n, ours) }, StatusRunning},
		{"the end to be followed by another run", func(n int) { s.inPlace(n, exitFile, `{"Code":3,"Finished":"2026-01-01T00:00:00Z","Again":true}`) }, StatusRestarting},
		{"the machine was off", func(n int) { run(n, reboot) }, StatusExited},
		{"ended as before", func(n int) { s.replace(n, exitFile, ended) }, StatusExited},
		{"removed and made with the same id", func(n int) {
			if err := os.RemoveAll(s.dir(n)); err != nil {
				t.Fatal(err)
			}
			s.make(n, "new")
		}, StatusCreated},
	} {
		for n := range 3 {
			step.do(n)
		}
		for range 3 { // the files, and then the cache if it may be
			list := s.list(s.later())
			s.same(step.name, list)
			if i := list[filepath.Base(s.dir(1))]; i == nil || i.Status != step.want {
				t.Errorf("%s: %+v, want %s", step.name, i, step.want)
			}
		}
	}
	if err := os.RemoveAll(s.dir(0)); err != nil {
		t.Fatal(err)
	}
	s.same("removed", s.list(s.later()))
}

// cached says which containers a list takes from the cache: a change that no rl makes does not show.
func (s shelf) cached(now time.Time, count int) (list []int) {
	s.Helper()
	for n := range count {
		s.inPlace(n, storage.RecordFile, string(encode(s.record(n, "j"))))
	}
	found := s.list(now)
	for n := range count {
		if i := found[filepath.Base(s.dir(n))]; i.Image == "i" {
			list = append(list, n)
		}
		s.inPlace(n, storage.RecordFile, string(encode(s.record(n, "i"))))
	}
	return list
}

// What was changed just before it was read is not in the cache.
func TestListingSettles(t *testing.T) {
	count := worthListing + 2
	s := newShelf(t, count)
	s.list(time.Now())
	if got := s.cached(time.Now(), count); got != nil || s.dirs.Listing() != nil {
		t.Errorf("taken from the cache at once: %d", got)
	}
	s.list(s.later())
	if got := s.cached(time.Now(), count); len(got) != count {
		t.Errorf("taken from the cache: %d of %d", len(got), count)
	}
	s.make(0, "i")
	s.make(1, "i")
	for range 2 {
		if got := s.cached(time.Now(), count); len(got) != count-2 || slices.Contains(got, 0) {
			t.Errorf("taken from the cache after a change: %d", got)
		}
	}
	before := s.dirs.Listing()
	s.list(time.Now().Add(-time.Hour)) // the clock was set back
	if !bytes.Equal(before, s.dirs.Listing()) {
		t.Error("written with what is to come")
	}
	s.list(s.later())
	if got := s.cached(time.Now(), count); len(got) != count {
		t.Errorf("taken from the cache at the end: %d of %d", len(got), count)
	}
}

// What can become something else without a change of the directory is not for the cache, nor what a killed rl has left to be cleared.
func TestLasting(t *testing.T) {
	final := Ended{Code: 1, Finished: time.Unix(5, 0)}
	again := final
	again.Again = true
	for want, list := range map[bool][]Info{
		true:  {{Status: StatusCreated}, {Status: StatusExited, Ended: final}},
		false: {{Status: StatusRunning}, {Status: StatusPaused}, {Status: StatusRestarting, Ended: again}, {Status: StatusExited, Ended: again}, {Status: StatusExited, Ended: Ended{Code: Killed, Error: "rl was killed"}}},
	} {
		for _, i := range list {
			if i.lasting() != want {
				t.Errorf("%s, %+v: %v", i.Status, i.Ended, !want)
			}
		}
	}
}

// A cache that is worth nothing, or little, is not written.
func TestListingFew(t *testing.T) {
	s := newShelf(t, worthListing-1)
	s.list(s.later())
	if s.dirs.Listing() != nil {
		t.Error("written for few")
	}
	s = newShelf(t, 40*2)
	s.list(s.later())
	before := s.dirs.Listing()
	s.make(3, "other")
	s.same("one changed", s.list(s.later()))
	if before == nil || !bytes.Equal(before, s.dirs.Listing()) {
		t.Error("written anew for one")
	}
	for n := range 40 {
		if err := os.RemoveAll(s.dir(n)); err != nil {
			t.Fatal(err)
		}
	}
	s.list(s.later())
	if s.dirs.Listing() != nil {
		t.Error("left when there were few")
	}
}

// Whatever became of the cache, a list is what the files say.
func TestListingSpoiled(t *testing.T) {
	s := newShelf(t, worthListing)
	s.list(s.later())
	text := s.dirs.Listing()
	file := filepath.Join(s.dirs.Data, "containers.list")
	head := (&listing{}).head()
	for n := 0; n < len(text); n += 61 {
		other := slices.Clone(text)
		other[n] ^= 0x20
		for _, spoiled := range [][]byte{text[:n], other, append(slices.Clone(text), text[:n+1]...)} {
			if got := decodeListing(spoiled, string(text[:len(head)])); got != nil {
				t.Fatalf("taken, spoiled at %d: %d containers", n, len(got))
			}
		}
		if n%6100 == 0 {
			if err := os.WriteFile(file, other, 0o600); err != nil {
				t.Fatal(err)
			}
			s.same("spoiled", s.list(time.Now()))
		}
	}
	if err := os.WriteFile(file, text[:100], 0o600); err != nil {
		t.Fatal(err)
	}
	s.list(s.later())
	if !bytes.Equal(s.dirs.Listing()[:len(head)], text[:len(head)]) || len(s.dirs.Listing()) != len(text) {
		t.Error("a spoiled one was not replaced")
	}
}

// fillAll gives all that a record can hold a value.
func fillAll(t *testing.T, v reflect.Value) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.Unix(-5, 6).UTC()))
		return
	case v.CanInt():
		v.SetInt(-3)
		return
	case v.CanUint():
		v.SetUint(200)
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float64:
		v.SetFloat(-1.5)
	case reflect.String:
		v.SetString("t\x00ü")
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillAll(t, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fillAll(t, v.Index(1))
	case reflect.Array:
		fillAll(t, v.Index(0))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fillAll(t, key)
		fillAll(t, value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for n := range v.NumField() {
			if field := v.Type().Field(n); field.IsExported() && field.Tag.Get("json") != "-" {
				fillAll(t, v.Field(n))
			}
		}
	default:
		t.Errorf("nothing packs a %s", v.Type())
	}
}

// All that a record can hold is packed, and comes back.
func TestPack(t *testing.T) {
	whole := &Info{Entry: storage.Entry{ID: "a", Dir: "b"}, Status: StatusExited}
	fillAll(t, reflect.ValueOf(&whole.Record).Elem())
	fillAll(t, reflect.ValueOf(&whole.State).Elem())
	fillAll(t, reflect.ValueOf(&whole.Ended).Elem())
	packed := packInfo(whole)
	if packed == "" {
		t.Fatal("not packed")
	}
	var back Info
	if !back.unpack(whole.Entry, packed) || !reflect.DeepEqual(&back, whole) {
		t.Errorf("%+v, want %+v", back, whole)
	}
	for n := range len(packed) - 1 {
		if new(Info).unpack(whole.Entry, packed[:n]) {
			t.Errorf("taken: %d of %d bytes", n, len(packed))
		}
	}
	whole.Created = whole.Created.In(time.FixedZone("z", 3600))
	if packInfo(whole) != "" {
		t.Error("packed with another time zone")
	}
}

// Nothing that can be in a file with the right sum does harm.
func FuzzListing(f *testing.F) {
	i := &Info{Status: StatusCreated, Record: Record{Image: "i", Command: []string{"a"}}}
	one := encodeListing("", []storage.Entry{{ID: "a", Dir: "/b/a"}}, []listed{{storage.Stamp{Inode: 1}, packInfo(i)}})
	f.Add(one[8:])
	f.Fuzz(func(t *testing.T, rest []byte) {
		for _, l := range decodeListing(append(binary.LittleEndian.AppendUint64(nil, checksum(rest)), rest...), "") {
			new(Info).unpack(storage.Entry{}, l.packed)
		}
		new(Info).unpack(storage.Entry{}, string(rest))
	})
}
