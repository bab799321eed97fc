package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/storage"
)

// selection are the flags of commands that act on several containers
// (podman-stop(1) and its like).
type selection struct {
	command           string
	all, latest       bool
	ignore            bool                       // a container that is not there is no error
	with              func(*container.Info) bool // what --all means; nil: every one
	cidfiles, filters []string
	// ahead is done to all at once, before the rest is done to one after the
	// other: most of it is waiting, as for what stops.
	ahead func(container.Host, *container.Info) error
	// broken is done to one that cannot be read; nil: that is an error.
	broken func(container.Host, *container.Broken) error
}

// flags declares them; which is a list of the rarer ones that a command has.
func (sel *selection) flags(f *flags.Set, which ...string) {
	has := func(name string) bool { return slices.Contains(which, name) }
	letter := "a"
	if sel.command == "start" {
		letter = "" // it is --attach there
	}
	f.BoolVarP(&sel.all, "all", letter, false, "all containers")
	f.BoolVarP(&sel.latest, "latest", "l", false, "the container that was made last")
	if has("ignore") {
		f.BoolVarP(&sel.ignore, "ignore", "i", false, "do not mind a container that is not there")
	}
	if has("cidfile") {
		f.StringArrayVar(&sel.cidfiles, "cidfile", nil, "read the container's id from a file")
	}
	if has("filter") {
		letter := "f"
		if sel.command == "rm" {
			letter = "" // it is --force there
		}
		f.StringArrayVarP(&sel.filters, "filter", letter, nil, "those of which KEY=VALUE holds, as of ps")
	}
}

// each does something to all that were selected, and goes on after an error, as
// docker does. What was done to is printed as it was typed. do is nil when all is
// done ahead.
func (sel *selection) each(s Streams, args []string, do func(container.Host, *container.Info) error) error {
	if err := sel.check(args); err != nil {
		return usageError{Text: err.Error(), Command: sel.command}
	}
	host, err := start.OpenHost()
	if err != nil {
		return err
	}
	many := sel.all || sel.latest || len(sel.filters) > 0 // nobody named them one by one
	refs, err := sel.refs(host, args)
	if err != nil && len(container.AllBroken(err)) == 0 {
		return err
	}
	failed := []error{err} // those that cannot be read leave the others alone
	infos := make([]*container.Info, len(refs))
	find := func(n int) (err error) {
		infos[n], err = container.Find(host.Dirs, refs[n])
		return err
	}
	ready := find
	if sel.ahead != nil {
		ready = atOnce(len(refs), func(n int) error {
			if err := find(n); err != nil {
				return err
			}
			return sel.ahead(host, infos[n])
		})
	}
	for n, ref := range refs {
		err := ready(n)
		if broken := container.AllBroken(err); len(broken) == 1 && sel.broken != nil {
			err = sel.broken(host, broken[0])
		} else if err == nil && do != nil {
			err = do(host, infos[n])
		}
		switch {
		case errors.Is(err, storage.ErrNoContainer) && (sel.ignore || many):
		case err != nil:
			failed = append(failed, err)
		default:
			fmt.Fprintln(s.Out, ref)
		}
	}
	return errors.Join(failed...)
}

// check is for what excludes each other, in podman's words.
func (sel *selection) check(args []string) error {
	named := len(args) + len(sel.cidfiles)
	switch {
	case sel.all && sel.latest:
		return errors.New("--all and --latest cannot be used together")
	case sel.all && len(args) > 0:
		return errors.New("no arguments are needed with --all")
	case sel.all && named > 0:
		return errors.New("--all, --latest, and --cidfile cannot be used together")
	case sel.latest && named > 0:
		return errors.New("--latest and containers cannot be used together")
	case named == 0 && !sel.all && !sel.latest && len(sel.filters) == 0:
		if sel.command == "start" {
			return errors.New("start requires at least one argument")
		}
		return errors.New("you must provide at least one name or id")
	}
	return nil
}

