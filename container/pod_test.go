package container

import "testing"

// TestPodState is podman-pod-ps(1)'s table.
func TestPodState(t *testing.T) {
	for _, test := range []struct {
		want string
		all  []Status
	}{
		{PodCreated, nil},
		{PodCreated, []Status{StatusCreated, StatusCreated}},
		{PodRunning, []Status{StatusRunning, StatusRunning}},
		{PodRunning, []Status{StatusRunning, StatusRestarting}},
		{PodDegraded, []Status{StatusRunning, StatusExited}},
		{PodDegraded, []Status{StatusRunning, StatusPaused}},
		{PodPaused, []Status{StatusPaused, StatusPaused}},
		{PodStopped, []Status{StatusCreated, StatusExited}},
		{PodStopped, []Status{StatusPaused, StatusExited}},
		{PodExited, []Status{StatusExited, StatusExited}},
	} {
		p := &Pod{}
		for _, s := range test.all {
			p.Containers = append(p.Containers, &Info{Status: s})
		}
		if got := p.State(); got != test.want {
			t.Errorf("state of %v = %s, want %s", test.all, got, test.want)
		}
	}
}

// TestPodJoins: what is not shared is a container's own; the user namespace is that which owns the others.
func TestPodJoins(t *testing.T) {
	infra := &Info{}
	infra.ID, infra.Options.Pod = "abc", &Membership{Infra: true}
	p := &Pod{Containers: []*Info{infra}}
	if p.Joins() != nil {
		t.Error("a pod that shares nothing has something to join")
	}
	p.Share = []string{"net", "uts"}
	want := Joins{User: "container:abc", Network: "container:abc", UTS: "container:abc"}
	if got := p.Joins(); *got != want {
		t.Errorf("joins = %+v, want %+v", *got, want)
	}
	p.Containers = nil
	if p.Joins() != nil {
		t.Error("a pod without an infra container has something to join")
	}
}
