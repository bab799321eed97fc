package layers

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"containers/rl/storage"
)

// roles are what the test binary does when started again by a test.
var roles = map[string]func(storage.Dirs, string) error{"pull": pullRole, "heal": healRole, "open": openRole}

const (
	roleEnv = "RL_TEST_LAYERS"
	userEnv = "RL_TEST_USER" // uid outside
)

// TestForeignConfiguration: a broken storage.conf is podman's matter.
func TestForeignConfiguration(t *testing.T) {
	base := t.TempDir()
	conf := filepath.Join(base, "containers")
	if err := os.Mkdir(conf, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(conf, "storage.conf"), []byte("[storage\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Another process, as the library reads the file once.
	cmd, out := start(t, base, "app")
	if err := cmd.Wait(); err != nil {
		t.Errorf("pulling: %v: %s", err, out)
	}
}

// TestMain runs the tests as root of a user namespace, as the callers do.
func TestMain(m *testing.M) {
	if os.Args[0] == storage.RoleOverlay { // on a file system that takes no overlay of the kernel's
		if storage.ServeAsked(os.Stdin) != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	role, rest, _ := strings.Cut(os.Getenv(roleEnv), ":")
	if run, ok := roles[role]; ok {
		data, image, _ := strings.Cut(rest, ":")
		if err := run(testDirs(data), image); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if role == "inside" {
		os.Exit(m.Run())
	}
	os.Exit(enter())
}

func enter() int {
	size := 1
	if os.Getuid() == 0 {
		size = 65536
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), roleEnv+"=inside", fmt.Sprint(userEnv, "=", os.Getuid()))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: size}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: size}},
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, "SKIP: no user namespace:", err)
		return 0
	}
	return cmd.ProcessState.ExitCode()
}

func testDirs(base string) storage.Dirs {
	return storage.Dirs{Data: filepath.Join(base, "data"), Run: filepath.Join(base, "run")}
}

