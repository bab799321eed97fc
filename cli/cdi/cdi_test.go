package cdi

import (
	"encoding/json"
	"os"
	"path"
	"reflect"
	"strings"
	"testing"
)

func TestParseName(t *testing.T) {
	for text, good := range map[string]bool{
		"vendor.com/device=foo": true, "nvidia.com/gpu=0": true, "nvidia.com/gpu=all": true, "v/c=d": true, "foo.bar.baz/foo-bar123.B_az=GPU-1:2.x_y": true,
		"vendor.com/device": false, "vendor.com/device=": false, "device=foo": false, "/c=d": false, "v/=d": false, "v/c/d=e": false, "1v/c=d": false, "v-/c=d": false,
		"v/c-=d": false, "v/-c=d": false, "v/c=-d": false, "v/c=d:": false, "v/c=d e": false, "v..w/c=d": false, "v/c=d/e": false, "": false,
		"v/" + strings.Repeat("c", 63) + "=d": true, "v/" + strings.Repeat("c", 64) + "=d": false, strings.Repeat("v", 254) + "/c=d": false, "v/c=d\n": false, "v/c=é": false,
	} {
		n, err := ParseName(text)
		if (err == nil) != good || good && n.String() != text {
			t.Errorf("%q: %v, %v", text, n, err)
		}
	}
}

const minimal = `{"cdiVersion":"0.5.0","kind":"v/c","devices":[{"name":"d","containerEdits":{`

func TestParse(t *testing.T) {
	for _, test := range []struct{ text, wrong string }{
		{minimal + `"env":["A=b"]}}]}`, ""},
		{minimal + `"deviceNodes":[{"path":"/dev/x","hostPath":"/dev/y","type":"c","major":1,"minor":3,"fileMode":438,"permissions":"rw","uid":0,"gid":44}]}}]}`, ""},
		{minimal + `"mounts":[{"hostPath":"/a","containerPath":"/b","type":"bind","options":["ro","nosuid"]}]}}]}`, ""},
		{minimal + `"hooks":[{"hookName":"createContainer","path":"/bin/x","args":["x"],"env":["A=b"],"timeout":3}],"additionalGids":[0,44]}}]}`, ""},
		{minimal + `"intelRdt":{"closID":"x"}}}]}`, ""},
		{minimal + `}}],"annotations":{"a":"b"},"containerEdits":{"env":["A=b"]}}`, ""},
		{minimal + `}}]} {}`, "something follows"},
		{minimal + `"env":["A"]}}]}`, "device d: variable"},
		{minimal + `"env":["=b"]}}]}`, "variable"},
		{minimal + `"deviceNodes":[{"path":"dev/x"}]}}]}`, "an absolute path"},
		{minimal + `"deviceNodes":[{"path":"/dev/x","type":"z"}]}}]}`, `type "z"`},
		{minimal + `"deviceNodes":[{"path":"/dev/x","permissions":"rx"}]}}]}`, `permissions "rx"`},
		{minimal + `"mounts":[{"containerPath":"/b"}]}}]}`, "mount of"},
		{minimal + `"mounts":[{"hostPath":"/a","containerPath":"b"}]}}]}`, "mount of"},
		{minimal + `"hooks":[{"hookName":"never","path":"/x"}]}}]}`, "hookName: one of"},
		{minimal + `"hooks":[{"hookName":"poststop","path":"x"}]}}]}`, "an absolute path"},
		{minimal + `"hooks":[{"hookName":"poststop","path":"/x","timeout":0}]}}]}`, "timeout 0"},
		{minimal + `"colour":"red"}}]}`, `unknown field "colour"`},
		{minimal + `}},{"name":"d"}]}`, "two of the name"},
		{`{"cdiVersion":"0.5.0","kind":"v/c","devices":[{"name":"d "}]}`, "invalid device name"},
		{`{"cdiVersion":"0.5.0","kind":"v/c","devices":[]}`, "no devices"},
		{`{"cdiVersion":"0.5.0","kind":"c","devices":[{"name":"d"}]}`, "invalid kind"},
		{`{"cdiVersion":"9.0.0","kind":"v/c","devices":[{"name":"d"}]}`, "cdiVersion"},
		{`{"kind":"v/c","devices":[{"name":"d"}]}`, "cdiVersion"},
		{`[]`, "cannot unmarshal"},
		{`{"cdiVersion":{}}`, "text is wanted"},
		{``, "EOF"},
	} {
		_, err := Parse("x.json", []byte(test.text))
		if (err == nil) != (test.wrong == "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
			t.Errorf("%s: %v, want %q", test.text, err, test.wrong)
		}
	}
}

