package cli

import (
	"strings"
	"testing"
)

func TestRecreate(t *testing.T) {
	pod := &podUnit{"pod-p"}
	for _, c := range []struct {
		command string
		pod     *podUnit
		want    string
	}{
		{"create i", nil, "--cgroups=no-conmon --rm --sdnotify=conmon -d i"},
		{"create --name a i sleep 5", nil, "--cgroups=no-conmon --rm --sdnotify=conmon -d --replace --name a i sleep 5"},
		{"run -d --name=a --replace --rm i", nil, "--cgroups=no-conmon --rm --sdnotify=conmon -d --name=a --replace i"},
		{"run -dit i -d --rm --name x", nil, "--cgroups=no-conmon --rm --sdnotify=conmon -dit i -d --rm --name x"},
		{"run --detach=true --cidfile /c --cgroups split --restart=always -eA i", nil, "--rm --sdnotify=conmon -d --cgroups split -eA i"},
		{"create --sdnotify container i", nil, "--cgroups=no-conmon --rm -d --sdnotify container i"},
		{"create --sdnotify=ignore --rm=false i", nil, "--cgroups=no-conmon --rm --sdnotify=conmon -d i"},
		{"create --pod x i", nil, "--cgroups=no-conmon --rm --sdnotify=conmon -d --pod x i"},
		{"create --pod=x -p 1:1 i", pod, "--cgroups=no-conmon --rm --pod-id-file %t/pod-p.pod-id --sdnotify=conmon -d -p 1:1 i"},
		{"create --pod-id-file f -- i", pod, "--cgroups=no-conmon --rm --pod-id-file %t/pod-p.pod-id --sdnotify=conmon -d i"},
		{"create -eA=%b$ i", nil, "--cgroups=no-conmon --rm --sdnotify=conmon -d -eA=%%b$$ i"},
	} {
		r, err := recreate(strings.Fields(c.command), c.pod)
		if err != nil || strings.Join(r.words(), " ") != c.want {
			t.Errorf("%s\nbecomes %v, %v\nwant     %s", c.command, r, err, c.want)
		}
	}
	for _, bad := range []string{"", "create", "create --nosuch i", "create --name", "create -Z i"} {
		if r, err := recreate(strings.Fields(bad), nil); err == nil {
			t.Errorf("%q: %v, no error", bad, r)
		}
	}
	r, err := recreate([]string{"run", "--name", "a b", "i"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.template(); strings.Join(r.words()[5:], " ") != `--name "a b-%i" i` {
		t.Errorf("template: %q", r.words())
	}
}

func TestRecreatePolicy(t *testing.T) {
	for _, c := range []struct {
		typed, want string
		most        int
	}{{"always", "always", 0}, {"unless-stopped", "always", 0}, {"on-failure", "on-failure", 0}, {"on-failure:3", "on-failure", 3}, {"no", "no", 0}} {
		if got, most, err := (&recreation{restart: c.typed}).policy(); got != c.want || most != c.most || err != nil {
			t.Errorf("%s: %s %d %v", c.typed, got, most, err)
		}
	}
}

func TestOwnVariables(t *testing.T) {
	got := strings.Join(ownVariables([]string{"A", "B*", "C=d", "N", "E*=f"}, []string{"A=1", "AB=2", "B=3", "BC=4"}), " ")
	if want := "A=1 B=3 BC=4 C=d E*=f"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
