package cli

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"containers/rl/container"
)

// A directory that the image does not have leaves a volume empty; one that
// cannot be copied is an error, also where the kernel's word for it is the same.
func TestFillVolume(t *testing.T) {
	image, gone := t.TempDir(), filepath.Join(t.TempDir(), "gone")
	if err := os.WriteFile(filepath.Join(image, "file"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(gone, 0o700); err != nil {
		t.Fatal(err)
	}
	root, data := openDir(t, image), openDir(t, gone)
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	for name, failed := range map[string]bool{"/": true, "/none": false, "/file": false} {
		answer, err := fillVolume(source{root: root}, data, container.FillPlace{Path: name, Copy: true}, true)
		if (err != nil) != failed || !failed && answer != container.FillEmpty {
			t.Errorf("%s: %c, %v", name, answer, err)
		}
	}
}

func openDir(t *testing.T, name string) int {
	t.Helper()
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}
