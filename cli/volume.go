package cli

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/storage"
)

// inspectedVolume is a volume as podman shows it; docker's fields are among
// them (podman-volume-inspect(1), docker-volume-inspect(1)).
type inspectedVolume struct {
	Name        string
	Driver      string
	Mountpoint  string
	CreatedAt   time.Time
	Labels      map[string]string
	Scope       string
	Options     map[string]string
	UID         int  `json:",omitempty"`
	GID         int  `json:",omitempty"`
	Anonymous   bool `json:",omitempty"`
	MountCount  uint
	NeedsCopyUp bool `json:",omitempty"`
	NeedsChown  bool `json:",omitempty"`
}

func inspectVolume(v *storage.Volume) inspectedVolume {
	row := inspectedVolume{Name: v.Name, Driver: v.Driver, Mountpoint: v.Data(), CreatedAt: v.Created, Labels: pairMap(v.Labels), Scope: "local", Options: pairMap(v.Options), Anonymous: v.Anonymous}
	row.NeedsCopyUp, row.NeedsChown = v.Untouched()
	row.UID, row.GID = container.VolumeOwner(v)
	return row
}

func pairMap(list []string) map[string]string {
	all := map[string]string{}
	for _, pair := range list {
		name, value, _ := strings.Cut(pair, "=")
		all[name] = value
	}
	return all
}

