package units

import (
	"fmt"
	"strings"
)

// Service is what a unit of podman-generate-systemd(1) says. A word that begins
// with - starts a line of its own in Start and its like, as podman shows them.
type Service struct {
	Name        string // without .service
	Made        string // by whom and when; "": no header
	Description string // what follows the name; for a template
	Mounts      string // RequiresMountsFor=
	BindsTo     []string
	Before      []string // which are wanted, too

	After, Wants, Requires []string // of the user
	Env                    []string // NAME=VALUE

	Unit          string // what the program is told of the unit's name
	Restart       string
	StartLimit    int    // 0: systemd's
	RestartSec    string // "": systemd's, and so on
	StartTimeout  string
	StopTimeout   int
	StartPre      [][]string
	Start         []string
	Stop, PostRun []string
	PIDFile       string // "": the service says itself when it is ready
}

// String is the unit's text.
func (s *Service) String() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# %s.service", s.Name)
	if s.Made != "" {
		line("%s", s.Made)
	}
	line("\n[Unit]\nDescription=%s", strings.ReplaceAll(s.Description, "\n", " "))
	line("Documentation=man:rl(1)\nWants=network-online.target\nAfter=network-online.target")
	line("RequiresMountsFor=%s", s.Mounts)
	for _, list := range []struct {
		key   string
		units []string
	}{{"BindsTo", s.BindsTo}, {"After", s.BindsTo}, {"Wants", s.Before}, {"Before", s.Before}} {
		if len(list.units) > 0 {
			line("%s=%s", list.key, strings.Join(list.units, " "))
		}
	}
	s.dependencies(line)
	line("\n[Service]\nEnvironment=PODMAN_SYSTEMD_UNIT=%s", s.Unit)
	for _, env := range s.Env {
		line("Environment=%s", Setting(env))
	}
	s.limits(line)
	for _, command := range s.StartPre {
		line("ExecStartPre=%s", commandLine(command))
	}
	line("ExecStart=%s", commandLine(s.Start))
	line("ExecStop=%s", commandLine(s.Stop))
	line("ExecStopPost=%s", commandLine(s.PostRun))
	if s.PIDFile != "" {
		line("PIDFile=%s\nType=forking", s.PIDFile)
	} else {
		line("Type=notify\nNotifyAccess=all")
	}
	line("\n[Install]\nWantedBy=default.target")
	return b.String()
}

type printer func(format string, args ...any)

func (s *Service) dependencies(line printer) {
	if len(s.After)+len(s.Wants)+len(s.Requires) == 0 {
		return
	}
	line("\n# User-defined dependencies")
	for _, list := range []struct {
		key   string
		units []string
	}{{"Wants", s.Wants}, {"After", s.After}, {"Requires", s.Requires}} {
		if len(list.units) > 0 {
			line("%s=%s", list.key, strings.Join(list.units, " "))
		}
	}
}

func (s *Service) limits(line printer) {
	line("Restart=%s", s.Restart)
	if s.StartLimit > 0 {
		line("StartLimitBurst=%d", s.StartLimit)
	}
	if s.RestartSec != "" {
		line("RestartSec=%s", s.RestartSec)
	}
	if s.StartTimeout != "" {
		line("TimeoutStartSec=%s", s.StartTimeout)
	}
	line("TimeoutStopSec=%d", s.StopTimeout)
}

// commandLine joins words that are quoted already.
func commandLine(words []string) string {
	var b strings.Builder
	for n, word := range words {
		switch {
		case n == 0:
		case strings.HasPrefix(word, "-"):
			b.WriteString(" \\\n\t")
		default:
			b.WriteByte(' ')
		}
		b.WriteString(word)
	}
	return b.String()
}
