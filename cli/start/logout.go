package start

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"containers/rl/userns"
)

// warnOfLogout says what becomes of a detached container when its user logs
// out. It runs by then.
func warnOfLogout(s Streams) {
	cgroup, _ := os.ReadFile("/proc/self/cgroup")
	if !strings.Contains(string(cgroup), "/user.slice/") { // nothing that systemd-logind ends
		return
	}
	if mend := endsAtLogout("/", string(cgroup), userns.Self); mend != "" {
		fmt.Fprintln(s.Err, "rl: this host ends what its users run when they log out (KillUserProcesses=yes in logind.conf), and this container with it: "+mend)
	}
}

const (
	linger  = "loginctl enable-linger"
	inScope = "systemd-run --user --scope rl run -d ..."
)

// endsAtLogout says what is to be done when systemd-logind ends the user's
// processes at logout (logind.conf(5)). Those of a session end even when he
// lingers: they have to be his manager's, and that stays for who lingers
// (loginctl(1)). root is that of the file system.
func endsAtLogout(root, cgroup string, self func() userns.User) (mend string) {
	if _, err := os.Lstat(path.Join(root, "run/systemd/system")); err != nil { // sd_booted(3)
		return ""
	}
	login := readLogin(root)
	if !slices.Contains([]string{"1", "yes", "y", "true", "t", "on"}, strings.ToLower(login["KillUserProcesses"])) || !strings.Contains(cgroup, "/user.slice/") {
		return ""
	}
	name := self().Name
	if only := strings.Fields(login["KillOnlyUsers"]); len(only) > 0 && !slices.Contains(only, name) || slices.Contains(strings.Fields(login["KillExcludeUsers"]), name) {
		return ""
	}
	session := strings.Contains(cgroup, "/session-")
	_, err := os.Lstat(path.Join(root, "var/lib/systemd/linger", path.Join("/", name)))
	switch {
	case session && err == nil:
		return inScope
	case session:
		return linger + " && " + inScope
	case err != nil:
		return linger
	}
	return ""
}

// readLogin gives the settings of the section Login: of the first main file
// there is, and of all drop-ins in the order of their names. One in /etc hides
// that of the same name elsewhere (systemd.syntax(7), logind.conf(5)).
func readLogin(root string) map[string]string {
	settings := map[string]string{"KillExcludeUsers": "root"}
	places := []string{"etc/systemd", "run/systemd", "usr/local/lib/systemd", "usr/lib/systemd"}
	for _, dir := range places {
		if text, err := os.ReadFile(path.Join(root, dir, "logind.conf")); err == nil {
			addSettings(settings, string(text))
			break
		}
	}
	files := map[string]string{}
	var names []string
	for _, dir := range places {
		entries, _ := os.ReadDir(path.Join(root, dir, "logind.conf.d"))
		for _, e := range entries {
			if name := e.Name(); strings.HasSuffix(name, ".conf") && files[name] == "" {
				files[name] = path.Join(root, dir, "logind.conf.d", name)
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	for _, name := range names {
		text, _ := os.ReadFile(files[name]) // an empty one hides another
		addSettings(settings, string(text))
	}
	return settings
}

func addSettings(settings map[string]string, text string) {
	section := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		key, value, found := strings.Cut(line, "=")
		switch {
		case strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";"):
		case strings.HasPrefix(line, "["):
			section = line
		case found && section == "[Login]":
			settings[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
}