// generated is in the form in which nvidia-ctk writes.
const generated = `---
cdiVersion: 0.5.0
containerEdits:
  deviceNodes:
  - path: /dev/nvidiactl
  - hostPath: /dev/nvidia-modeset
    path: /dev/nvidia-modeset
    fileMode: 0666
  env:
  - NVIDIA_VISIBLE_DEVICES=void
  hooks:
  - args:
    - nvidia-ctk
    - hook
    - update-ldcache
    - --folder
    - /usr/lib/x86_64-linux-gnu
    hookName: createContainer
    path: /usr/bin/nvidia-ctk
  mounts:
  - containerPath: /usr/bin/nvidia-smi
    hostPath: /usr/bin/nvidia-smi
    options:
    - ro
    - nosuid
devices:
- containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
  name: "0"
- containerEdits:
    additionalGids: [44, 109]
    deviceNodes:
    - path: /dev/nvidia1
  name: 1
- name: all
  containerEdits: {deviceNodes: [{path: /dev/nvidia0}, {path: "/dev/nvidia1"}]}
kind: nvidia.com/gpu
`

func TestGenerated(t *testing.T) {
	s, err := Parse("nvidia.yaml", []byte(generated))
	if err != nil {
		t.Fatal(err)
	}
	if s.Kind != "nvidia.com/gpu" || len(s.Devices) != 3 || s.Devices[1].Name != "1" || !reflect.DeepEqual(s.Devices[1].Edits.GIDs, []uint32{44, 109}) ||
		s.Edits.DeviceNodes[1].FileMode != 0o666 || s.Edits.Hooks[0].Args[3] != "--folder" || len(s.Devices[2].Edits.DeviceNodes) != 2 || s.Edits.Mounts[0].Options[1] != "nosuid" {
		t.Errorf("%+v", s)
	}
}

func TestYAML(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", "null"},
		{"# nothing\n\n---\n# more\n", "null"},
		{"a: 1", `{"a":1}`},
		{"a: 'it''s' # c\nb: \"x\\ty\\u00e9\\\"\"", `{"a":"it's","b":"x\ty\u00e9\""}`},
		{"a: b#c\nd: e #f", `{"a":"b#c","d":"e"}`},
		{"a:\nb: ~\nc: null\nd: ''", `{"a":null,"b":null,"c":null,"d":""}`},
		{"a: true\nb: yes\nc: 010\nd: 0x1\ne: -3\nf: 1.5\ng: 1.2.3\nh: 00:1a", `{"a":true,"b":"yes","c":8,"d":"0x1","e":-3,"f":1.5,"g":"1.2.3","h":"00:1a"}`},
		{"- 1\n- - 2\n  - 3\n-\n  a: b\n- c: d\n  e: f\n-   - 4", `[1,[2,3],{"a":"b"},{"c":"d","e":"f"},[4]]`},
		{"a:\n- 1\n- 2\nb:\n  - 3", `{"a":[1,2],"b":[3]}`},
		{"a: [1, 'b, c', {d: e}, []]\nb: {}\nc: [x,\n  y]", `{"a":[1,"b, c",{"d":"e"},[]],"b":{},"c":["x","y"]}`},
		{"{\"a\":[1,\n2],\n\"b\":{\"c\":null}}", `{"a":[1,2],"b":{"c":null}}`},
		{"a: b\n  c\n  d # e\nf: g", `{"a":"b c d","f":"g"}`},
		{"a: \"b\n  c\n\n  d\"", `{"a":"b c\nd"}`},
		{"a: |\n  b\n   c\n\n  d\ne: >-\n  f\n  g\n", `{"a":"b\n c\n\nd\n","e":"f g"}`},
		{"a: |+\n  b\n\nc: d", `{"a":"b\n\n","c":"d"}`},
		{"\"a b\": c\n'd': e", `{"a b":"c","d":"e"}`},
		{"a: http://x:80/y", `{"a":"http://x:80/y"}`},
		{"a: b\n...\n# end", `{"a":"b"}`},
		{"%YAML 1.2\n---\na: b", `{"a":"b"}`},
		{"a: \"\\ud83d\\ude00\"", `{"a":"😀"}`},
		{"a: 1\na: 2", "!line 2: key \"a\" is there twice"},
		{"a: b: c", "!a colon"},
		{"a: &x b", "!anchors"},
		{"a: *x", "!anchors"},
		{"a: !!str b", "!tags"},
		{"a: b\n---\nc: d", "!a second document"},
		{"a:\n\t- b", "!a tab"},
		{"a: 1\n   b: 2", "!line"},
		{"a:\n  b: 1\n c: 2", "!line 3"},
		{"- a\nb: c", "!line 2"},
		{"a: [1, 2", "!the bracket is not closed"},
		{"a: 'b", "!the quote is not closed"},
		{"a: 'b' c", "!follows a quoted value"},
		{"a: [b] c", "!follows a list"},
		{"a: \"\\q\"", "!unknown escape"},
		{"? a", "!not read here"},
		{"a: {b}", "!KEY: VALUE"},
		{strings.Repeat("[", 300), "!too deep"},
		{strings.Repeat("- ", 300), "!too deep"},
	} {
		got, err := parseYAML(test.text)
		text, _ := json.Marshal(got)
		var want, same any
		wrong, fails := strings.CutPrefix(test.want, "!")
		switch {
		case fails:
			if err == nil || !strings.Contains(err.Error(), wrong) {
				t.Errorf("%q: %s, %v, want %q", test.text, text, err, wrong)
			}
		case json.Unmarshal([]byte(test.want), &want) != nil || json.Unmarshal(text, &same) != nil || err != nil || !reflect.DeepEqual(want, same):
			t.Errorf("%q: %s, %v, want %s", test.text, text, err, test.want)
		}
	}
}

