package start

import (
	"os"
	"path/filepath"
	"testing"

	"containers/rl/userns"
)

func TestEndsAtLogout(t *testing.T) {
	const session = "0::/user.slice/user-1000.slice/session-3.scope\n"
	const yes, no = "[Login]\nKillUserProcesses=yes\n", "[Login]\n KillUserProcesses = no\n"
	for _, c := range []struct {
		what   string
		files  map[string]string
		cgroup string
		want   bool
	}{
		{"no word of it", nil, session, false},
		{"the main file", map[string]string{"etc/systemd/logind.conf": yes}, session, true},
		{"a comment", map[string]string{"etc/systemd/logind.conf": "[Login]\n#KillUserProcesses=yes\n"}, session, false},
		{"another section", map[string]string{"etc/systemd/logind.conf": "[Other]\nKillUserProcesses=yes\n"}, session, false},
		{"the first main file", map[string]string{"etc/systemd/logind.conf": no, "usr/lib/systemd/logind.conf": yes}, session, false},
		{"a drop-in", map[string]string{"etc/systemd/logind.conf": no, "usr/lib/systemd/logind.conf.d/50-kill.conf": yes}, session, true},
		{"the last drop-in", map[string]string{"run/systemd/logind.conf.d/10.conf": yes, "etc/systemd/logind.conf.d/20.conf": no}, session, false},
		{"a drop-in that is hidden", map[string]string{"usr/lib/systemd/logind.conf.d/10.conf": yes, "etc/systemd/logind.conf.d/10.conf": ""}, session, false},
		{"no drop-in's name", map[string]string{"etc/systemd/logind.conf.d/10.conf.bak": yes}, session, false},
		{"one who lingers", map[string]string{"etc/systemd/logind.conf": yes, "var/lib/systemd/linger/me": ""}, session, false},
		{"another lingers", map[string]string{"etc/systemd/logind.conf": yes, "var/lib/systemd/linger/you": ""}, session, true},
		{"excluded", map[string]string{"etc/systemd/logind.conf": yes + "KillExcludeUsers=root me\n"}, session, false},
		{"only others", map[string]string{"etc/systemd/logind.conf": yes + "KillOnlyUsers=you\n"}, session, false},
		{"a service", map[string]string{"etc/systemd/logind.conf": yes}, "0::/system.slice/cron.service\n", false},
	} {
		root := t.TempDir()
		write(t, root, "run/systemd/system/x", "")
		for name, text := range c.files {
			write(t, root, name, text)
		}
		me := func() userns.User { return userns.User{Name: "me", UID: 1000} }
		if got := endsAtLogout(root, c.cgroup, me); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
		if err := os.RemoveAll(filepath.Join(root, "run/systemd/system")); err != nil || endsAtLogout(root, c.cgroup, me) {
			t.Errorf("%s: without systemd: true, %v", c.what, err)
		}
	}
}

func write(t *testing.T, root, name, text string) {
	t.Helper()
	file := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
