package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/cli/units"
	"containers/rl/container"
)

// use is a flag on a command line, or several shorthands in one word.
type use struct {
	names []string // of the flags, the long ones
	words []string
	value string // of the last
}

func (u use) has(name string) bool { return slices.Contains(u.names, name) }

// usesOf takes the flags of a command line apart, up to its first argument.
func usesOf(set *flags.Set, words []string) (uses []use, rest []string, err error) {
	for len(words) > 0 {
		word := words[0]
		if word == "--" {
			return uses, words[1:], nil
		}
		if len(word) < 2 || word[0] != '-' {
			return uses, words, nil
		}
		u, open := use{}, false
		if strings.HasPrefix(word, "--") {
			u, open, err = longUse(set, word)
		} else {
			u, open, err = shortUses(set, word)
		}
		size := 1
		if open && err == nil {
			if size = 2; len(words) < 2 {
				err = fmt.Errorf("flag needs an argument: %s", word)
			} else {
				u.value = words[1]
			}
		}
		if err != nil {
			return nil, nil, err
		}
		u.words, words = words[:size], words[size:]
		uses = append(uses, u)
	}
	return uses, nil, nil
}

// longUse reads one long flag. open: its value is the next word.
func longUse(set *flags.Set, word string) (u use, open bool, err error) {
	name, value, valued := strings.Cut(word[2:], "=")
	for _, f := range set.All() {
		if f.Name == name {
			return use{names: []string{name}, value: value}, !valued && f.Kind != flags.Bool, nil
		}
	}
	return u, false, fmt.Errorf("unknown flag: --%s", name)
}

// shortUses reads a word of shorthands, of which the last may have a value.
func shortUses(set *flags.Set, word string) (u use, open bool, err error) {
	for cluster := word[1:]; cluster != ""; cluster = cluster[1:] {
		n := slices.IndexFunc(set.All(), func(f *flags.Flag) bool { return f.Short == cluster[:1] })
		if n < 0 {
			return u, false, fmt.Errorf("unknown shorthand flag: %s", word)
		}
		f := set.All()[n]
		u.names = append(u.names, f.Name)
		if f.Kind != flags.Bool || len(cluster) > 2 && cluster[1] == '=' {
			u.value = strings.TrimPrefix(cluster[1:], "=")
			return u, len(cluster) == 1, nil
		}
	}
	return u, false, nil
}

func quoted(words []string) (list []string) {
	for _, word := range words {
		list = append(list, units.Word(word))
	}
	return list
}

// recreation is the command line that makes a container once more, for a unit.
type recreation struct {
	fixed, flags, rest []string // quoted
	restart            string   // --restart, as it was typed
	name               int      // where the name is in flags; -1: it has none
}

// recreate reads the command line that made a container.
func recreate(command []string, pod *podUnit) (*recreation, error) {
	if len(command) < 2 {
		return nil, errors.New("no create command found: it was not made by rl run or rl create")
	}
	set := flags.New("run")
	start.New(set)
	uses, rest, err := usesOf(set, command[1:])
	if err != nil {
		return nil, err
	}
	r := &recreation{rest: quoted(rest), name: -1}
	given := map[string]bool{}
	for _, u := range uses {
		for _, name := range u.names {
			given[name] = true
		}
		r.take(u, pod != nil, given)
	}
	r.fixed = slices.DeleteFunc([]string{"--cgroups=no-conmon", "--rm", "", "--sdnotify=conmon", "-d", "--replace"}, func(word string) bool {
		return given[strings.TrimPrefix(strings.Split(word, "=")[0], "--")] || word == "--replace" && r.name < 0 || word == "-d" && given["clustered -d"] || word == "" && pod == nil
	})
	if pod != nil {
		r.fixed[slices.Index(r.fixed, "")] = "--pod-id-file " + pod.idFile()
	}
	return r, nil
}

// take keeps a flag, unless the unit sees to what it is for.
func (r *recreation) take(u use, inPod bool, given map[string]bool) {
	switch last := u.names[len(u.names)-1]; {
	case last == "restart":
		r.restart = u.value
		return
	case last == "rm" && len(u.names) == 1:
		delete(given, "rm")
		return
	case last == "sdnotify" && u.value == "ignore":
		delete(given, "sdnotify")
		return
	case slices.Contains([]string{"cidfile", "detach", "attach"}, last) && len(u.names) == 1, inPod && (last == "pod" || last == "pod-id-file"):
		return
	case last == "name" && len(u.names) == 1:
		r.name = len(r.flags) + len(u.words) - 1
	}
	given["clustered -d"] = given["clustered -d"] || u.has("detach")
	r.flags = append(r.flags, quoted(u.words)...)
}

// template gives each instance a name of its own.
func (r *recreation) template() {
	if r.name >= 0 {
		name := &r.flags[r.name]
		if text, ok := strings.CutSuffix(*name, `"`); ok {
			*name = text + `-%i"`
		} else {
			*name += "-%i"
		}
	}
}

func (r *recreation) words() []string { return slices.Concat(r.fixed, r.flags, r.rest) }

// policy is what systemd has in place of a container's own.
func (r *recreation) policy() (restart string, most int, err error) {
	policy, count, _ := strings.Cut(r.restart, ":")
	switch policy {
	case container.RestartUnlessStopped:
		return "always", 0, nil
	case container.RestartOnFailure:
		if count != "" {
			most, err = strconv.Atoi(count)
		}
		return policy, most, err
	case container.RestartNo, container.RestartAlways:
		return policy, 0, nil
	}
	return "", 0, fmt.Errorf("%s is not a valid restart policy", r.restart)
}
