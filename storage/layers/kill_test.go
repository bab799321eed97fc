package layers

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"containers/rl/storage"
)

// pullRole pulls the image, removes it and pulls it again, for ever when its
// name begins with "loop".
func pullRole(d storage.Dirs, image string) error {
	for {
		s, err := Open(d)
		if err != nil {
			return err
		}
		img, err := pull(s, image, "base", "middle-"+image, "top-"+image)
		if err != nil {
			return errors.Join(err, s.Close())
		}
		if err := img.Close(); err != nil {
			return err
		}
		if strings.HasPrefix(image, "loop") {
			_, err = s.RemoveImage(image, RemovalOptions{Force: true})
		}
		if err := errors.Join(err, s.Close()); err != nil || !strings.HasPrefix(image, "loop") {
			return err
		}
	}
}

func start(t *testing.T, base, image string) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	out := &strings.Builder{}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=pull:%s:%s", roleEnv, base, image), "XDG_CONFIG_HOME="+base)
	cmd.Stderr = out
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS} // or what containers/storage tries out stays mounted when it is killed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

// TestKill kills pulls and removals at random moments; after each, everything works.
func TestKill(t *testing.T) {
	rounds := 40
	if testing.Short() {
		rounds = 8
	}
	base := t.TempDir()
	d := testDirs(base)
	mustPull(t, d, "keep", "base", "kept")
	for round := range rounds {
		cmd, out := start(t, base, "loop")
		time.Sleep(time.Duration(rand.IntN(120)) * time.Millisecond)
		_ = cmd.Process.Kill()
		if _ = cmd.Wait(); cmd.ProcessState.Exited() {
			t.Fatalf("round %d: the pull ended by itself: %s", round, out)
		}
		checkAfterKill(t, d)
		if t.Failed() {
			t.Fatalf("after round %d", round)
		}
	}
	mustPull(t, d, "loop", "base", "middle-loop", "top-loop")
	if got := stored(t, d); len(got) != 4 {
		t.Errorf("%d layers, want 4: base, kept, middle, top", len(got))
	}
}

func checkAfterKill(t *testing.T, d storage.Dirs) {
	t.Helper()
	// What is found can be run, at once and without any repair.
	for name, layers := range map[string][]string{"keep": {"base", "kept"}, "loop": {"base", "middle-loop", "top-loop"}} {
		img, err := d.Lookup(name)
		if name == "loop" && errors.Is(err, storage.ErrNoImage) {
			continue
		}
		if err != nil {
			t.Errorf("Lookup(%s): %v", name, err)
			continue
		}
		checkImage(t, img, slices.Clone(layers)...)
		img.Close()
	}
	if _, err := d.Images(); err != nil {
		t.Errorf("Images: %v", err)
	}
	if err := open(t, d).Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	checkStaging(t, d)
	found, err := d.Images()
	if err != nil {
		t.Error(err)
	}
	want := 2
	if len(found) == 2 {
		want = 4
	}
	if got := stored(t, d); len(got) != want {
		t.Errorf("%d layers for %d images, want %d", len(got), len(found), want)
	}
}

// TestSideBySide: processes pull the same image and images that share layers.
func TestSideBySide(t *testing.T) {
	base := t.TempDir()
	d := testDirs(base)
	images := []string{"same", "same", "same", "x", "y"}
	var group sync.WaitGroup
	for _, image := range images {
		cmd, out := start(t, base, image)
		group.Go(func() {
			if err := cmd.Wait(); err != nil {
				t.Errorf("pulling %s: %v: %s", image, err, out)
			}
		})
	}
	group.Wait()
	for _, image := range images {
		img, err := d.Lookup(image)
		if err != nil {
			t.Fatal(err)
		}
		checkImage(t, img, "base", "middle-"+image, "top-"+image)
		img.Close()
	}
	if got := stored(t, d); len(got) != 7 {
		t.Errorf("%d layers, want 7", len(got))
	}
	checkStaging(t, d)
}

// TestPodmanReads: podman sees the images.
func TestPodmanReads(t *testing.T) {
	podman, err := exec.LookPath("podman")
	if err != nil {
		t.Skip("needs podman")
	}
	d := testDirs(t.TempDir())
	img := mustPull(t, d, "app", "base", "top")
	runroot, err := os.MkdirTemp("/tmp", "rl") // podman refuses long names
	if err != nil {
		t.Fatal(err)
	}
	defer storage.RemoveTree(unix.AT_FDCWD, runroot)
	cmd := exec.Command(podman, "--root", d.Graph(), "--runroot", runroot, "--storage-driver", "overlay", "images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}")
	cmd.Env = append(os.Environ(), "_CONTAINERS_USERNS_CONFIGURED=done", "_CONTAINERS_ROOTLESS_UID="+os.Getenv(userEnv), "HOME="+runroot, "XDG_RUNTIME_DIR="+runroot)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS} // it mounts the store upon itself
	out, err := cmd.CombinedOutput()
	if want := "sha256:" + img.ID + " " + full("app"); err != nil || !strings.Contains(string(out), want) {
		t.Errorf("podman images: %v, want %q:\n%s", err, want, out)
	}
}
