package fuseoverlay

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"containers/rl/storage/conformance"
)

// serveLayers, in the environment, makes the test binary the server of
// descriptor 3: another process, as its umask is, and as a process that waits
// for itself in the kernel may stand still.
const serveLayers = "RL_TEST_SERVE"

func TestMain(m *testing.M) {
	text, serves := os.LookupEnv(serveLayers)
	if !serves {
		os.Exit(m.Run())
	}
	var l Layers
	err := json.Unmarshal([]byte(text), &l)
	if err == nil {
		err = Serve(os.NewFile(3, "/dev/fuse"), l, nil, nil)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestConformance runs what every driver must do.
func TestConformance(t *testing.T) {
	if conformance.InNamespace(t) {
		conformance.Run(t, mounts)
	}
}

// TestFromKernel mounts here what the kernel's overlay wrote.
func TestFromKernel(t *testing.T) {
	if conformance.InNamespace(t) {
		conformance.Run(t, inTurn(conformance.Kernel, mounts))
	}
}

// TestToKernel has the kernel's overlay mount what was written here.
func TestToKernel(t *testing.T) {
	if conformance.InNamespace(t) {
		conformance.Run(t, inTurn(mounts, conformance.Kernel))
	}
}

// TestXattrWhiteouts is for file systems without devices.
func TestXattrWhiteouts(t *testing.T) {
	if conformance.InNamespace(t) {
		conformance.Run(t, func(t *testing.T, lower []string, upper, work string) string {
			return mountHere(t, Layers{Lower: lower, Upper: upper, Work: work, XattrWhiteouts: true})
		})
	}
}

// TestUnlinked changes what has no name any more and was only read before, which
// the kernel's overlay cannot.
func TestUnlinked(t *testing.T) {
	if !conformance.InNamespace(t) {
		return
	}
	const files, size = 20, 1 << 20
	dir := t.TempDir()
	must(t, os.MkdirAll(dir+"/lower/empty", 0o755))
	for _, name := range []string{"upper", "work"} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	for i := range files {
		write(t, strings.Repeat("x", size), dir, "lower", fmt.Sprint(i))
	}
	root := mounts(t, []string{dir + "/lower"}, dir+"/upper", dir+"/work")
	for i := range files {
		f, err := os.Open(fmt.Sprint(root, "/", i))
		must(t, err)
		defer f.Close()
		must(t, os.Remove(f.Name()))
		read := make(chan error)
		go func() {
			text, err := io.ReadAll(f)
			if err == nil && len(text) != size {
				err = fmt.Errorf("%d bytes", len(text))
			}
			read <- err
		}()
		err = f.Chmod(0o600)
		if failed := <-read; err != nil || failed != nil {
			t.Errorf("chmod of a file without a name: %v; reading it meanwhile: %v", err, failed)
		}
	}
	f, err := os.Open(root + "/empty")
	must(t, err)
	defer f.Close()
	must(t, os.Remove(f.Name()))
	if err := errors.Join(f.Chmod(0o711), unix.Fsetxattr(int(f.Fd()), "user.kept", []byte("kept"), 0), f.Chmod(0o700)); err != nil {
		t.Errorf("a directory without a name: %v", err)
	}
}

// inTurn is the first driver for the first mount of an upper directory, and the second after that.
func inTurn(first, second conformance.Mount) conformance.Mount {
	seen := map[string]bool{}
	return func(t *testing.T, lower []string, upper, work string) string {
		if seen[upper] {
			return second(t, lower, upper, work)
		}
		seen[upper] = true
		return first(t, lower, upper, work)
	}
}

func mounts(t *testing.T, lower []string, upper, work string) string {
	return mountHere(t, Layers{Lower: lower, Upper: upper, Work: work})
}

func mountHere(t *testing.T, l Layers) string {
	t.Helper()
	merged := filepath.Join(filepath.Dir(l.Upper), "merged")
	if err := os.MkdirAll(merged, 0o755); err != nil {
		t.Fatal(err)
	}
	dev, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err == nil {
		err = Mount(int(dev.Fd()), merged)
	}
	if err != nil {
		t.Skipf("no FUSE in a user namespace: %v", err)
	}
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	server := exec.Command("/proc/self/exe")
	server.Env = append(os.Environ(), serveLayers+"="+string(text))
	server.ExtraFiles = []*os.File{dev}
	server.Stderr = os.Stderr
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // the signal comes when the thread ends
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	_ = dev.Close() // a server that dies ends the mount
	t.Cleanup(func() {
		if err := unix.Unmount(merged, 0); err != nil {
			t.Errorf("unmounting: %v", err)
			_ = unix.Unmount(merged, unix.MNT_DETACH)
		}
		if err := server.Wait(); err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return merged
}
