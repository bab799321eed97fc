package conformance

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Kernel is the Mount of the kernel's overlay with userxattr.
func Kernel(t *testing.T, lower []string, upper, work string) string {
	t.Helper()
	merged := mkdir(t, filepath.Dir(upper), "merged")
	var names []string
	for _, dir := range lower {
		names = append(names, filepath.Base(dir)) // 300 long ones are more than mount(2) takes
	}
	t.Chdir(filepath.Dir(upper))
	options := "userxattr,lowerdir=" + strings.Join(names, ":") + ",upperdir=" + upper + ",workdir=" + work
	if err := unix.Mount("overlay", merged, "overlay", 0, options); err != nil {
		t.Skipf("overlay in a user namespace: %v", err)
	}
	t.Cleanup(func() { must(t, unix.Unmount(merged, 0)) })
	return merged
}
