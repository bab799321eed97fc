package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// psWords are options of ps(1) in BSD's style, without a hyphen, as docker's
// users give them to top.
var psWords = []string{"a", "u", "x", "au", "ax", "ux", "aux", "axu", "auxw", "auxww", "axw", "axww", "axo", "auxf"}

// The tables of ps(1): without an option, with -f, and BSD's with u and without.
var (
	psPlain = []string{"pid", "tty", "time", "cmd-"}
	psFull  = []string{"uid", "pid", "ppid", "c", "stime", "tty", "time", "cmd"}
	psUser  = []string{"user", "pid", "%cpu", "%mem", "vsz", "rss", "tty", "stat", "start", "time-", "command"}
	psBSD   = []string{"pid", "tty", "stat", "time-", "command"}
)

// processColumns are those that ps(1) shows otherwise than podman's top.
var processColumns = map[string]descriptor{
	"uid":    {"UID", func(r topRow) string { return named(r.User.UID, r.uids) }},
	"c":      {"C", func(r topRow) string { return fmt.Sprintf("%.0f", min(r.share(), 99)) }},
	"stime":  {"STIME", topRow.clock},
	"start":  {"START", topRow.clock},
	"lstart": {"STARTED", func(r topRow) string { return r.began().Format(time.ANSIC) }},
	"time":   {"TIME", func(r topRow) string { return clockTime(r.used(), true) }},
	"time-": {"TIME", func(r topRow) string {
		u := r.used()
		return fmt.Sprintf("%d:%02d", int(u.Minutes()), int(u.Seconds())%60)
	}},
	"etime":   {"ELAPSED", func(r topRow) string { return clockTime(r.age(), false) }},
	"etimes":  {"ELAPSED", func(r topRow) string { return fmt.Sprint(int(r.age().Seconds())) }},
	"%cpu":    {"%CPU", func(r topRow) string { return fmt.Sprintf("%.1f", r.share()) }},
	"%mem":    {"%MEM", topRow.memory},
	"stat":    {"STAT", func(r topRow) string { return string(r.State) }},
	"s":       {"S", func(r topRow) string { return string(r.State) }},
	"cmd":     {"CMD", func(r topRow) string { return r.Args }},
	"cmd-":    {"CMD", func(r topRow) string { return r.Comm }},
	"command": {"COMMAND", func(r topRow) string { return r.Args }},
	"ucmd":    {"CMD", func(r topRow) string { return r.Comm }},
	"gid":     {"GID", func(r topRow) string { return fmt.Sprint(r.User.GID) }},
	"euid":    {"EUID", func(r topRow) string { return fmt.Sprint(r.User.UID) }},
	"ruid":    {"RUID", func(r topRow) string { return fmt.Sprint(r.User.RealUID) }},
	"rgid":    {"RGID", func(r topRow) string { return fmt.Sprint(r.User.RealGID) }},
}

// psSame are names of ps(1) for columns that are as those of another name.
var psSame = map[string]string{
	"pcpu": "%cpu", "pmem": "%mem", "state": "s", "tt": "tty", "tname": "tty", "ucomm": "comm", "ni": "nice", "start_time": "stime", "bsdtime": "time-", "cputime": "time",
	"vsize": "vsz", "rssize": "rss", "rsz": "rss", "euser": "user", "egroup": "group", "pgrp": "pgid",
}

// clock: the time of the day, or the date of one that is a day old.
func (r topRow) clock() string {
	if r.age() > 24*time.Hour {
		return r.began().Format("Jan02")
	}
	return r.began().Format("15:04")
}

// clockTime is [DD-]HH:MM:SS, or without hours that are none.
func clockTime(d time.Duration, hours bool) string {
	s := int(d.Seconds())
	text := fmt.Sprintf("%02d:%02d", s/60%60, s%60)
	if hours || s >= 3600 {
		text = fmt.Sprintf("%02d:", s/3600%24) + text
	}
	if days := s / 86400; days > 0 {
		text = fmt.Sprintf("%d-", days) + text
	}
	return text
}

func (r topRow) memory() string {
	var total unix.Sysinfo_t
	_ = unix.Sysinfo(&total)
	return fmt.Sprintf("%.1f", 100*float64(r.resident())/float64(max(1, uint64(total.Totalram)*uint64(total.Unit))))
}

// psOptions are options of ps(1), as far as they say which columns are shown.
// Those that choose processes mean all: top shows those of the container, as
// docker's does.
type psOptions struct {
	table []string // that an option names
	own   []string // of -o
}

// psNames reads options such as -ef, aux, -o pid,comm and -eo pid,comm.
func psNames(words []string) ([]descriptor, error) {
	o := psOptions{table: psPlain}
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		if list, ok := strings.CutPrefix(word, "--format="); ok {
			o.own = append(o.own, psList(list)...)
			continue
		}
		if word == "--format" {
			word = "-o"
		}
		letters, list, takes := strings.Cut(strings.TrimPrefix(word, "-"), "o")
		if takes && list == "" && len(words) > 0 {
			list, words = words[0], words[1:]
		}
		if takes && len(psList(list)) == 0 {
			return nil, fmt.Errorf("top: %s: ps needs a list of columns after it", word)
		}
		o.own = append(o.own, psList(list)...)
		if err := o.letters(letters, word); err != nil {
			return nil, err
		}
	}
	if o.own != nil {
		return psDescriptors(o.own)
	}
	return psDescriptors(o.table)
}

// letters: those without a hyphen are BSD's.
func (o *psOptions) letters(letters, word string) error {
	bsd := !strings.HasPrefix(word, "-")
	for _, l := range letters {
		switch {
		case l == 'u' && (bsd || len(letters) > 1):
			o.table = psUser
		case l == 'x' && slices.Equal(o.table, psPlain):
			o.table = psBSD
		case l == 'f' || l == 'F':
			o.table = psFull
		case !strings.ContainsRune("eAadwxH", l):
			return fmt.Errorf("top: %s: this option of ps is not known: there are -e, -f, aux, -o COLUMNS", word)
		}
	}
	return nil
}

func psList(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// psDescriptors: NAME=TEXT gives a column another head.
func psDescriptors(names []string) (list []descriptor, err error) {
	for _, name := range names {
		name, head, renamed := strings.Cut(name, "=")
		if same, ok := psSame[name]; ok {
			name = same
		}
		c, ok := processColumns[name]
		if !ok {
			c, ok = topColumns[name]
		}
		if !ok {
			return nil, fmt.Errorf("top: unknown column %q of ps: there are %s", name, strings.Join(sortedKeys(topColumns), ", "))
		}
		if renamed {
			c.head = head
		}
		list = append(list, c)
	}
	return list, nil
}
