// Package harness is what the script tests are run by: a fresh home for each script with the test registry as docker.io, the script
// commands of our own, and the search for whatever rl left behind.
//
// testdata/test sets the environment that it needs; without it every test that uses it is skipped.
package harness

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// sizes are the variables that make scripts longer, with what one of each may add.
var sizes = map[string]time.Duration{"RLTEST_SOAK": 3 * time.Second, "RLTEST_PAIRS": 3 * time.Second, "RLTEST_CRASH": 3 * time.Second}

// limit is what one script may take, on a busy machine.
func limit() time.Duration {
	most := 3 * time.Minute
	for name, each := range sizes {
		n, _ := strconv.Atoi(os.Getenv(name))
		most = max(most, time.Duration(n)*each)
	}
	return most
}

// World is where the tests run: the program under test, the registry's address and the scripts.
type World struct {
	RL, Registry, Scripts string
}

// Enter reads the world from the environment, or skips the test naming what is missing.
func Enter(t *testing.T) World {
	t.Helper()
	get := func(name string) string {
		v := os.Getenv(name)
		if v == "" {
			t.Skipf("%s is not set: these tests are run by testdata/test", name)
		}
		return v
	}
	return World{RL: get("RLTEST_RL"), Registry: get("RLTEST_REGISTRY"), Scripts: get("RLTEST_SCRIPTS")}
}

// Run runs all scripts, each with a home of its own, side by side.
func (w World) Run(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(w.Scripts, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts in %s: %v", w.Scripts, err)
	}
	root := t.TempDir()
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) { w.runScript(t, root, file) })
	}
}

// runScript is not testscript.Run: that makes one subtest a file within ours, and the names would double.
func (w World) runScript(t *testing.T, root, file string) {
	t.Parallel()
	dir := filepath.Join(root, strings.TrimSuffix(filepath.Base(file), ".txt"))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// What is left belongs to subordinate ids in part: only a user namespace, or root, can remove it.
	t.Cleanup(func() { removeTree(dir) })
	t.Cleanup(watchHang(t, dir, limit()))
	testscript.RunT(flat{t}, testscript.Params{
		Files:               []string{file},
		WorkdirRoot:         dir,
		Deadline:            time.Now().Add(limit()),
		Setup:               w.setup,
		Cmds:                w.commands(),
		Condition:           condition,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// flat makes a testscript's own subtest the test itself.
type flat struct{ *testing.T }

func (f flat) Run(_ string, run func(testscript.T)) { run(f) }
func (f flat) Parallel()                            {}
func (f flat) Verbose() bool                        { return testing.Verbose() }

// setup gives the script a fresh home outside of its working directory, and checks at its end that nothing is left.
func (w World) setup(env *testscript.Env) error {
	home, run, err := w.NewHome(filepath.Dir(env.WorkDir))
	if err != nil {
		return err
	}
	env.Setenv("HOME", home)
	env.Setenv("XDG_RUNTIME_DIR", run)
	env.Setenv("USER", os.Getenv("USER"))
	env.Setenv("OUTER", outerAddress())
	env.Setenv("REGISTRY", w.Registry)
	env.Setenv("RL", w.RL)
	env.Setenv("UID", fmt.Sprint(os.Getuid()))
	env.Setenv("GID", fmt.Sprint(os.Getgid()))
	env.Setenv("SCRIPTS", w.Scripts)
	for name := range sizes {
		env.Setenv(name, os.Getenv(name))
	}
	env.Setenv("PATH", filepath.Dir(w.RL)+":"+os.Getenv("PATH"))
	// Of the world around, so that only ours counts: a script sets what it tests.
	for _, name := range []string{"XDG_DATA_HOME", "XDG_CONFIG_HOME", "REGISTRY_AUTH_FILE", "CONTAINERS_REGISTRIES_CONF", "CONTAINERS_STORAGE_CONF", "STORAGE_OPTS", "STORAGE_DRIVER"} {
		env.Vars = deleteVar(env.Vars, name)
	}
	before := mounts()
	env.Defer(func() { reportLeft(env.T(), home, run, before) })
	return nil
}

func deleteVar(vars []string, name string) []string {
	kept := vars[:0]
	for _, v := range vars {
		if !strings.HasPrefix(v, name+"=") {
			kept = append(kept, v)
		}
	}
	return kept
}

// NewHome makes a home and a run directory below dir; docker.io is the test registry there.
func (w World) NewHome(dir string) (home, run string, err error) {
	home, run = filepath.Join(dir, "home"), filepath.Join(dir, "run")
	config := filepath.Join(home, ".config/containers")
	for _, d := range []string{home, run, config} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return "", "", err
		}
	}
	return home, run, os.WriteFile(filepath.Join(config, "registries.conf"), []byte(Registries(w.Registry)), 0o644)
}

// Registries is a registries.conf that leads docker.io to addr.
func Registries(addr string) string {
	return fmt.Sprintf(`unqualified-search-registries = ["docker.io"]

[[registry]]
prefix = "docker.io"
location = %q
insecure = true

[[registry]]
location = %[1]q
insecure = true
`, addr)
}

// removeTree is best effort: testdata/test removes the rest as root.
func removeTree(dir string) {
	if os.RemoveAll(dir) == nil {
		return
	}
	exec.Command("unshare", "--map-root-user", "--map-auto", "rm", "-rf", dir).Run()
}
