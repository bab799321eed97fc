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
	if endsAtLogout("/", string(cgroup), userns.Self) {
		fmt.Fprintln(s.Err, "rl: this host ends what its users run when they log out (KillUserProcesses=yes in logind.conf), and this container with it: loginctl enable-linger")
	}
}

// endsAtLogout says whether systemd-logind ends the user's processes at logout
// (logind.conf(5), loginctl(1)): it is told to, we are in a session of a user,
// and he does not linger. root is that of the file system.
func endsAtLogout(root, cgroup string, self func() userns.User) bool {
	if _, err := os.Lstat(path.Join(root, "run/systemd/system")); err != nil { // sd_booted(3)
		return false
	}
	login := readLogin(root)
	if !slices.Contains([]string{"1", "yes", "y", "true", "t", "on"}, strings.ToLower(login["KillUserProcesses"])) || !strings.Contains(cgroup, "/user.slice/") {
		return false
	}
	name := self().Name
	if only := strings.Fields(login["KillOnlyUsers"]); len(only) > 0 && !slices.Contains(only, name) || slices.Contains(strings.Fields(login["KillExcludeUsers"]), name) {
		return false
	}
	_, err := os.Lstat(path.Join(root, "var/lib/systemd/linger", path.Join("/", name)))
	return err != nil
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
