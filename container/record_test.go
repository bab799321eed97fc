package container

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	netconfig "containers/rl/netslirp/config"
	"containers/rl/storage"
	"containers/rl/userns"
)

// place makes a container's directory with files.
func place(t *testing.T, files map[string]string) storage.Entry {
	t.Helper()
	e := storage.Entry{ID: strings.Repeat("ab", 32), Dir: t.TempDir()}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(e.Dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// The status is what the files say, and the kernel of the processes in them.
func TestStatus(t *testing.T) {
	ours := State{Init: process(os.Getpid()), Monitor: process(os.Getpid()), Boot: bootID()}
	reused, reboot := ours, ours
	reused.Init.Start, reused.Monitor.Start = 1, 1
	reboot.Boot = "another"
	ready, readyBefore := State{Prepared: true, Boot: bootID()}, State{Prepared: true, Boot: "another"}
	record := string(encode(Record{Image: "i"}))
	text := func(s State) string { return string(encode(s)) }
	for name, test := range map[string]struct {
		files map[string]string
		want  Status
		code  int
	}{
		"made":                             {map[string]string{}, StatusCreated, 0},
		"runs":                             {map[string]string{stateFile: text(ours), exitFile: ""}, StatusRunning, 0},
		"ended":                            {map[string]string{stateFile: text(ours), exitFile: `{"Code":3}`}, StatusExited, 3},
		"is to run again":                  {map[string]string{stateFile: text(ours), exitFile: `{"Code":3,"Again":true}`}, StatusRestarting, 3},
		"rl killed":                        {map[string]string{stateFile: text(reused), exitFile: ""}, StatusExited, Killed},
		"killed while it was to run again": {map[string]string{stateFile: text(reused), exitFile: `{"Code":3,"Again":true}`}, StatusExited, 3},
		"machine was off":                  {map[string]string{stateFile: text(reboot), exitFile: ""}, StatusExited, Killed},
		"initialized":                      {map[string]string{stateFile: text(ready)}, StatusInitialized, 0},
		"initialized after a run":          {map[string]string{stateFile: text(ready), exitFile: `{"Code":3}`}, StatusInitialized, 0},
		"initialized before the last boot": {map[string]string{stateFile: text(readyBefore)}, StatusCreated, 0},
		"then, after a run":                {map[string]string{stateFile: text(readyBefore), exitFile: `{"Code":3}`}, StatusExited, 3},
		"then, after one that was killed":  {map[string]string{stateFile: text(readyBefore), exitFile: ""}, StatusExited, Killed},
		"a power cut emptied the state":    {map[string]string{stateFile: "", exitFile: ""}, StatusExited, Killed},
		"no file for the end":              {map[string]string{stateFile: text(reused)}, StatusExited, Killed},
	} {
		test.files[storage.RecordFile] = record
		info, err := look(place(t, test.files))
		if err != nil || info.Status != test.want || info.Ended.Code != test.code {
			t.Errorf("%s: %v, %v, want %s with %d", name, info, err, test.want, test.code)
		}
	}
}

func TestLookErrors(t *testing.T) {
	if _, err := look(place(t, nil)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a record: %v", err)
	}
	for _, file := range []string{storage.RecordFile, stateFile, exitFile} {
		files := map[string]string{storage.RecordFile: "{}", stateFile: "{}", exitFile: "{}"}
		files[file] = "{"
		if _, err := look(place(t, files)); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("half of %s: %v", file, err)
		}
	}
}

// What exec reads is what was written, and half of it is nothing.
func TestJoinFile(t *testing.T) {
	i := &Info{Entry: storage.Entry{ID: "abc"}, State: State{Init: Process{7, 9}, Boot: "b"}}
	i.Options = Options{ID: "abc", Name: `n"1`, ImageName: "i", Umask: 0o22, Privileged: true, Env: []string{"HOME=/x y"}, Labels: map[string]string{"l": "v=w"}}
	spec := &specs.Spec{Process: &specs.Process{Cwd: "/a b", Env: []string{"A=\n", "B="}, User: specs.User{UID: 5, GID: 6, AdditionalGids: []uint32{7, 8}}, NoNewPrivileges: true,
		Capabilities: &specs.LinuxCapabilities{Bounding: []string{"CAP_KILL"}}}, Linux: &specs.Linux{Namespaces: []specs.LinuxNamespace{{Type: specs.UserNamespace}, {Type: specs.PIDNamespace}}}}
	i.Image, i.Options.Slirp = "i", netconfig.Default()
	i.spec, i.ids.UIDs, i.ids.GIDs = spec, []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1, Size: 2}}, []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1, Size: 1}, {ContainerID: 1, HostID: 9, Size: 3}}
	text := string(encodeJoin(i, spec, i.ids))
	got, err := decodeJoin(text)
	if err != nil || !reflect.DeepEqual(got, i) {
		t.Errorf("%+v\n%+v %v, from %s", got, got.spec, err, text)
	}
	for cut := range len(text) - 1 {
		if _, err := decodeJoin(text[:cut]); err == nil {
			t.Errorf("taken: %q", text[:cut])
		}
	}
	spec.Linux.Seccomp = &specs.LinuxSeccomp{}
	if encodeJoin(i, spec, i.ids) != nil {
		t.Error("a profile of its own would be lost")
	}
}

