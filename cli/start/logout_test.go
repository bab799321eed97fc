package start

import (
	"os"
	"path/filepath"
	"testing"

	"containers/rl/userns"
)

func TestEndsAtLogout(t *testing.T) {
	const session = "0::/user.slice/user-1000.slice/session-3.scope\n"
	const manager = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/run-1.scope\n"
	const both = linger + " && " + inScope
	const yes, no = "[Login]\nKillUserProcesses=yes\n", "[Login]\n KillUserProcesses = no\n"
	for _, c := range []struct {
		what   string
		files  map[string]string
		cgroup string
		want   string
	}{
		{"no word of it", nil, session, ""},
		{"the main file", map[string]string{"etc/systemd/logind.conf": yes}, session, both},
		{"a comment", map[string]string{"etc/systemd/logind.conf": "[Login]\n#KillUserProcesses=yes\n"}, session, ""},
		{"another section", map[string]string{"etc/systemd/logind.conf": "[Other]\nKillUserProcesses=yes\n"}, session, ""},
		{"the first main file", map[string]string{"etc/systemd/logind.conf": no, "usr/lib/systemd/logind.conf": yes}, session, ""},
		{"a drop-in", map[string]string{"etc/systemd/logind.conf": no, "usr/lib/systemd/logind.conf.d/50-kill.conf": yes}, session, both},
		{"the last drop-in", map[string]string{"run/systemd/logind.conf.d/10.conf": yes, "etc/systemd/logind.conf.d/20.conf": no}, session, ""},
		{"a drop-in that is hidden", map[string]string{"usr/lib/systemd/logind.conf.d/10.conf": yes, "etc/systemd/logind.conf.d/10.conf": ""}, session, ""},
		{"no drop-in's name", map[string]string{"etc/systemd/logind.conf.d/10.conf.bak": yes}, session, ""},
		{"one who lingers", map[string]string{"etc/systemd/logind.conf": yes, "var/lib/systemd/linger/me": ""}, session, inScope},
		{"his manager's, and he lingers", map[string]string{"etc/systemd/logind.conf": yes, "var/lib/systemd/linger/me": ""}, manager, ""},
		{"his manager's", map[string]string{"etc/systemd/logind.conf": yes}, manager, linger},
		{"another lingers", map[string]string{"etc/systemd/logind.conf": yes, "var/lib/systemd/linger/you": ""}, session, both},
		{"excluded", map[string]string{"etc/systemd/logind.conf": yes + "KillExcludeUsers=root me\n"}, session, ""},
		{"only others", map[string]string{"etc/systemd/logind.conf": yes + "KillOnlyUsers=you\n"}, session, ""},
		{"a service", map[string]string{"etc/systemd/logind.conf": yes}, "0::/system.slice/cron.service\n", ""},
	} {
		root := t.TempDir()
		write(t, root, "run/systemd/system/x", "")
		for name, text := range c.files {
			write(t, root, name, text)
		}
		me := func() userns.User { return userns.User{Name: "me", UID: 1000} }
		if got := endsAtLogout(root, c.cgroup, me); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
		if err := os.RemoveAll(filepath.Join(root, "run/systemd/system")); err != nil || endsAtLogout(root, c.cgroup, me) != "" {
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
