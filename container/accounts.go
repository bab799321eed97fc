package container

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// accounts gives a user without an entry in the image's passwd and group one
// each, in files that stand for the image's (podman-run(1), --passwd). Root has
// one everywhere.
func (p *plan) accounts(root imageRoot, dir string) error {
	user, rare := p.spec.Process.User, p.o.rare()
	if rare.NoPasswd || user.UID == 0 && user.GID == 0 && len(rare.HostUsers) == 0 {
		return nil
	}
	passwd, err := root.read("etc/passwd")
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	var lines []string
	for _, line := range rare.HostUsers {
		if name, _, _ := strings.Cut(line, ":"); !hasField(passwd, 0, name) {
			lines = append(lines, line)
		}
	}
	id := strconv.FormatUint(uint64(user.UID), 10)
	if user.UID != 0 && !hasField(passwd, 2, id) {
		lines = append(lines, p.passwdEntry(id))
	}
	if p.files.passwd, err = extended(passwd, lines, path.Join(dir, "passwd")); err != nil {
		return err
	}
	group, err := root.read("etc/group")
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	gid := strconv.FormatUint(uint64(user.GID), 10)
	if user.GID == 0 || hasField(group, 2, gid) {
		return nil
	}
	entry := replaced(first(rare.GroupEntry, "$GROUPNAME:x:$GID:$USERLIST"), "$GROUPNAME", gid, "$GID", gid, "$USERLIST", p.loginName(id))
	p.files.group, err = extended(group, []string{entry}, path.Join(dir, "group"))
	return err
}

func (p *plan) passwdEntry(id string) string {
	name, comment := p.loginName(id), "container user"
	if p.o.KeepID {
		comment = name
	}
	return replaced(first(p.o.rare().PasswdEntry, "$USERNAME:*:$UID:$GID:$NAME:$HOME:/bin/sh"), "$USERNAME", name, "$UID", id,
		"$GID", strconv.FormatUint(uint64(p.spec.Process.User.GID), 10), "$NAME", comment, "$HOME", p.spec.Process.Cwd)
}

// loginName: with keep-id the user is the host's.
func (p *plan) loginName(id string) string {
	if p.o.KeepID && p.o.HostName != "" {
		return p.o.HostName
	}
	return id
}

// replaced: long names first, as $NAME is in none of them but $GROUPNAME.
func replaced(text string, pairs ...string) string {
	return strings.NewReplacer(pairs...).Replace(text)
}

// hasField says whether a line of passwd or group has a value in a field.
func hasField(text []byte, field int, value string) bool {
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) > field && f[field] == value {
			return true
		}
	}
	return false
}

// extended writes a text with more lines; "" when there are none.
func extended(text []byte, lines []string, file string) (string, error) {
	if len(lines) == 0 {
		return "", nil
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	for _, line := range lines {
		if strings.ContainsAny(line, "\n\x00") {
			return "", fmt.Errorf("entry %q: one line", line)
		}
		text = append(append(text, line...), '\n')
	}
	return file, writeFile(file, text)
}
