package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

func testDirs(t *testing.T) Dirs {
	t.Helper()
	dir := t.TempDir()
	return Dirs{Data: filepath.Join(dir, "data"), Run: filepath.Join(dir, "run")}
}

func create(t *testing.T, d Dirs, id, name string, transient bool) *Container {
	t.Helper()
	first := name
	if !transient {
		first = ""
	}
	c, err := d.CreateContainer(id, first, nil)
	if err == nil && !transient {
		err = c.Keep(name, []byte("{}"))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Remove() })
	return c
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestContainerDirectory(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	d := testDirs(t)
	c := create(t, d, "0123456789abcdef", "web", true)
	for dir, mode := range map[string]os.FileMode{c.Dir: 0o700, c.Upper: 0o755, c.Work: 0o700, c.Merged: 0o700} {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v, want mode %v", dir, info, err, mode)
		}
	}
	if err := c.Remove(); err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(); err != nil {
		t.Errorf("second Remove: %v", err)
	}
	if exists(c.Dir) || exists(filepath.Join(d.taken(), "web")) {
		t.Error("directory or name outlives Remove")
	}
}

func TestContainerRootMode(t *testing.T) {
	d := testDirs(t)
	layer := t.TempDir()
	if err := os.Chmod(layer, 0o555); err != nil {
		t.Fatal(err)
	}
	c, err := d.CreateContainer("id", "", &Image{Layers: []string{layer}})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(c.Upper)
	if err != nil || info.Mode().Perm() != 0o555 {
		t.Errorf("root directory: %v, %v, want the mode of the image's", info.Mode(), err)
	}
}

func TestContainerNames(t *testing.T) {
	d := testDirs(t)
	first := create(t, d, "first", "web", false)
	_, err := d.CreateContainer("second", "web", nil)
	if err == nil || !strings.Contains(err.Error(), `"web" is already in use by first`) {
		t.Errorf("name taken twice: %v", err)
	}
	if exists(filepath.Join(d.containers(), "second")) {
		t.Error("the refused container left its directory")
	}
	if _, err := os.Stat(filepath.Join(d.taken(), "web")); err != nil {
		t.Errorf("the refused container took the name away: %v", err)
	}
	if err := first.Remove(); err != nil {
		t.Fatal(err)
	}
	create(t, d, "third", "web", false)
	for _, name := range []string{"..", ".", "a/b", "-x", "a b", "é"} {
		if _, err := d.CreateContainer("bad", name, nil); err == nil {
			t.Errorf("name %q accepted", name)
		}
	}
}

func TestContainerSameID(t *testing.T) {
	d := testDirs(t)
	c := create(t, d, "same", "", true)
	if _, err := d.CreateContainer("same", "", nil); !errors.Is(err, os.ErrExist) {
		t.Errorf("same id twice: %v", err)
	}
	if !exists(c.Upper) {
		t.Error("the refused container removed the other's directory")
	}
}

// TestNameOfDead: many take the name of a dead container, one gets it.
func TestNameOfDead(t *testing.T) {
	d := testDirs(t)
	for round := range 20 {
		if err := os.MkdirAll(d.taken(), 0o700); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprint("n", round)
		if err := os.Symlink("../containers/gone", filepath.Join(d.taken(), name)); err != nil {
			t.Fatal(err)
		}
		var won atomic.Int32
		var group sync.WaitGroup
		for i := range 8 {
			group.Go(func() {
				c, err := d.CreateContainer(fmt.Sprintf("c%d-%d", round, i), name, nil)
				if err != nil {
					return
				}
				won.Add(1)
				target, err := os.Readlink(filepath.Join(d.taken(), name))
				if err != nil || filepath.Base(target) != filepath.Base(c.Dir) {
					t.Errorf("the name leads to %s (%v), taken by %s", target, err, c.Dir)
				}
			})
		}
		if group.Wait(); won.Load() != 1 {
			t.Fatalf("%d containers have the name", won.Load())
		}
	}
}

// die gives up the lock as a killed process does.
func die(c *Container) { c.lock.Close(); c.lock = nil }

func TestHeal(t *testing.T) {
	d := testDirs(t)
	if left, err := d.Heal(func(string) {}); err != nil || left != nil {
		t.Errorf("nothing there: %v, %v", left, err)
	}
	alive := create(t, d, "alive", "", true)
	kept := create(t, d, "kept", "", false)
	dead := create(t, d, "dead", "name", true)
	if err := os.MkdirAll(filepath.Join(dead.Work, "work"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dead.Work, "work"), 0); err != nil {
		t.Fatal(err)
	}
	die(dead)
	die(kept)
	left, err := d.Heal(func(string) {})
	if err != nil || len(left) > 0 {
		t.Errorf("Heal: %v, %v", left, err)
	}
	if !exists(alive.Upper) || !exists(kept.Upper) {
		t.Error("Heal removed a container that is alive or to be kept")
	}
	if exists(dead.Dir) {
		t.Error("Heal left the dead container")
	}
	create(t, d, "next", "name", true)
}

// TestHealHalfRemoved: a removal that was killed half way goes on.
func TestHealHalfRemoved(t *testing.T) {
	d := testDirs(t)
	c := create(t, d, "half", "", false)
	if err := os.Rename(c.Dir, c.Dir+deadSuffix); err != nil {
		t.Fatal(err)
	}
	if left, err := d.Heal(func(string) {}); err != nil || len(left) > 0 {
		t.Errorf("Heal: %v, %v", left, err)
	}
	if exists(c.Dir + deadSuffix) {
		t.Error("Heal left the rest of a removal")
	}
}

// TestHealWhileCreating: a container being made is never taken for a dead one.
func TestHealWhileCreating(t *testing.T) {
	d := testDirs(t)
	var stop atomic.Bool
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for !stop.Load() {
				if _, err := d.Heal(func(string) {}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 500 {
		c, err := d.CreateContainer(fmt.Sprint("c", i), "", nil)
		if err != nil {
			t.Error(err)
			break
		}
		if !exists(c.Upper) || !exists(c.Merged) || !exists(filepath.Join(c.Dir, "lock")) {
			t.Errorf("container %d lost parts of its directory", i)
		}
		if err := c.Remove(); err != nil {
			t.Error(err)
		}
	}
	stop.Store(true)
	group.Wait()
}
