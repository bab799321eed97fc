package cgroups

import (
	"fmt"
	"path"
	"time"
)

// freezeStep is the time between two looks at a cgroup that is to stand still,
// and freezePatience how long that may take.
const (
	freezeStep     = time.Millisecond
	freezePatience = 10 * time.Second
)

// Freeze stops all processes of the cgroup and those below it, or lets them go
// on, and waits until they have (cgroup-v2.rst, cgroup.freeze; Linux 5.2: an
// older kernel gives ENOENT). Of a cgroup that does not stop, all go on.
func (g *Group) Freeze(on bool) error {
	value := "0"
	if on {
		value = "1"
	}
	if err := write(path.Join(g.Dir, "cgroup.freeze"), value); err != nil {
		return err
	}
	for end := time.Now().Add(freezePatience); g.Frozen() != on; time.Sleep(freezeStep) {
		if time.Now().After(end) {
			_ = write(path.Join(g.Dir, "cgroup.freeze"), "0")
			return fmt.Errorf("writing %s to cgroup.freeze of %s: no effect within %v", value, g.Dir, freezePatience)
		}
	}
	return nil
}

// Frozen says whether the cgroup stands still.
func (g *Group) Frozen() bool {
	n, ok := g.Value("cgroup.events", "frozen")
	return ok && n == 1
}