// TestJoinFileStandsAlone: an option that the file does not hold must keep it
// from being the only record, or ps and inspect would not know of it.
func TestJoinFileStandsAlone(t *testing.T) {
	fresh := func() *Options { return &Options{ID: "abc", Remove: true, Slirp: netconfig.Default()} }
	kind := reflect.TypeFor[Options]()
	for n := range kind.NumField() {
		field := kind.Field(n)
		if field.Tag.Get("json") == "-" || field.Name == "ID" || !field.IsExported() {
			continue
		}
		o := fresh()
		switch v := reflect.ValueOf(o).Elem().Field(n); v.Kind() {
		case reflect.String:
			v.SetString("x\n\"y")
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Int, reflect.Int64:
			v.SetInt(1)
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			if field.Type.Elem().Kind() == reflect.String {
				v.Index(0).SetString("a b")
			}
			if field.Name == "Mounts" {
				o.Mounts[0] = specs.Mount{Type: "bind", Source: "/a b", Destination: "/c", Options: []string{"ro"}}
			}
		case reflect.Map:
			v.Set(reflect.ValueOf(map[string]string{"k": "v=w"}))
		case reflect.Pointer:
			v.Set(reflect.New(field.Type.Elem()))
		case reflect.Struct:
			v.Set(reflect.Zero(field.Type))
		default:
			t.Fatalf("%s: a kind that this test does not know", field.Name)
		}
		if !standsAlone(o) {
			continue
		}
		spec := &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{}}, Linux: &specs.Linux{}}
		got, err := decodeJoin(string(encodeJoin(&Info{Entry: storage.Entry{ID: "abc"}, Record: Record{Options: *o}}, spec, userns.Map{})))
		if err != nil || !reflect.DeepEqual(&got.Options, o) {
			t.Errorf("%s is lost: %v, %+v", field.Name, err, got)
		}
	}
}

func TestParseSignal(t *testing.T) {
	for text, want := range map[string]int{"KILL": 9, "SIGKILL": 9, "kill": 9, "sigusr1": 10, "15": 15, "64": 64, "0": 0, "65": 0, "-1": 0, "": 0, "SIG": 0, "NONE": 0} {
		if got, err := ParseSignal(text); int(got) != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
}

func TestRandomNames(t *testing.T) {
	seen := map[string]bool{}
	for range 200 {
		seen[RandomName()] = true
	}
	if len(seen) < 150 {
		t.Errorf("%d different names of 200", len(seen))
	}
}

// Who looked between the new state and the new file of the exit saw one that had ended; once it runs, it was started since.
func TestStartedSince(t *testing.T) {
	ours := State{Init: process(os.Getpid()), Monitor: process(os.Getpid()), Boot: bootID()}
	before := ours
	before.Init.Start--
	record := string(encode(Record{Image: "i"}))
	for name, test := range map[string]struct {
		state State
		exit  string
		want  bool
	}{
		"ended, and is starting":          {ours, `{"Code":3}`, true},
		"ended":                           {before, `{"Code":3}`, true},
		"ran, and runs":                   {ours, "", false},
		"was to run again, and runs":      {before, `{"Code":3,"Again":true}`, true},
		"was killed, and runs since then": {before, "", true},
	} {
		e := place(t, map[string]string{storage.RecordFile: record, stateFile: string(encode(test.state)), exitFile: test.exit})
		seen, err := look(e)
		if err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{stateFile: string(encode(ours)), exitFile: ""} {
			if err := os.WriteFile(filepath.Join(e.Dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := seen.startedSince(); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// What cannot be read leaves the others alone, and what is wrong with the moment is no damage.
func TestBroken(t *testing.T) {
	d := storage.Dirs{Data: t.TempDir()}
	for id, text := range map[string]string{"sound": "{}", "empty": "", "torn": "{"} {
		dir := filepath.Join(d.Data, "containers", id)
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, storage.RecordFile), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := List(d)
	if len(list) != 1 || list[0].ID != "sound" || len(AllBroken(err)) != 2 || !strings.Contains(err.Error(), "rl rm --force empty") {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := Find(d, "empty"); len(AllBroken(err)) != 1 {
		t.Errorf("Find: %v", err)
	}
	if _, err := Find(d, "nothing"); len(AllBroken(err)) != 0 || !errors.Is(err, storage.ErrNoContainer) {
		t.Errorf("Find of nothing: %v", err)
	}
	if err := broken(storage.Entry{}, false, unix.EMFILE); len(AllBroken(err)) != 0 {
		t.Errorf("too many files: %v", err)
	}
}
