package image

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestClearDirectory: what the form has goes, and what it does not have stays.
func TestClearDirectory(t *testing.T) {
	dir := t.TempDir()
	sum, kept := strings.Repeat("a", 64), strings.Repeat("b", 64)
	stay := []string{kept, "manifest.json", "mine", strings.Repeat("a", 63), sum + ".tar", "version"}
	for _, name := range append([]string{sum, "signature-1", sum + ".manifest.json"}, stay...) {
		write(t, filepath.Join(dir, name), "")
	}
	o := SaveOptions{Output: dir}
	if err := o.checkDirectory(); err == nil {
		t.Error("a directory whose version is another is taken")
	}
	write(t, filepath.Join(dir, "version"), dirVersion)
	if err := errors.Join(o.checkDirectory(), o.clearDirectory(map[string]bool{kept: true})); err != nil {
		t.Fatal(err)
	}
	there, err := os.ReadDir(dir)
	var names []string
	for _, e := range there {
		names = append(names, e.Name())
	}
	slices.Sort(stay)
	if err != nil || !slices.Equal(names, stay) {
		t.Errorf("%q, %v, want %q", names, err, stay)
	}
}

// TestBeside: what a link leads to is what is replaced.
func TestBeside(t *testing.T) {
	dir := t.TempDir()
	for from, to := range map[string]string{"link": "sub/other", "sub/other": "../file", "round": "round", "gone": "nosuch/x"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, from)), 0o755), os.Symlink(to, filepath.Join(dir, from))); err != nil {
			t.Fatal(err)
		}
	}
	tmp, target, err := Beside(filepath.Join(dir, "link"), ".x-")
	if err != nil {
		t.Fatal(err)
	}
	tmp.Close()
	if filepath.Clean(target) != filepath.Join(dir, "file") || filepath.Dir(filepath.Clean(tmp.Name())) != dir {
		t.Errorf("%s beside %s", tmp.Name(), target)
	}
	for _, name := range []string{"round", "gone", "nosuch/y"} {
		path := filepath.Join(dir, name)
		if _, _, err := Beside(path, ".x-"); err == nil || !strings.Contains(err.Error(), path+":") || strings.Contains(err.Error(), ".x-") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
