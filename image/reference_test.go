package image

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseReference(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	for text, want := range map[string]string{
		"alpine":                   "docker.io/library/alpine:latest",
		"alpine:3.20":              "docker.io/library/alpine:3.20",
		"user/app":                 "docker.io/user/app:latest",
		"docker.io/alpine":         "docker.io/library/alpine:latest",
		"index.docker.io/alpine":   "docker.io/library/alpine:latest",
		"quay.io/a/b/c:d":          "quay.io/a/b/c:d",
		"localhost/x":              "localhost/x:latest",
		"localhost:5000/x:y":       "localhost:5000/x:y",
		"127.0.0.1:5000/x":         "127.0.0.1:5000/x:latest",
		"alpine@" + digest:         "docker.io/library/alpine@" + digest,
		"alpine:3@" + digest:       "docker.io/library/alpine@" + digest,
		"docker://quay.io/a":       "quay.io/a:latest",
		"[::1]:5000/x":             "[::1]:5000/x:latest",
		"a__b/c-d/e.f":             "docker.io/a__b/c-d/e.f:latest",
		"registry.example:80/long": "registry.example:80/long:latest",
	} {
		ref, err := ParseReference(text)
		if err != nil || ref.String() != want {
			t.Errorf("%s: %s, %v, want %s", text, ref, err, want)
		}
	}
	for _, bad := range []string{"", "Alpine", "a//b", "/a", "a/", "a:", "a:b:c", "a@sha256:abc", "-a", "a b", "a\x00", "a..b", "../x", "a:" + strings.Repeat("t", 129), strings.Repeat("a", 300), "UPPER/case"} {
		if ref, err := ParseReference(bad); err == nil {
			t.Errorf("%q is taken for %s", bad, ref)
		}
	}
}

// A name that is given is no digest and no id.
func TestLocalName(t *testing.T) {
	id := strings.Repeat("a", 64)
	for text, want := range map[string]string{"x": "localhost/x:latest", "sha256:abc": "localhost/sha256:abc", id: "localhost/" + id + ":latest", "quay.io/x:1": "quay.io/x:1"} {
		if name, err := LocalName(text); err != nil || name != want {
			t.Errorf("%s: %s, %v, want %s", text, name, err, want)
		}
	}
	for _, bad := range []string{"sha256:" + id, "x@sha256:" + id, "X"} {
		if name, err := LocalName(bad); err == nil {
			t.Errorf("%q is taken for %s", bad, name)
		}
	}
}

// What is taken once is taken again in its full form, and means the same.
func FuzzReference(f *testing.F) {
	for _, seed := range []string{"alpine", "a/b:c", "localhost:1/x", "x@sha256:" + strings.Repeat("0", 64)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ref, err := ParseReference(text)
		if err != nil {
			return
		}
		again, err := ParseReference(ref.String())
		if err != nil {
			t.Fatalf("%q became %q, which is refused: %v", text, ref, err)
		}
		if again.String() != ref.String() || strings.Contains(ref.Repository, "..") {
			t.Fatalf("%q became %q, then %q", text, ref, again)
		}
	})
}

const registriesText = `
unqualified-search-registries = ["one.example", "docker.io"]
[[registry]]
prefix = "docker.io/library"
location = "127.0.0.1:5000/mirror"
insecure = true
[[registry.mirror]]
location = "near.example/x"
[[registry]]
location = "docker.io"
[[registry]]
prefix = "*.corp.example"
blocked = true
[aliases]
"short" = "quay.io/long/name"
`