func volumeCreateFlags(f *flags.Set) func(Streams, []string) error {
	driver := f.StringP("driver", "d", container.LocalDriver, "local is the only one")
	ignore := f.Bool("ignore", false, "do not mind a volume that is there already")
	v := storage.Volume{Driver: container.LocalDriver}
	f.StringArrayVarP(&v.Labels, "label", "l", nil, "NAME[=VALUE], for filters and people")
	f.StringArrayVarP(&v.Options, "opt", "o", nil, "type=TYPE, device=PATH, o=OPTION,... as mount(8) has them, and o=uid=,gid=; size= with type=tmpfs")
	return func(s Streams, args []string) error {
		switch {
		case len(args) > 1:
			return usageError{Text: fmt.Sprintf("accepts at most 1 arg(s), received %d", len(args)), Command: "volume create"}
		case len(args) == 1:
			v.Name = args[0]
		default:
			v.Name = randomName()
		}
		if *driver != container.LocalDriver {
			return fmt.Errorf("creating volume %s: volume driver %q: %w", v.Name, *driver, container.ErrDriver)
		}
		if err := storage.CheckVolumeName(v.Name); err != nil {
			return fmt.Errorf("running volume create option: %w", err)
		}
		if err := container.CheckVolumeOptions(&v); err != nil {
			return usageError{Text: err.Error(), Command: "volume create"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		err = createVolume(host, v)
		if err == nil || *ignore && errors.Is(err, storage.ErrVolumeExists) {
			_, err = fmt.Fprintln(s.Out, v.Name)
		}
		return err
	}
}

func randomName() string {
	id := make([]byte, 32)
	_, _ = rand.Read(id) // it never fails
	return hex.EncodeToString(id)
}

func createVolume(host container.Host, v storage.Volume) error {
	if err := sweepVolumes(host); err != nil {
		return err
	}
	if err := container.CheckVolumeOwner(host, &v); err != nil {
		return err
	}
	made, err := host.Dirs.CreateVolume(v)
	if err != nil {
		return err
	}
	defer made.Close()
	happened(host.Dirs, "volume", "create", "", v.Name)
	uid, gid := container.VolumeOwner(made)
	if uid == 0 && gid == 0 {
		return nil
	}
	if err := inVolume(host, volumeRequest{Op: "chown", Data: made.Data(), UID: uid, GID: gid}, nil, nil); err != nil {
		made.Close()
		return errors.Join(err, container.RemoveVolume(host, v.Name, "")) // the second self has said why
	}
	return nil
}

// sweepVolumes clears away what the dead left.
func sweepVolumes(host container.Host) error {
	return container.RemoveMapped(host.IDs, host.Dirs.SweepVolumes()...)
}

// volumeColumns are what a template of --format can name (podman-volume-ls(1), docker-volume-ls(1)).
var volumeColumns = map[string]column[inspectedVolume]{
	"Name": {"VOLUME NAME", func(v inspectedVolume) any { return v.Name }}, "Driver": {"DRIVER", func(v inspectedVolume) any { return v.Driver }},
	"Mountpoint": {"MOUNTPOINT", func(v inspectedVolume) any { return v.Mountpoint }}, "Scope": {"SCOPE", func(v inspectedVolume) any { return v.Scope }},
	"CreatedAt": {"CREATED AT", func(v inspectedVolume) any { return v.CreatedAt }}, "Labels": {"LABELS", func(v inspectedVolume) any { return joinPairs(v.Labels) }},
	"Options": {"OPTIONS", func(v inspectedVolume) any { return v.Options }}, "Anonymous": {"ANONYMOUS", func(v inspectedVolume) any { return v.Anonymous }},
	"MountCount": {"MOUNTCOUNT", func(v inspectedVolume) any { return v.MountCount }}, "NeedsCopyUp": {"NEEDSCOPYUP", func(v inspectedVolume) any { return v.NeedsCopyUp }},
	"NeedsChown": {"NEEDSCHOWN", func(v inspectedVolume) any { return v.NeedsChown }}, "UID": {"UID", func(v inspectedVolume) any { return v.UID }},
	"GID": {"GID", func(v inspectedVolume) any { return v.GID }}, "Availability": {"AVAILABILITY", func(inspectedVolume) any { return "N/A" }},
	"Group": {"GROUP", func(inspectedVolume) any { return "N/A" }}, "Links": {"LINKS", func(inspectedVolume) any { return "N/A" }},
	"Size": {"SIZE", func(inspectedVolume) any { return "N/A" }}, "Status": {"STATUS", func(inspectedVolume) any { return "N/A" }},
}

func joinPairs(pairs map[string]string) string {
	var list []string
	for name, value := range pairs {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return strings.Join(list, ",")
}

func volumeListFlags(f *flags.Set) func(Streams, []string) error {
	quiet := f.BoolP("quiet", "q", false, "show names alone")
	format := f.String("format", "", "json, [table] TEMPLATE, or nothing for a table")
	noHead := f.BoolP("noheading", "n", false, "leave out the head of the table")
	var filters []string
	f.StringArrayVarP(&filters, "filter", "f", nil, "dangling|driver|label|name|opt|scope|until=VALUE")
	return func(s Streams, args []string) error {
		if len(args) > 0 {
			return usageError{Text: "volume ls takes no argument", Command: "volume ls"}
		}
		_, list, err := listVolumes(filters, "volume ls")
		if err != nil {
			return err
		}
		rows := []inspectedVolume{}
		for _, v := range list {
			rows = append(rows, inspectVolume(v))
		}
		if *quiet && *format != "" {
			return usageError{Text: "quiet and format flags cannot be used together", Command: "volume ls"}
		}
		if *quiet {
			*format = "{{.Name}}"
		}
		if len(rows) == 0 && *format == "" {
			return nil
		}
		l := listing[inspectedVolume]{table: "{{.Driver}}\t{{.Name}}", columns: volumeColumns, noHead: *noHead, labels: func(v inspectedVolume) map[string]string { return v.Labels }}
		return l.print(s.Out, *format, rows, rows)
	}
}

func volumeInspectFlags(f *flags.Set) func(Streams, []string) error {
	all := f.BoolP("all", "a", false, "all volumes")
	format := f.StringP("format", "f", "", "json, or a template")
	return func(s Streams, args []string) error {
		if *all == (len(args) > 0) {
			return usageError{Text: "provide one or more volume names or use --all", Command: "volume inspect"}
		}
		host, list, err := listVolumes(nil, "volume inspect")
		if err != nil {
			return err
		}
		rows, failed := []any{}, []error{}
		for _, ref := range args {
			v, err := host.Dirs.FindVolume(ref)
			if errors.Is(err, storage.ErrNoVolume) {
				err = fmt.Errorf("inspecting object: %w %s", storage.ErrNoVolume, ref)
			}
			if err != nil {
				failed = append(failed, err)
				continue
			}
			rows = append(rows, inspectVolume(v))
		}
		if *all {
			for _, v := range list {
				rows = append(rows, inspectVolume(v))
			}
		}
		return errors.Join(append([]error{printInspected(s, rows, *format)}, failed...)...)
	}
}

func volumeRemoveFlags(f *flags.Set) func(Streams, []string) error {
	all := f.BoolP("all", "a", false, "all volumes")
	force := f.BoolP("force", "f", false, "remove the containers that use it first; do not mind a volume that is not there")
	limit := f.StringP("time", "t", "", "with --force: seconds until KILL (default 10)")
	return func(s Streams, args []string) error {
		switch {
		case *all == (len(args) > 0):
			return usageError{Text: "choose either one or more volumes or all", Command: "volume rm"}
		case *limit != "" && !*force:
			return usageError{Text: "--force option must be specified to use the --time option", Command: "volume rm"}
		}
		host, list, err := listVolumes(nil, "volume rm")
		if err != nil {
			return err
		}
		if *all {
			for _, v := range list {
				args = append(args, v.Name)
			}
		}
		var failed []error
		for _, ref := range args {
			v, err := host.Dirs.FindVolume(ref)
			if err == nil {
				err = removeVolume(host, v.Name, *force, *limit)
			}
			switch {
			case errors.Is(err, storage.ErrNoVolume) && (*force || *all):
			case err != nil:
				failed = append(failed, err)
			default:
				fmt.Fprintln(s.Out, v.Name)
			}
		}
		return removalCode(errors.Join(failed...), storage.ErrNoVolume, storage.ErrVolumeInUse)
	}
}

// removeVolume removes a volume, with force after the containers that have it.
func removeVolume(host container.Host, name string, force bool, limit string) error {
	if force {
		used, err := container.VolumeUsers(host.Dirs)
		if err != nil {
			return err
		}
		for _, id := range used[name] {
			info, err := container.Find(host.Dirs, id)
			if errors.Is(err, storage.ErrNoContainer) {
				continue
			}
			if err == nil {
				err = stop(host, info, "", limit)
			}
			if err == nil {
				err = container.Delete(host, info, true)
			}
			if err != nil {
				return err
			}
		}
	}
	return container.RemoveVolume(host, name, "")
}

func volumePruneFlags(f *flags.Set) func(Streams, []string) error {
	force := f.BoolP("force", "f", false, "do not ask")
	f.BoolP("all", "a", false, "accepted for docker's sake: volumes with a name are removed anyway")
	var filters []string
	f.StringArrayVar(&filters, "filter", nil, "label|label!|until=VALUE")
	return func(s Streams, args []string) error {
		if len(args) > 0 {
			return usageError{Text: "volume prune takes no argument", Command: "volume prune"}
		}
		host, list, err := listVolumes(append([]string{"dangling=true"}, filters...), "volume prune")
		if err != nil {
			return err
		}
		if !*force {
			if len(list) == 0 {
				_, err := fmt.Fprintln(s.Out, "No dangling volumes found")
				return err
			}
			names := "WARNING! This will remove all volumes not used by at least one container. The following volumes will be removed:"
			for _, v := range list {
				names += "\n" + v.Name
			}
			if !confirm(s, names) {
				return nil
			}
		}
		return pruneVolumes(s, host, list)
	}
}

// pruneAllVolumes is for system prune. It gives what was won.
func pruneAllVolumes(s Streams, host container.Host, filters []string) (won int64, err error) {
	before, err := volumeUses(host, nil)
	if err != nil {
		return 0, err
	}
	_, list, err := listVolumes(append([]string{"dangling=true"}, filters...), "system prune")
	if err != nil {
		return 0, err
	}
	err = pruneVolumes(s, host, list)
	for _, v := range before {
		if now, err := host.Dirs.FindVolume(v.Name); err != nil || now.Name != v.Name {
			won += v.Size
		}
	}
	return won, err
}

// pruneVolumes leaves those alone that were taken meanwhile.
func pruneVolumes(s Streams, host container.Host, list []*storage.Volume) error {
	var failed []error
	for _, v := range list {
		err := container.RemoveVolume(host, v.Name, "")
		switch {
		case errors.Is(err, storage.ErrVolumeInUse), errors.Is(err, storage.ErrNoVolume):
		case err != nil:
			failed = append(failed, err)
		default:
			happened(host.Dirs, "volume", "prune", "", v.Name)
			fmt.Fprintln(s.Out, v.Name)
		}
	}
	return errors.Join(failed...)
}

func volumeExistsFlags(*flags.Set) func(Streams, []string) error {
	return func(_ Streams, args []string) error {
		if len(args) != 1 {
			return usageError{Text: fmt.Sprintf("accepts 1 arg(s), received %d", len(args)), Command: "volume exists"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		v, err := host.Dirs.HoldVolume(args[0])
		v.Close()
		if errors.Is(err, storage.ErrNoVolume) {
			return container.Exit{Code: 1}
		}
		return err
	}
}

// volumeReloadFlags: there are no plugins to ask.
func volumeReloadFlags(*flags.Set) func(Streams, []string) error {
	return func(_ Streams, args []string) error {
		if len(args) > 0 {
			return usageError{Text: "volume reload takes no argument", Command: "volume reload"}
		}
		return nil
	}
}