// write puts specifications into two directories.
func write(t *testing.T, files map[string]string) *Registry {
	t.Helper()
	top := t.TempDir()
	dirs := []string{path.Join(top, "1"), path.Join(top, "2"), path.Join(top, "none")}
	for name, text := range files {
		file := path.Join(top, name)
		if err := os.MkdirAll(path.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Load(dirs)
}

func one(kind, device, value string) string {
	return `{"cdiVersion":"0.6.0","kind":"` + kind + `","devices":[{"name":"` + device + `","containerEdits":{"env":["D=` + value + `"]}}],"containerEdits":{"env":["S=` + value + `"]}}`
}

func TestResolve(t *testing.T) {
	r := write(t, map[string]string{
		"1/a.json": one("v/c", "d", "low"), "2/a.json": one("v/c", "d", "high"), "1/b.json": one("v/x", "d", "1"), "1/c.json": one("v/x", "d", "2"), "1/d.json": one("v/x", "e", "3"),
		"1/w.json": "{", "1/no.txt": "{", "1/10.json": one("v/n", "10", "10"), "1/9.yaml": "cdiVersion: 0.6.0\nkind: v/n\ndevices:\n- name: 9\n  containerEdits:\n    env: [D=9]\n",
		"2/all.json": one("v/a", "all", "every"), "2/b.json": one("v/a", "b", "b"),
	})
	for _, test := range []struct{ names, want string }{
		{"v/c=d", "S=high D=high"},
		{"v/x=e", "S=3 D=3"},
		{"v/x=e v/x=e", "S=3 D=3"},
		{"v/n=9", "D=9"},
		{"v/n=all", "D=9 S=10 D=10"},
		{"v/a=all", "S=every D=every"},
		{"v/c=d v/a=b", "S=high D=high S=b D=b"},
		{"v/x=d", "!conflicting device \"v/x=d\""},
		{"v/c=none", "!unresolvable CDI devices v/c=none"},
		{"v/zz=all v/c=d v/y=1", "!unresolvable CDI devices v/zz=all, v/y=1"},
		{"v/y=1", "!w.json: unexpected EOF"},
	} {
		var names []Name
		for _, text := range strings.Fields(test.names) {
			n, err := ParseName(text)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, n)
		}
		edits, err := r.Resolve(names)
		var got []string
		for _, e := range edits {
			got = append(got, Strings(e.Env)...)
		}
		if wrong, fails := strings.CutPrefix(test.want, "!"); fails {
			if err == nil || !strings.Contains(err.Error(), wrong) {
				t.Errorf("%s: %v, want %q", test.names, err, wrong)
			}
		} else if err != nil || strings.Join(got, " ") != test.want {
			t.Errorf("%s: %q, %v, want %q", test.names, got, err, test.want)
		}
	}
	if names := r.OfKind("v/n"); len(names) != 2 || names[1].Device != "10" || len(r.Wrong()) != 1 {
		t.Errorf("%v, %v", names, r.Wrong())
	}
}

// FuzzParse: nothing that a file holds may end otherwise than in a specification
// or an error, and what is JSON means the same when it is read as YAML.
func FuzzParse(f *testing.F) {
	f.Add(generated)
	f.Add(minimal + `"env":["A=b"]}}]}`)
	for _, text := range []string{"a: |\n b\n", "- 'a\n  b'", "{a: [1, \"\\x41\"]}", "a: >\n\n b", "? x", "[\n", "a:\n -\n  -", "\"\\", "'", "{\"a\"", "{\"a\":", "- - - a: b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = Parse("x.json", []byte(text))
		if s, err := Parse("x.yaml", []byte(text)); err == nil && len(s.Devices) == 0 {
			t.Error("a specification without devices")
		}
		var want any
		if json.Unmarshal([]byte(text), &want) != nil {
			return
		}
		got, err := parseYAML(text)
		if err != nil {
			return // two keys of one name, tabs, and what is too deep
		}
		again, err := json.Marshal(got)
		var same any
		if err != nil || json.Unmarshal(again, &same) != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if _, isMap := want.(map[string]any); isMap && !reflect.DeepEqual(shape(want), shape(same)) {
			t.Errorf("%q: %s", text, again)
		}
	})
}

// shape leaves out what a number and a text exactly are.
func shape(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for key, one := range v {
			m[key] = shape(one)
		}
		return m
	case []any:
		list := []any{}
		for _, one := range v {
			list = append(list, shape(one))
		}
		return list
	case float64:
		return "number"
	case string:
		return "text"
	}
	return v
}
