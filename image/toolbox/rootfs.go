package toolbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// searchPath is the PATH of the image; everything is in /bin, the other
// directories are there for what the user adds.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// WriteRootfs fills the empty directory dir with the built-in image's root
// file system. self is the binary to copy in, usually /proc/self/exe.
func WriteRootfs(dir, self string) error {
	for _, d := range rootDirs() {
		if err := makeDir(filepath.Join(dir, d.name), d.mode); err != nil {
			return err
		}
	}
	for _, f := range rootFiles() {
		path := filepath.Join(dir, f.name)
		if err := writeFile(path, f.text); err != nil {
			return err
		}
	}
	if err := copyBinary(filepath.Join(dir, "bin", binaryName), self); err != nil {
		return err
	}
	for _, name := range Applets() {
		if err := os.Symlink(binaryName, filepath.Join(dir, "bin", name)); err != nil {
			return fmt.Errorf("linking applet: %w", err)
		}
	}
	return nil
}

type rootDir struct {
	name string
	mode uint32
}

func rootDirs() []rootDir {
	return []rootDir{
		{"bin", 0o755}, {"dev", 0o755}, {"etc", 0o755}, {"home", 0o755},
		{"proc", 0o555}, {"root", 0o700}, {"run", 0o755}, {"sys", 0o555},
		{"tmp", 0o1777}, {"usr", 0o755}, {"var", 0o755}, {"var/tmp", 0o1777},
	}
}

// makeDir sets the mode a second time because mkdir(2) applies the umask.
func makeDir(path string, mode uint32) error {
	if err := unix.Mkdir(path, mode); err != nil {
		return fmt.Errorf("creating %s: %w", path, err)
	}
	if err := unix.Chmod(path, mode); err != nil {
		return fmt.Errorf("setting the mode of %s: %w", path, err)
	}
	return nil
}

type rootFile struct{ name, text string }

func rootFiles() []rootFile {
	return []rootFile{
		{"etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"},
		{"etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"},
		{"etc/os-release", "NAME=\"rl built-in\"\nID=rl-builtin\nPRETTY_NAME=\"rl built-in image\"\n"},
		{"etc/nsswitch.conf", "hosts: files dns\n"},
	}
}

func writeFile(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Chmod(path, 0o644)
}

// copyBinary puts the running binary at path, sharing its blocks when the file
// system can: the image then costs no space.
func copyBinary(path, self string) (err error) {
	src, err := os.Open(self)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dst.Close()) }()
	if unix.IoctlFileClone(int(dst.Fd()), int(src.Fd())) != nil {
		// os.File's ReadFrom is copy_file_range(2) with a plain copy behind it.
		if _, err := io.Copy(dst, src); err != nil {
			return fmt.Errorf("copying %s: %w", self, err)
		}
	}
	return dst.Chmod(0o755)
}

// ConfigJSON is the image's OCI configuration without its root file system
// section, which only the store that holds the layer can fill in.
func ConfigJSON() ([]byte, error) {
	return json.Marshal(v1.Image{
		Platform: v1.Platform{Architecture: runtime.GOARCH, OS: "linux"},
		Config: v1.ImageConfig{
			Env: []string{"PATH=" + searchPath},
			Cmd: []string{"/bin/sh"},
		},
		RootFS: v1.RootFS{Type: "layers"},
	})
}
