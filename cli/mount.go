package cli

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/storage"
)

// Mounts of podman-mount(1), podman-image-mount(1) and podman-volume-mount(1)
// are in the mount namespace of the shell that `rl unshare` starts, and go with
// it: nobody stays to keep them.

// errOutside says where they can be made.
func errOutside(command string) error {
	if os.Geteuid() == 0 {
		return nil
	}
	return fmt.Errorf("cannot run command \"rl %s\" in rootless mode, must execute `rl unshare` first", command)
}

// mounted says what is mounted where, in our own mount namespace: the fifth
// field of proc_pid_mountinfo(5), with octal escapes.
func mounted() (map[string]bool, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	places := map[string]bool{}
	unquote := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 4 {
			places[unquote.Replace(fields[4])] = true
		}
	}
	return places, err
}

// mountRow is one mount as the commands list it.
type mountRow struct {
	ID           string `json:"id"`
	Names        []string
	Repositories []string `json:",omitempty"`
	Mountpoint   string   `json:"mountpoint"`

	shown string
}

func printMounts(s Streams, rows []mountRow, format string) error {
	switch format {
	case "json":
		return printJSON(s.Out, rows)
	case "":
	default:
		return fmt.Errorf("unknown --format argument: %s: json", format)
	}
	width := 0
	for _, r := range rows {
		width = max(width, len(r.shown))
	}
	for _, r := range rows {
		fmt.Fprintf(s.Out, "%-*s  %s\n", width, r.shown, r.Mountpoint)
	}
	return nil
}

func mountFlags(f *flags.Set) func(Streams, []string) error {
	all := f.BoolP("all", "a", false, "all containers")
	latest := f.BoolP("latest", "l", false, "the container that was made last")
	format := f.String("format", "", "of the list: json")
	long := f.Bool("no-trunc", false, "show whole ids")
	return func(s Streams, args []string) error {
		if err := errOutside("mount"); err != nil {
			return err
		}
		host, list, err := chooseContainers(args, *all, *latest, "mount")
		if err != nil {
			return err
		}
		if len(args) == 0 && !*all && !*latest {
			rows, err := mountedContainers(host, *long)
			return errors.Join(err, printMounts(s, rows, *format))
		}
		var failed []error
		for _, info := range list {
			place, err := mountContainer(host, info)
			if err != nil {
				failed = append(failed, err)
				continue
			}
			info.Emit(host.Dirs, "mount")
			if len(list) > 1 || *all {
				place = shortUnless(info.ID, *long) + " " + place
			}
			fmt.Fprintln(s.Out, place)
		}
		return errors.Join(failed...)
	}
}

func shortUnless(id string, long bool) string {
	if long {
		return id
	}
	return short(id)
}

// chooseContainers finds those that were named, or all, or the last.
func chooseContainers(args []string, all, latest bool, command string) (host container.Host, list []*container.Info, err error) {
	if len(args) > 0 && (all || latest) || all && latest {
		return host, nil, usageError{Text: "--all, --latest and names of containers cannot be used together", Command: command}
	}
	if host, err = start.OpenHost(); err != nil {
		return host, nil, err
	}
	if all || latest {
		if list, err = container.List(host.Dirs); err != nil || len(list) == 0 {
			return host, nil, err
		}
		slices.SortFunc(list, func(a, b *container.Info) int { return b.Created.Compare(a.Created) })
		if latest {
			list = list[:1]
		}
		return host, list, nil
	}
	for _, ref := range args {
		info, err := container.Find(host.Dirs, ref)
		if err != nil {
			return host, nil, err
		}
		list = append(list, info)
	}
	return host, list, nil
}

func mergedOf(i *container.Info) string {
	if root := i.Root(); root != "" {
		return root
	}
	if i.Copied() {
		return path.Join(i.Dir, storage.RootName)
	}
	return path.Join(i.Dir, "merged")
}

func mountedContainers(host container.Host, long bool) ([]mountRow, error) {
	places, err := mounted()
	if err != nil {
		return nil, err
	}
	list, err := container.List(host.Dirs)
	rows := []mountRow{}
	for _, i := range list {
		if place := mergedOf(i); places[place] {
			rows = append(rows, mountRow{ID: i.ID, Names: []string{i.Name()}, Mountpoint: place, shown: shortUnless(i.ID, long)})
		}
	}
	return rows, err
}

