package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/cli/units"
)

// Our binary is a generator (systemd.generator(7)) under these names.
const (
	userGenerator   = "rl-user-generator"
	systemGenerator = "rl-system-generator"
)

// generator is what systemd runs at boot and at daemon-reload, with three
// directories to write to. Units go to the first: those of the user come before.
func generator(name string) func(Streams, []string) error {
	return func(s Streams, args []string) error {
		if len(args) != 3 && len(args) != 1 {
			return fmt.Errorf("%s: it is for systemd, which gives it three directories: rl generate quadlet does it by hand", name)
		}
		q := &quadlets{user: name == userGenerator, quiet: true}
		return q.run(s, args[:1])
	}
}

// quadlets are the flags of generate quadlet, which makes services of files
// for containers (podman-systemd.unit(5)).
type quadlets struct {
	user, dry, quiet bool
}

func quadletFlags(f *flags.Set) func(Streams, []string) error {
	q := &quadlets{}
	f.BoolVar(&q.user, "user", os.Getuid() != 0, "for the user's manager; false: for that of the system")
	f.BoolVar(&q.dry, "dryrun", false, "print the units, and write nothing")
	f.Alias("dry-run", "dryrun")
	return q.run
}

func (q *quadlets) run(s Streams, args []string) error {
	if len(args) > 1 {
		return usageError{Text: fmt.Sprintf("accepts at most 1 arg(s), received %d", len(args)), Command: "generate quadlet"}
	}
	dir, err := q.directory(args)
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding our own binary: %w", err)
	}
	found, names, failed := readQuadlets(q.sources())
	found.Program, found.User, found.Has, found.Check, found.Exists = program, q.user, hasFlag, checkFlags, onHost
	var made []*units.Unit
	for _, name := range names {
		unit, err := found.Convert(name)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if n := slices.IndexFunc(made, func(other *units.Unit) bool { return other.Name == unit.Name }); n >= 0 {
			failed = append(failed, fmt.Errorf("%s: another file is for %s", found.Files[name].Path, unit.Name))
			continue
		}
		made = append(made, unit)
	}
	if q.dry {
		for _, unit := range made {
			fmt.Fprintf(s.Out, "---%s---\n%s\n", unit.Name, unit.Text)
		}
		return errors.Join(failed...)
	}
	return errors.Join(append(failed, q.write(s, dir, made))...)
}

// directory is where units are put: one of systemd's for units that did not
// come with the user's own, so that these come before (systemd.unit(5)).
func (q *quadlets) directory(args []string) (string, error) {
	switch {
	case len(args) == 1:
		return filepath.Abs(args[0])
	case !q.user:
		return "/usr/local/lib/systemd/system", nil
	}
	return inHome("XDG_DATA_HOME", ".local/share", "systemd/user")
}

// inHome is a path in a directory of the user's that a variable may name.
func inHome(variable, usual, rest string) (string, error) {
	if dir := os.Getenv(variable); filepath.IsAbs(dir) {
		return filepath.Join(dir, rest), nil
	}
	home := os.Getenv("HOME")
	if !filepath.IsAbs(home) {
		return "", fmt.Errorf("neither HOME nor %s is an absolute path: export HOME=/home/you", variable)
	}
	return filepath.Join(home, usual, rest), nil
}

// sources are the directories that files are read from. Of one name, the first
// counts.
func (q *quadlets) sources() (dirs []string) {
	const place = "containers/systemd"
	if list, ok := os.LookupEnv("QUADLET_UNIT_DIRS"); ok && list != "" {
		return filepath.SplitList(list)
	}
	if !q.user {
		return []string{"/run/" + place, "/etc/" + place, "/usr/share/" + place}
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		dirs = append(dirs, filepath.Join(dir, place))
	}
	if dir, err := inHome("XDG_CONFIG_HOME", ".config", place); err == nil {
		dirs = append(dirs, dir)
	}
	users := "/etc/" + place + "/users"
	return append(dirs, fmt.Sprintf("%s/%d", users, os.Getuid()), users)
}

// hasFlag says whether a command of ours knows a flag, given with its --.
func hasFlag(command, flag string) bool {
	return slices.ContainsFunc(flagsOf(command).All(), func(f *flags.Flag) bool { return "--"+f.Name == flag })
}

func flagsOf(command string) *flags.Set {
	if command == "" {
		set, _ := globalFlags()
		return set
	}
	set := flags.New(command)
	if command == "run" {
		start.New(set)
	} else if c, ok := find(command); ok {
		c.Flags(set)
	}
	return set
}

// checkFlags refuses what a command of ours would not understand.
func checkFlags(command string, words []string) error {
	_, rest, err := usesOf(flagsOf(command), words)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%s is no flag", rest[0])
	}
	return err
}

func onHost(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
