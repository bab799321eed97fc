package shared

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRoots(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "storage.conf")
	user := filepath.Join(dir, "containers", "storage.conf")
	for file, text := range map[string]string{
		conf: "[storage]\ndriver=\"vfs\"\n[storage.options]\nadditionalimagestores=[\"/a\", \"/b/\", \"/a\"]\nsize=5\n[storage.options.overlay]\nadditionalimagestores=[\"/c\"]\n",
		user: "[storage.options]\nadditionalimagestores=[\"/user\"]\n",
	} {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		env  map[string]string
		want []string
		fail string
	}{
		{map[string]string{"CONTAINERS_STORAGE_CONF": conf, "XDG_CONFIG_HOME": dir}, []string{"/a", "/b", "/c"}, ""},
		{map[string]string{"XDG_CONFIG_HOME": dir}, []string{"/user"}, ""},
		{map[string]string{"XDG_CONFIG_HOME": dir, OptionsVariable: "overlay.imagestore=/x,/y,overlay.mount_program=/z,additionalimagestore=/v"}, []string{"/x", "/y", "/v"}, ""},
		{map[string]string{"XDG_CONFIG_HOME": dir, OptionsVariable: "overlay.mount_program=/z"}, nil, ""},
		{map[string]string{"CONTAINERS_STORAGE_CONF": filepath.Join(dir, "nosuch")}, nil, ""},
		{map[string]string{OptionsVariable: "imagestore=here"}, nil, `the image store "here" is not named by an absolute path`},
		{map[string]string{"CONTAINERS_STORAGE_CONF": dir}, nil, "reading " + dir},
	} {
		got, err := Roots(func(name string) string { return c.env[name] })
		if !slices.Equal(got, c.want) || (err != nil) != (c.fail != "") || err != nil && !strings.Contains(err.Error(), c.fail) {
			t.Errorf("%v: %v, %v", c.env, got, err)
		}
	}
}

func mkfifo(name string) error { return unix.Mkfifo(name, 0o600) }
