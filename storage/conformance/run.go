package conformance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Mount mounts lower, the topmost first, below upper and returns the directory
// where it is seen. It is unmounted by a cleanup of t, after which the same
// directories may be mounted again.
type Mount func(t *testing.T, lower []string, upper, work string) (merged string)

// scenario is one behaviour.
type scenario struct {
	name    string
	layers  int                                // how many, if not one
	prepare func(t *testing.T, lower []string) // makes the layers' content
	use     func(t *testing.T, root string)    // what a container does
	after   func(t *testing.T, root string)    // what is seen in the next mount; may be nil
}

// Run runs all scenarios on one driver.
func Run(t *testing.T, mount Mount) {
	for _, group := range [][]scenario{layering, copyUps, removals, renames, files, names, listings, identities} {
		for _, s := range group {
			t.Run(s.name, func(t *testing.T) { s.run(t, mount) })
		}
	}
}

func (s *scenario) run(t *testing.T, mount Mount) {
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	upper, work := mkdir(t, dir, "upper"), mkdir(t, dir, "work")
	var lower []string
	for i := range max(1, s.layers) {
		lower = append(lower, mkdir(t, dir, fmt.Sprint("l", i)))
	}
	if s.prepare != nil {
		s.prepare(t, lower)
	}
	before := snapshot(t, lower)
	t.Run("use", func(t *testing.T) { s.use(t, mount(t, lower, upper, work)) })
	if s.after != nil {
		t.Run("after", func(t *testing.T) { s.after(t, mount(t, lower, upper, work)) })
	}
	if now := snapshot(t, lower); now != before {
		t.Errorf("a layer below changed:\n%s\nwas\n%s", now, before)
	}
}

// snapshot is all that must not change of the layers, as text.
func snapshot(t *testing.T, dirs []string) string {
	var b strings.Builder
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			st := lstat(t, path)
			fmt.Fprintf(&b, "%q %o %d:%d %d %d %d\n", path, st.Mode, st.Uid, st.Gid, st.Size, st.Nlink, st.Mtim.Nano())
			return nil
		})
		must(t, err)
	}
	return b.String()
}

// InNamespace runs the test again as root of a user namespace with mounts of
// its own, and says whether this is that second run. Root gets 65536 ids there,
// another user one.
func InNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv("RL_TEST_NAMESPACE") == t.Name() {
		return true
	}
	ids := 1
	if os.Getuid() == 0 {
		ids = 65536
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "RL_TEST_NAMESPACE="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:                 syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings:                []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: ids}},
		GidMappings:                []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: ids}},
		GidMappingsEnableSetgroups: ids > 1,
	}
	out, err := cmd.CombinedOutput()
	reportSkips(t, string(out))
	switch {
	case err != nil && cmd.ProcessState == nil:
		t.Skipf("no user namespace: %v", err)
	case err != nil:
		t.Errorf("in the namespace: %v\n%s", err, out)
	case !strings.Contains(string(out), "--- PASS: "+t.Name()):
		t.Skip(string(out))
	case testing.Verbose():
		t.Log(string(out))
	}
	return false
}

// reportSkips has subtests of the other run that were skipped seen in this one.
func reportSkips(t *testing.T, out string) {
	for line := range strings.Lines(out) {
		rest, skipped := strings.CutPrefix(strings.TrimSpace(line), "--- SKIP: ")
		test, _, _ := strings.Cut(rest, " ")
		if _, name, ok := strings.Cut(test, "/"); skipped && ok {
			t.Run(name, func(t *testing.T) { t.Skip("in the namespace: see what the test says with -v") })
		}
	}
}
