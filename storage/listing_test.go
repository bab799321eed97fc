package storage

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The cache is replaced as a whole, and what stands in its way is left or, when it is old, removed.
func TestListing(t *testing.T) {
	d := testDirs(t)
	file, making := filepath.Join(d.Data, listingFile), filepath.Join(d.Data, listingFile+".new")
	if err := os.MkdirAll(d.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	if d.Listing() != nil {
		t.Error("one that is not there")
	}
	d.SetListing([]byte("one"))
	info, err := os.Stat(file)
	if err != nil || info.Mode() != 0o600 || string(d.Listing()) != "one" || exists(making) {
		t.Errorf("%v, %q, %v", info, d.Listing(), err)
	}
	if err := os.WriteFile(making, []byte("another's"), 0o600); err != nil {
		t.Fatal(err)
	}
	if d.SetListing([]byte("two")); string(d.Listing()) != "one" {
		t.Errorf("beside one that is being made: %q", d.Listing())
	}
	old := time.Now().Add(-time.Minute)
	if err := os.Chtimes(making, old, old); err != nil {
		t.Fatal(err)
	}
	if d.SetListing([]byte("two")); string(d.Listing()) != "two" || exists(making) {
		t.Errorf("beside what a killed one left: %q", d.Listing())
	}
	if err := os.Rename(file, file+"1"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(file+"1", file); err != nil {
		t.Fatal(err)
	}
	if d.Listing() != nil {
		t.Error("a link was followed")
	}
	if d.SetListing([]byte("three")); string(d.Listing()) != "three" {
		t.Errorf("in place of a link: %q", d.Listing())
	}
	if text, _ := os.ReadFile(file + "1"); string(text) != "two" {
		t.Errorf("written through a link: %q", text)
	}
	Dirs{Data: filepath.Join(d.Data, "missing")}.SetListing([]byte("four"))
}