func TestRegistries(t *testing.T) {
	r := &Registries{}
	if err := r.merge("test", registriesText); err != nil {
		t.Fatal(err)
	}
	list, err := r.Candidates("alpine:3")
	if err != nil || len(list) != 2 || list[0].String() != "one.example/alpine:3" || list[1].String() != "docker.io/library/alpine:3" {
		t.Errorf("candidates: %v, %v", list, err)
	}
	list, err = r.Candidates("short:1")
	if err != nil || len(list) != 1 || list[0].String() != "quay.io/long/name:1" {
		t.Errorf("alias: %v, %v", list, err)
	}
	where, err := r.Endpoints(Reference{Registry: "docker.io", Repository: "library/alpine"})
	if err != nil || len(where) != 2 || where[0] != (Endpoint{"near.example/x/alpine", false}) || where[1] != (Endpoint{"127.0.0.1:5000/mirror/alpine", true}) {
		t.Errorf("endpoints: %v, %v", where, err)
	}
	if where, err = r.Endpoints(Reference{Registry: "docker.io", Repository: "libraryx/a"}); err != nil || len(where) != 1 || where[0].Name != "docker.io/libraryx/a" {
		t.Errorf("a prefix ends with a part: %v, %v", where, err)
	}
	if _, err := r.Endpoints(Reference{Registry: "a.corp.example", Repository: "x"}); err == nil {
		t.Error("a blocked registry is asked")
	}
	for _, bad := range []string{"nonsense", "[[registry]]\ninsecure = true", "unqualified-search-registries = 3"} {
		if err := (&Registries{}).merge("test", bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestMirrors: which of them are asked for a tag, and for a digest.
func TestMirrors(t *testing.T) {
	const head, mirrors = "[[registry]]\nlocation = \"r.io\"\n", "[[registry.mirror]]\nlocation = \"a\"\n%s[[registry.mirror]]\nlocation = \"b\"\n"
	for _, test := range []struct{ registry, mirror, tag, digest string }{
		{"", "", "a b r.io", "a b r.io"},
		{"", "pull-from-mirror = \"all\"\n", "a b r.io", "a b r.io"},
		{"", "pull-from-mirror = \"digest-only\"\n", "b r.io", "a b r.io"},
		{"", "pull-from-mirror = \"tag-only\"\n", "a b r.io", "b r.io"},
		{"mirror-by-digest-only = true\n", "", "r.io", "a b r.io"},
		{"", "pull-from-mirror = \"never\"\n", "", ""},
		{"mirror-by-digest-only = true\n", "pull-from-mirror = \"all\"\n", "", ""},
	} {
		r := &Registries{}
		if err := r.merge("test", head+test.registry+fmt.Sprintf(mirrors, test.mirror)); err != nil {
			if test.tag != "" {
				t.Error(err)
			}
			continue
		}
		for ref, want := range map[Reference]string{{Registry: "r.io", Repository: "x", Tag: "1"}: test.tag, {Registry: "r.io", Repository: "x", Digest: "sha256:1"}: test.digest} {
			list, err := r.Endpoints(ref)
			var got []string
			for _, e := range list {
				got = append(got, strings.TrimSuffix(e.Name, "/x"))
			}
			if err != nil || strings.Join(got, " ") != want {
				t.Errorf("%q, %q: %s: %q, %v, want %q", test.registry, test.mirror, ref, got, err, want)
			}
		}
	}
}

// TestWildcard: what stands for the host of a name goes, and the rest stays.
func TestWildcard(t *testing.T) {
	const head = "[[registry]]\nprefix = \"*.example.com\"\n"
	for _, test := range []struct{ text, registry, want string }{
		{head + "location = \"127.0.0.1:5000\"", "foo.example.com", "127.0.0.1:5000/library/a"},
		{head + "location = \"127.0.0.1:5000/x\"", "a.b.example.com", "127.0.0.1:5000/x/library/a"},
		{head, "foo.example.com", "foo.example.com/library/a"},
		{head + "[[registry.mirror]]\nlocation = \"near\"", "foo.example.com", "near/library/a foo.example.com/library/a"},
		{head + "location = \"near\"", "foo.example.com:5000", "near:5000/library/a"},
		{head + "location = \"near\"", "example.com", "example.com/library/a"},
		{head + "location = \"near\"", "fooexample.com", "fooexample.com/library/a"},
		{"[[registry]]\nlocation = \"foo.example.com/library\"\n" + head + "location = \"near\"", "foo.example.com", "foo.example.com/library/a"},
	} {
		r := &Registries{}
		if err := r.merge("test", test.text); err != nil {
			t.Error(err)
		}
		list, err := r.Endpoints(Reference{Registry: test.registry, Repository: "library/a"})
		var got []string
		for _, e := range list {
			got = append(got, e.Name)
		}
		if err != nil || strings.Join(got, " ") != test.want {
			t.Errorf("%q, %s: %q, %v, want %q", test.text, test.registry, got, err, test.want)
		}
	}
}

// TestShortNames: where a name without a registry is looked for, or why nowhere.
func TestShortNames(t *testing.T) {
	const two = "unqualified-search-registries = [\"a.io\", \"b.io\"]\n"
	for _, test := range []struct{ text, want string }{
		{"", "docker.io/library/x:latest"},
		{"unqualified-search-registries = []", "no unqualified-search registries are defined in \"test\""},
		{two, "a.io/x:latest b.io/x:latest"},
		{two + "short-name-mode = \"permissive\"", "a.io/x:latest b.io/x:latest"},
		{two + "short-name-mode = \"enforcing\"", "short-name resolution enforced but cannot prompt without a TTY"},
		{two + "short-name-mode = \"enforcing\"\n[aliases]\nx = \"c.io/x\"", "c.io/x:latest"},
		{"unqualified-search-registries = [\"a.io\"]\nshort-name-mode = \"enforcing\"", "a.io/x:latest"},
		{"short-name-mode = \"nonsense\"", "invalid short-name mode: \"nonsense\""},
		{"[registries.search]\nregistries = [\"a.io\", \"b.io\"]", "a.io/x:latest b.io/x:latest"},
		{"[registries.search]\nregistries = []", "no unqualified-search registries are defined"},
		{two + "[registries.block]\nregistries = [\"a.io\"]", "mixes version 1"},
	} {
		r := &Registries{}
		err := r.merge("test", test.text)
		var list []Reference
		if err == nil {
			list, err = r.Candidates("x")
		}
		var got []string
		for _, ref := range list {
			got = append(got, ref.String())
		}
		if err == nil && strings.Join(got, " ") != test.want || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %q, %v, want %q", test.text, got, err, test.want)
		}
	}
}

// TestFirstVersion: what is blocked, and what is asked by http, in a file of version 1.
func TestFirstVersion(t *testing.T) {
	r := &Registries{}
	if err := r.merge("test", "[registries.insecure]\nregistries = [\"a.io\", \"b.io\"]\n[registries.block]\nregistries = [\"b.io\", \"c.io\"]"); err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{"a.io": true, "d.io": false} {
		if list, err := r.Endpoints(Reference{Registry: host, Repository: "x"}); err != nil || list[0].Insecure != want {
			t.Errorf("%s: %v, %v", host, list, err)
		}
	}
	for _, host := range []string{"b.io", "c.io"} {
		if list, err := r.Endpoints(Reference{Registry: host, Repository: "x"}); err == nil {
			t.Errorf("%s is blocked: %v", host, list)
		}
	}
}

func TestRegistriesOfVariable(t *testing.T) {
	getenv := func(name string) string {
		return map[string]string{"HOME": "/nosuch", "CONTAINERS_REGISTRIES_CONF": "/nosuch/r.conf"}[name]
	}
	if _, err := LoadRegistries(getenv); err == nil || !strings.Contains(err.Error(), "/nosuch/r.conf") {
		t.Errorf("a file that is named and not there: %v", err)
	}
}

func FuzzRegistriesConf(f *testing.F) {
	f.Add(registriesText, "alpine")
	f.Add("[[registry]]\nprefix=\"*\"\nlocation=\"x\"", "a.b/c")
	f.Fuzz(func(t *testing.T, text, name string) {
		r := &Registries{}
		if r.merge("fuzz", text) != nil {
			return
		}
		list, err := r.Candidates(name)
		if err == nil && len(list) == 0 {
			t.Fatal("neither a candidate nor an error")
		}
		for _, ref := range list {
			if where, err := r.Endpoints(ref); err == nil && len(where) == 0 {
				t.Fatalf("%s: neither an endpoint nor an error", ref)
			}
		}
	})
}

func TestCredentials(t *testing.T) {
	file := authFile{}
	for key, want := range map[string]string{"https://index.docker.io/v1/": "docker.io", "quay.io": "quay.io", "http://x:5000/v2/": "x:5000", "quay.io/ns": "quay.io/ns"} {
		if got := authKey(key); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	if a, err := file.find("quay.io/x"); a != nil || err != nil {
		t.Errorf("an empty file has %v, %v", a, err)
	}
}
