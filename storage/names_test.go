package storage

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// halfRenamed is what a rename that was killed before its end leaves.
func halfRenamed(t *testing.T, d Dirs, c *Container, from, to string) {
	t.Helper()
	for file, target := range map[string]string{filepath.Join(c.Dir, renaming): from + "/" + to, filepath.Join(d.taken(), to): "../containers/" + c.base} {
		if err := os.Symlink(target, file); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRemoveAfterKilledRename(t *testing.T) {
	d := testDirs(t)
	c := create(t, d, "0123456789ab", "old", false)
	halfRenamed(t, d, c, "old", "new")
	if err := c.Remove(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"old", "new"} {
		if exists(filepath.Join(d.taken(), name)) {
			t.Errorf("the name %s outlives its container", name)
		}
	}
}

func TestReleaseStale(t *testing.T) {
	d := testDirs(t)
	c := create(t, d, "0123456789ab", "old", false)
	halfRenamed(t, d, c, "old", "new")
	if _, err := d.CreateContainer("123456789abc", "new", nil); !errors.Is(err, ErrNameTaken) {
		t.Fatalf("a name that leads to a container: %v, want ErrNameTaken", err)
	}
	for _, stale := range []bool{false, true} {
		released, err := d.ReleaseStale("new", func(e Entry) bool { return stale && e.ID == c.ID })
		if err != nil || released != stale || exists(filepath.Join(d.taken(), "new")) == stale {
			t.Errorf("ReleaseStale of %v = %v, %v", stale, released, err)
		}
	}
	create(t, d, "123456789abc", "new", true)
}

// What is renamed is what the container is called now, not when it was looked at; an error leaves both names as they were.
func TestRename(t *testing.T) {
	d := testDirs(t)
	c := create(t, d, "0123456789ab", "old", false)
	e := d.entry(c.base)
	failed := errors.New("no")
	if err := d.Rename(e, "new", func() (Renaming, error) { return Renaming{}, failed }); !errors.Is(err, failed) || exists(filepath.Join(d.taken(), "new")) {
		t.Errorf("Rename = %v, want %v and no new name", err, failed)
	}
	if err := d.Rename(e, "new", func() (Renaming, error) { return Renaming{"old", RecordFile, []byte("{1}")}, nil }); err != nil {
		t.Fatal(err)
	}
	found, err := d.FindContainer("new")
	if err != nil || found != e || exists(filepath.Join(d.taken(), "old")) || exists(filepath.Join(c.Dir, renaming)) {
		t.Errorf("after Rename: %v, %v", found, err)
	}
}

// A container that is renamed while it is removed leaves no name.
func TestRemoveRenamed(t *testing.T) {
	d := testDirs(t)
	c := create(t, d, "0123456789ab", "old", false)
	if err := d.Rename(d.entry(c.base), "new", func() (Renaming, error) { return Renaming{"old", RecordFile, []byte("{1}")}, nil }); err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(); err != nil { // it knows the old one alone
		t.Fatal(err)
	}
	if left, err := os.ReadDir(d.taken()); err != nil || len(left) != 0 {
		t.Errorf("names left: %v, %v", left, err)
	}
}

func TestHealSweepsNames(t *testing.T) {
	d := testDirs(t)
	c := create(t, d, "0123456789ab", "gone", true)
	c.Close() // killed
	if _, err := d.Heal(func(string) {}); err != nil {
		t.Fatal(err)
	}
	if exists(filepath.Join(d.taken(), "gone")) {
		t.Error("the name of a dead container is left")
	}
}

// A change of the record and one of the name do not lose each other: the second sees what the first has written.
func TestRewriteBesideRename(t *testing.T) {
	d := testDirs(t)
	c := create(t, d, "0123456789ab", "old", false)
	if err := c.WriteFile(RecordFile, []byte("old")); err != nil {
		t.Fatal(err)
	}
	e, renamed := d.entry(c.base), make(chan error)
	record := func() string {
		text, err := os.ReadFile(filepath.Join(c.Dir, RecordFile))
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	err := d.Rewrite(e, func() ([]byte, error) {
		go func() {
			renamed <- d.Rename(e, "new", func() (Renaming, error) { return Renaming{"old", RecordFile, []byte("new, " + record())}, nil })
		}()
		select {
		case err := <-renamed:
			t.Errorf("a rename within: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
		return []byte("changed " + record()), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-renamed; err != nil || record() != "new, changed old" {
		t.Errorf("record %q, %v", record(), err)
	}
}