// refs are names as they were typed, or ids.
func (sel *selection) refs(host container.Host, args []string) ([]string, error) {
	for _, name := range sel.cidfiles {
		text, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) && sel.ignore {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading CIDFile: %w", err)
		}
		id, _, _ := strings.Cut(string(text), "\n")
		args = append(args, id)
	}
	switch {
	case sel.latest:
		info, err := latestContainer(host)
		if err != nil {
			return nil, err
		}
		return []string{info.ID}, nil
	case len(sel.filters) > 0 && len(args) > 0:
		return sel.matching(host, args)
	case sel.all || len(sel.filters) > 0:
		return sel.every(host)
	}
	return args, nil
}

// every gives the ids of those that --all and --filter mean, the oldest first,
// and an error for those that cannot be read.
func (sel *selection) every(host container.Host) (ids []string, unread error) {
	list, unread := oldestFirst(host)
	tests, err := sel.tests(list)
	if err != nil {
		return nil, err
	}
	for _, i := range list {
		if allHold(tests, i) && (!sel.all || sel.with == nil || sel.with(i)) {
			ids = append(ids, i.ID)
		}
	}
	if sel.broken == nil || len(sel.filters) > 0 {
		return ids, unread
	}
	for _, b := range container.AllBroken(unread) {
		ids, unread = append(ids, b.ID), nil
	}
	return ids, unread
}

// matching leaves of those that were named the ones that the filters let pass.
func (sel *selection) matching(host container.Host, args []string) (refs []string, unread error) {
	list, unread := oldestFirst(host)
	tests, err := sel.tests(list)
	if err != nil {
		return nil, err
	}
	for _, ref := range args {
		if info, err := container.Find(host.Dirs, ref); err != nil || allHold(tests, info) {
			refs = append(refs, ref)
		}
	}
	return refs, unread
}

func (sel *selection) tests(list []*container.Info) ([]containerTest, error) {
	tests, err := psFilters(sel.filters, list)
	if err != nil {
		return nil, usageError{Text: err.Error(), Command: sel.command}
	}
	return tests, nil
}

func oldestFirst(host container.Host) ([]*container.Info, error) {
	list, err := container.List(host.Dirs)
	sort.Slice(list, func(i, j int) bool { return list[i].Created.Before(list[j].Created) })
	return list, err
}

func latestContainer(host container.Host) (*container.Info, error) {
	list, err := oldestFirst(host)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("--latest: there are no containers: %w", storage.ErrNoContainer)
	}
	return list[len(list)-1], nil
}

// withLatest puts the id of the container that was made last before the other
// arguments, when it is asked for.
func withLatest(host container.Host, latest bool, args []string) ([]string, error) {
	if !latest {
		return args, nil
	}
	info, err := latestContainer(host)
	if err != nil {
		return nil, err
	}
	return append([]string{info.ID}, args...), nil
}

// latestFlag declares --latest for a command that is about one container.
func latestFlag(f *flags.Set) *bool {
	return f.BoolP("latest", "l", false, "the container that was made last")
}

// oneContainer finds the container of a command that takes just one, by its
// name or --latest.
func oneContainer(host container.Host, command string, latest bool, args []string) (*container.Info, error) {
	if latest {
		if len(args) > 0 {
			return nil, usageError{Text: "--latest and containers cannot be used together", Command: command}
		}
		return latestContainer(host)
	}
	if err := exactly(command, args, 1); err != nil {
		return nil, err
	}
	return container.Find(host.Dirs, args[0])
}

// openContainer finds the container of a name, and its host.
func openContainer(ref string) (host container.Host, info *container.Info, err error) {
	if host, err = start.OpenHost(); err == nil {
		info, err = container.Find(host.Dirs, ref)
	}
	return host, info, err
}

// exactly refuses another number of arguments, in the words that scripts know.
func exactly(command string, args []string, number int) error {
	if len(args) == number {
		return nil
	}
	if number == 0 {
		return usageError{Text: fmt.Sprintf("`rl %s` takes no arguments", command), Command: command}
	}
	return usageError{Text: fmt.Sprintf("accepts %d arg(s), received %d", number, len(args)), Command: command}
}