func open(t *testing.T, d storage.Dirs) *Store {
	t.Helper()
	s, err := Open(d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func diffID(layer string) digest.Digest { return digest.FromString(layer) }

// stage unpacks the layer called name: a file of that name, and one that all have.
func stage(s *Store, name string) (*Staging, error) {
	g, err := s.StageLayer()
	if err != nil {
		return nil, err
	}
	dir := g.Dir.Name()
	err = errors.Join(os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644), os.WriteFile(filepath.Join(dir, "every"), []byte(name), 0o644))
	return g, err
}

func commit(s *Store, parent digest.Digest, name string) (digest.Digest, error) {
	if chain := ChainID(parent, diffID(name)); s.HasLayer(chain) {
		return chain, nil
	}
	g, err := stage(s, name)
	if err != nil {
		return "", err
	}
	defer g.Abort()
	return g.Commit(parent, diffID(name), 100, Blob{Digest: digest.FromString("blob " + name), Size: 10})
}

// TestMarks: a layer with an archive's marks is known for it as long as it is there.
func TestMarks(t *testing.T) {
	d := testDirs(t.TempDir())
	s := open(t, d)
	g, err := stage(s, "marked")
	if err != nil {
		t.Fatal(err)
	}
	g.Marked = true
	if _, err := g.Commit("", diffID("marked"), 100, Blob{}); err != nil {
		t.Fatal(err)
	}
	img, err := pull(s, "marked", "marked")
	if err == nil {
		err = errors.Join(img.Close(), s.Close())
	}
	if err != nil || !d.Marked() {
		t.Errorf("marked: %v, %v", d.Marked(), err)
	}
	s = open(t, d)
	_, err = s.RemoveImage("marked", RemovalOptions{})
	if err = errors.Join(err, s.Close()); err != nil || d.Marked() {
		t.Errorf("without the image: marked %v, %v", d.Marked(), err)
	}
}

// pull stores an image called name of the layers.
func pull(s *Store, name string, layers ...string) (*storage.Image, error) {
	var top digest.Digest
	var err error
	for _, layer := range layers {
		if top, err = commit(s, top, layer); err != nil {
			return nil, err
		}
	}
	config, err := json.Marshal(map[string]any{"os": "linux", "created": time.Unix(1e9, 0).UTC(), "config": map[string]any{"Hostname": name}})
	if err != nil {
		return nil, err
	}
	manifest := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
		"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":%d},"layers":[]}`, digest.FromBytes(config), len(config))
	return s.PutImage(Image{Names: []string{full(name)}, Aliases: []string{name}, Config: config, Manifest: manifest, Digest: digest.FromBytes(manifest), Layer: top})
}

func full(name string) string { return "example.org/" + name + ":latest" }

func mustPull(t *testing.T, d storage.Dirs, name string, layers ...string) *storage.Image {
	t.Helper()
	s := open(t, d)
	img, err := pull(s, name, layers...)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(img.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	return img
}

// stored are the layers that the disk holds.
func stored(t *testing.T, d storage.Dirs) (ids []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(d.Graph(), "overlay"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if len(e.Name()) == 64 {
			ids = append(ids, e.Name())
		}
	}
	return ids
}

func checkImage(t *testing.T, img *storage.Image, layers ...string) {
	t.Helper()
	slices.Reverse(layers) // topmost first
	if len(img.Layers) != len(layers) {
		t.Errorf("%d layers, want %q", len(img.Layers), layers)
		return
	}
	for i, dir := range img.Layers {
		text, err := os.ReadFile(filepath.Join(dir, "every"))
		if err != nil || string(text) != layers[i] {
			t.Errorf("layer %d holds %q (%v), want %q", i, text, err, layers[i])
		}
	}
}

// TestIncomplete: a layer that can be neither made nor removed is none of the store's, and can be made later.
func TestIncomplete(t *testing.T) {
	base := t.TempDir()
	d := testDirs(base)
	s := open(t, d)
	chain := diffID("base")
	// Files in the place of directories: that of short names, and that of what is removed.
	obstacles := []string{filepath.Join(d.Graph(), "overlay", "l"), filepath.Join(d.Graph(), "overlay-layers", "tmp")}
	for _, file := range obstacles {
		if err := errors.Join(os.RemoveAll(file), os.WriteFile(file, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := commit(s, "", "base"); !errors.Is(err, syscall.ENOTDIR) || s.HasLayer(chain) {
		t.Fatalf("making it: %v; it is there: %v", err, s.HasLayer(chain))
	}
	for _, file := range obstacles {
		if err := errors.Join(os.Remove(file), os.Mkdir(file, 0o700)); err != nil {
			t.Fatal(err)
		}
	}
	img, err := pull(s, "app", "base", "top")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(img.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	again(t, "open", base)
	if img, err = d.Lookup("app"); err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	checkImage(t, img, "base", "top")
}

func TestPullAndRemove(t *testing.T) {
	d := testDirs(t.TempDir())
	mustPull(t, d, "app", "base", "middle", "top")
	mustPull(t, d, "other", "base", "else")
	img, err := d.Lookup("app")
	if err != nil {
		t.Fatal(err)
	}
	checkImage(t, img, "base", "middle", "top")
	if img.Size != 300 || !img.Created.Equal(time.Unix(1e9, 0)) {
		t.Errorf("size %d, created %v", img.Size, img.Created)
	}
	s := open(t, d)
	if _, err := s.RemoveImage("app", RemovalOptions{Force: true}); !errors.Is(err, storage.ErrInUse) {
		t.Errorf("removing an image in use: %v", err)
	}
	checkImage(t, img, "base", "middle", "top")
	img.Close()
	removed, err := s.RemoveImage("app", RemovalOptions{})
	untagged, deleted := removed.Untagged, removed.Deleted
	if err != nil || !slices.Equal(untagged, []string{full("app")}) || !slices.Equal(deleted, []string{img.ID}) {
		t.Errorf("RemoveImage: %q, %q, %v", untagged, deleted, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := stored(t, d); len(got) != 2 {
		t.Errorf("%d layers are left, want the other image's 2", len(got))
	}
	if img, err = d.Lookup("other"); err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	checkImage(t, img, "base", "else")
	if _, err := d.Lookup("app"); !errors.Is(err, storage.ErrNoImage) {
		t.Errorf("removed image: %v", err)
	}
}

// TestAbandoned: a pull that fails leaves nothing.
func TestAbandoned(t *testing.T) {
	d := testDirs(t.TempDir())
	s := open(t, d)
	base, err := commit(s, "", "base")
	if err != nil {
		t.Fatal(err)
	}
	g, err := stage(s, "top")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(g.Abort(), g.Abort()); err != nil {
		t.Errorf("Abort: %v", err)
	}
	if _, err := g.Dir.Stat(); err == nil {
		t.Error("the directory is open after Abort")
	}
	if !s.HasLayer(base) || s.HasLayer(ChainID(base, diffID("top"))) {
		t.Error("HasLayer does not know what was committed")
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if got := stored(t, d); len(got) != 0 {
		t.Errorf("left: %q", got)
	}
	checkStaging(t, d)
}

func checkStaging(t *testing.T, d storage.Dirs) {
	t.Helper()
	for _, dir := range []string{stagingRoot(d), filepath.Join(d.Graph(), "overlay", "staging"), filepath.Join(d.Graph(), "overlay", "tempdirs")} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
		if len(entries) > 0 {
			t.Errorf("%s holds %v", dir, entries)
		}
	}
}

// TestMissingParent: the error tells, and nothing is left.
func TestMissingParent(t *testing.T) {
	s := open(t, testDirs(t.TempDir()))
	if _, err := commit(s, diffID("nowhere"), "top"); err == nil || !strings.Contains(err.Error(), diffID("top").String()) {
		t.Errorf("layer above nothing: %v", err)
	}
	checkStaging(t, s.dirs)
}

// TestRootModes: a layer without an entry for the root has its parent's mode.
func TestRootModes(t *testing.T) {
	s := open(t, testDirs(t.TempDir()))
	var parent digest.Digest
	for i, c := range []struct{ set, want os.FileMode }{{0, 0o755}, {0o555, 0o555}, {0, 0o555}, {0o700, 0o700}, {0, 0o700}} {
		g, err := s.StageLayer()
		if err != nil {
			t.Fatal(err)
		}
		if c.set != 0 {
			if err := g.Dir.Chmod(c.set); err != nil {
				t.Fatal(err)
			}
		}
		if parent, err = g.Commit(parent, diffID(fmt.Sprint(i)), 1, Blob{}); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(s.dirs.Graph(), "overlay", parent.Encoded(), "diff"))
		if err != nil || info.Mode() != os.ModeDir|c.want {
			t.Errorf("layer %d: %v, %v, want %v", i, info.Mode(), err, c.want)
		}
	}
}