// mountContainer mounts the files of a container. Those of one that runs are
// for reading: two writing mounts of the same directories do not know of each other.
func mountContainer(host container.Host, i *container.Info) (string, error) {
	place := mergedOf(i)
	places, err := mounted()
	if err != nil || places[place] || i.Root() != "" || i.Copied() {
		return place, err
	}
	if below := i.Below(); i.Running() && below != "" {
		return place, mountImage([]string{path.Join(i.Dir, "upper"), below}, place)
	}
	if i.Running() {
		img, err := host.Dirs.Lookup(i.ImageID)
		if err != nil {
			return "", fmt.Errorf("mounting container %s: %w", i.Name(), err)
		}
		defer img.Close()
		return place, mountImage(append([]string{path.Join(i.Dir, "upper")}, img.Layers...), place)
	}
	enter, err := i.Enter(host)
	if err != nil {
		return "", err
	}
	defer enter.Close()
	root, err := enter.Tree.Open()
	if err != nil {
		return "", err
	}
	return place, unix.Close(root)
}

func umountFlags(f *flags.Set) func(Streams, []string) error {
	all := f.BoolP("all", "a", false, "all that are mounted")
	latest := f.BoolP("latest", "l", false, "the container that was made last")
	force := f.BoolP("force", "f", false, "also when a process is in it")
	return func(s Streams, args []string) error {
		if err := errOutside("umount"); err != nil {
			return err
		}
		if len(args) == 0 && !*all && !*latest {
			return usageError{Text: "umount needs a container", Command: "umount"}
		}
		host, list, err := chooseContainers(args, *all, *latest, "umount")
		if err != nil {
			return err
		}
		places, err := mounted()
		if err != nil {
			return err
		}
		var failed []error
		for _, i := range list {
			place := mergedOf(i)
			if i.Copied() { // nothing is mounted for it
				if !*all {
					fmt.Fprintln(s.Out, i.ID)
				}
				continue
			}
			if !places[place] {
				if !*all {
					failed = append(failed, fmt.Errorf("unmounting container %s: it is not mounted", i.Name()))
				}
				continue
			}
			if err := unmount(place, *force); err != nil {
				failed = append(failed, fmt.Errorf("unmounting container %s: %w", i.Name(), err))
				continue
			}
			i.Emit(host.Dirs, "unmount")
			fmt.Fprintln(s.Out, i.ID)
		}
		return errors.Join(failed...)
	}
}

func unmount(place string, force bool) error {
	flags := unix.UMOUNT_NOFOLLOW
	if force {
		flags |= unix.MNT_DETACH
	}
	if err := unix.Unmount(place, flags); err != nil {
		return &os.PathError{Op: "umount", Path: place, Err: err}
	}
	return nil
}

// imagePlace is where an image is mounted.
func imagePlace(d storage.Dirs, id string) string { return path.Join(d.Data, "mounts", id) }

