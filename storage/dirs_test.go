package storage

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func env(pairs ...string) func(string) string {
	return func(key string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == key {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestLocate(t *testing.T) {
	home, run := t.TempDir(), t.TempDir()
	uid := os.Getuid()
	open, link := t.TempDir(), filepath.Join(t.TempDir(), "link")
	if err := errors.Join(os.Chmod(open, 0o1777), os.Symlink(run, link)); err != nil {
		t.Fatal(err)
	}
	foreign := "/etc"
	if uid == 0 {
		foreign = t.TempDir()
		if err := os.Chown(foreign, 4242, 4242); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		what      string
		env       func(string) string
		data, run string
	}{
		{"home", env("HOME", home), home + "/.local/share/rl", "/rl-"},
		{"data", env("HOME", home, "XDG_DATA_HOME", home+"/x"), home + "/x/rl", "/rl-"},
		{"relative data is ignored", env("HOME", home, "XDG_DATA_HOME", "x"), home + "/.local/share/rl", "/rl-"},
		{"run", env("HOME", home, "XDG_RUNTIME_DIR", run), home + "/.local/share/rl", run + "/rl"},
		{"run where others may write", env("HOME", home, "XDG_RUNTIME_DIR", open), home + "/.local/share/rl", "/rl-"},
		{"another's run", env("HOME", home, "XDG_RUNTIME_DIR", foreign), home + "/.local/share/rl", "/rl-"},
		{"run that is a link", env("HOME", home, "XDG_RUNTIME_DIR", link), home + "/.local/share/rl", link + "/rl"},
		{"run that is not there", env("HOME", home, "XDG_RUNTIME_DIR", run+"/none"), home + "/.local/share/rl", "/rl-"},
	} {
		public := t.TempDir()
		got, err := locate(c.env, uid, []string{filepath.Join(public, "rl-0")})
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		if strings.HasPrefix(c.run, "/rl-") {
			c.run = filepath.Join(public, "rl-")
		}
		if got.Data != c.data || !strings.HasPrefix(got.Run, c.run) {
			t.Errorf("%s: %+v, want %s and %s", c.what, got, c.data, c.run)
		}
		for _, dir := range []string{got.Data, got.Run} {
			if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
				t.Errorf("%s: %s: %v, %v", c.what, dir, info, err)
			}
		}
	}
	if _, err := locate(env(), uid, nil); err == nil || !strings.Contains(err.Error(), "HOME") {
		t.Errorf("no home: %v", err)
	}
}

// TestLocateHostile: in a directory where everyone may write, others may be first.
func TestLocateHostile(t *testing.T) {
	home, uid := t.TempDir(), os.Getuid()
	for _, c := range []struct {
		what, complaint string
		attack          func(path string) error
	}{
		{"link", "not a directory", func(p string) error { return os.Symlink(t.TempDir(), p) }},
		{"file", "not a directory", func(p string) error { return os.WriteFile(p, nil, 0o600) }},
		{"mode", "open to others", func(p string) error { return os.Chmod(mkdir(t, 0o700, p), 0o770) }},
		{"owner", "belongs to uid 4242", func(p string) error { return os.Chown(mkdir(t, 0o700, p), 4242, 4242) }},
	} {
		if c.what == "owner" && uid != 0 {
			t.Log("skipping the owner's case: only root gives files away")
			continue
		}
		public := t.TempDir()
		dirs, err := locate(env("HOME", home), uid, []string{filepath.Join(public, "rl-0")})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(dirs.Run); err != nil {
			t.Fatal(err)
		}
		if err := c.attack(dirs.Run); err != nil {
			t.Fatal(err)
		}
		if got, err := locate(env("HOME", home), uid, []string{filepath.Join(public, "rl-0")}); err == nil || !strings.Contains(err.Error(), c.complaint) {
			t.Errorf("%s: %+v, %v, want a refusal: %s", c.what, got, err, c.complaint)
		}
	}
}

// TestLocateOpenData: layers hold set-user-id programs, which others must not reach.
func TestLocateOpenData(t *testing.T) {
	home := t.TempDir()
	data := mkdir(t, 0o755, home, ".local/share/rl")
	_, err := locate(env("HOME", home), os.Getuid(), []string{t.TempDir() + "/rl-0"})
	if err == nil || !strings.Contains(err.Error(), "chmod 700 "+data) {
		t.Errorf("data directory open to others: %v", err)
	}
	// A link of the user's own leads to another disk.
	other := mkdir(t, 0o700, t.TempDir(), "elsewhere")
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, data); err != nil {
		t.Fatal(err)
	}
	if _, err := locate(env("HOME", home), os.Getuid(), []string{t.TempDir() + "/rl-0"}); err != nil {
		t.Errorf("data directory on another disk: %v", err)
	}
}