func imageMountFlags(f *flags.Set) func(Streams, []string) error {
	all := f.BoolP("all", "a", false, "all images")
	format := f.String("format", "", "of the list: json")
	return func(s Streams, args []string) error {
		if err := errOutside("image mount"); err != nil {
			return err
		}
		if *all && len(args) > 0 {
			return usageError{Text: "when using the --all switch, you may not pass any image names or IDs", Command: "image mount"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		images, err := host.Dirs.Images()
		if err != nil {
			return err
		}
		if len(args) == 0 && !*all {
			rows, err := mountedImages(host, images)
			return errors.Join(err, printMounts(s, rows, *format))
		}
		if *all {
			for _, img := range images {
				args = append(args, img.ID)
			}
		}
		var failed []error
		for _, ref := range args {
			place, err := mountOneImage(host, ref)
			if err != nil {
				failed = append(failed, err)
				continue
			}
			happened(host.Dirs, "image", "mount", imageID(host.Dirs, ref), ref)
			if len(args) > 1 || *all {
				place = ref + " " + place
			}
			fmt.Fprintln(s.Out, place)
		}
		return errors.Join(failed...)
	}
}

func mountedImages(host container.Host, images []*storage.Image) ([]mountRow, error) {
	places, err := mounted()
	rows := []mountRow{}
	for _, img := range images {
		place := imagePlace(host.Dirs, img.ID)
		if !places[place] {
			continue
		}
		row := mountRow{ID: img.ID, Names: img.Names, Repositories: img.Names, Mountpoint: place, shown: short(img.ID)}
		if len(img.Names) > 0 {
			row.shown = img.Names[0]
		}
		rows = append(rows, row)
	}
	return rows, err
}

func mountOneImage(host container.Host, ref string) (string, error) {
	img, err := lookup(host, ref)
	if err != nil {
		return "", err
	}
	defer img.Close()
	place := imagePlace(host.Dirs, img.ID)
	places, err := mounted()
	if err != nil || places[place] {
		return place, err
	}
	d, err := container.ChooseDriver(host)
	if err != nil {
		return "", fmt.Errorf("mounting image %s: %w", ref, err)
	}
	empty := path.Join(host.Dirs.Data, "mounts", "empty")
	if err := errors.Join(os.MkdirAll(place, 0o700), os.MkdirAll(empty, 0o700)); err != nil {
		return "", fmt.Errorf("mounting image %s: %w", ref, err)
	}
	if d.Name != storage.Overlay {
		return place, mountCopy(img.Layers, place)
	}
	return place, mountImage(append(slices.Clone(img.Layers), empty), place)
}

// mountCopy mounts a copy of layers, for reading. It is in memory, as nobody
// stays to remove what is left of the mount when the shell has gone.
func mountCopy(layers []string, place string) error {
	defer unix.Umask(unix.Umask(0))
	if err := unix.Mount("tmpfs", place, "tmpfs", 0, "mode=755"); err != nil {
		return &os.PathError{Op: "mounting tmpfs on", Path: place, Err: err}
	}
	err := flatten(container.Copying{Layers: layers}, place)
	if err == nil {
		err = unix.Mount("", place, "", unix.MS_REMOUNT|unix.MS_RDONLY, "")
	}
	if err != nil {
		return errors.Join(fmt.Errorf("copying an image to memory at %s: %w", place, err), unix.Unmount(place, unix.MNT_DETACH))
	}
	return nil
}

func imageUmountFlags(f *flags.Set) func(Streams, []string) error {
	all := f.BoolP("all", "a", false, "all that are mounted")
	force := f.BoolP("force", "f", false, "also when a process is in it")
	return func(s Streams, args []string) error {
		if err := errOutside("image umount"); err != nil {
			return err
		}
		if *all == (len(args) > 0) {
			return usageError{Text: "image umount needs images, or --all", Command: "image umount"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		images, err := host.Dirs.Images()
		if err != nil {
			return err
		}
		if *all {
			rows, err := mountedImages(host, images)
			if err != nil {
				return err
			}
			for _, row := range rows {
				args = append(args, row.ID)
			}
		}
		var failed []error
		for _, ref := range args {
			img, err := host.Dirs.LookupImage(ref)
			if err == nil {
				img.Close()
				if err = unmount(imagePlace(host.Dirs, img.ID), *force); errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
					err = errors.New("it is not mounted")
				}
			}
			if err != nil {
				failed = append(failed, fmt.Errorf("unmounting image %s: %w", ref, err))
				continue
			}
			_ = os.Remove(imagePlace(host.Dirs, img.ID))
			happened(host.Dirs, "image", "unmount", img.ID, ref)
			fmt.Fprintln(s.Out, img.ID)
		}
		return errors.Join(failed...)
	}
}

// volumeMountFlags: a volume without options of the driver is a directory that
// is there anyway.
func volumeMountFlags(*flags.Set) func(Streams, []string) error {
	return eachVolume("volume mount", func(s Streams, v *storage.Volume) error {
		if err := mountVolume(v); err != nil {
			return fmt.Errorf("mounting volume %s: %w", v.Name, err)
		}
		_, err := fmt.Fprintln(s.Out, v.Data())
		return err
	})
}

func mountVolume(v *storage.Volume) error {
	if mountable(v) == nil {
		return nil
	}
	places, err := mounted()
	if err != nil || places[v.Data()] {
		return err
	}
	return container.MountVolume(v, v.Data())
}

func volumeUmountFlags(*flags.Set) func(Streams, []string) error {
	return eachVolume("volume unmount", func(s Streams, v *storage.Volume) error {
		if mountable(v) != nil {
			if err := unmount(v.Data(), false); err != nil && !errors.Is(err, unix.EINVAL) {
				return fmt.Errorf("unmounting volume %s: %w", v.Name, err)
			}
		}
		_, err := fmt.Fprintln(s.Out, v.Name)
		return err
	})
}

func eachVolume(command string, do func(Streams, *storage.Volume) error) func(Streams, []string) error {
	return func(s Streams, args []string) error {
		if err := errOutside(command); err != nil {
			return err
		}
		if len(args) == 0 {
			return usageError{Text: command + " needs a volume", Command: command}
		}
		var failed []error
		for _, ref := range args {
			_, v, err := holdVolume(ref)
			if err == nil {
				err = do(s, v)
				v.Close()
			}
			failed = append(failed, err)
		}
		return errors.Join(failed...)
	}
}
