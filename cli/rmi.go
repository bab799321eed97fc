package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/storage"
	"containers/rl/storage/layers"
)

func rmiFlags(f *flags.Set) func(Streams, []string) error {
	o := &layers.RemovalOptions{}
	all := f.BoolP("all", "a", false, "all images")
	ignore := f.BoolP("ignore", "i", false, "do not mind an image that is not there")
	f.BoolVarP(&o.Force, "force", "f", false, "remove containers of the image first, and all names of an image given by its id; do not mind one that is not there")
	f.BoolVar(&o.NoPrune, "no-prune", false, "leave images without a name of which it was made")
	f.String("platform", "", "accepted for docker's sake")
	return func(s Streams, args []string) error {
		switch {
		case *all && len(args) > 0:
			return usageError{Text: "when using the --all switch, you may not pass any images names or IDs", Command: "rmi"}
		case !*all && len(args) == 0:
			return usageError{Text: "image name or ID must be specified", Command: "rmi"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		if *all {
			if args, err = allImages(host); err != nil || len(args) == 0 {
				return err
			}
			if o.Force {
				err = freeAll(host)
			}
			return errors.Join(err, removeImages(s, host, args, layers.RemovalOptions{Force: true, NoPrune: o.NoPrune}, o.Force))
		}
		if *ignore || o.Force {
			args = slices.DeleteFunc(args, func(ref string) bool { return missing(host, ref) })
		}
		return removeImages(s, host, args, *o, o.Force)
	}
}

func missing(host container.Host, ref string) bool {
	img, err := host.Dirs.Lookup(ref)
	img.Close()
	return errors.Is(err, storage.ErrNoImage) && foreign(host, ref) == nil
}

// allImages gives their ids, those made of others first.
func allImages(host container.Host) (ids []string, err error) {
	all, err := viewImages(host)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all.list, func(a, b *imageView) int { return b.generation() - a.generation() })
	for _, v := range all.list {
		if !v.readOnly() {
			ids = append(ids, v.ID)
		}
	}
	return ids, nil
}

// generation counts those that an image is made of.
func (v *imageView) generation() (n int) {
	for at := v.Parent; at != nil; at = at.Parent {
		n++
	}
	return n
}

// freeAll removes all containers.
func freeAll(host container.Host) error {
	list, err := container.List(host.Dirs)
	broken := container.AllBroken(err)
	if len(broken) > 0 {
		err = nil
	}
	for _, i := range list {
		err = errors.Join(err, container.Delete(host, i, true))
	}
	for _, b := range broken {
		err = errors.Join(err, b.Delete(host))
	}
	return err
}

// removeImages removes what no container has; with force containers go first.
func removeImages(s Streams, host container.Host, refs []string, o layers.RemovalOptions, force bool) error {
	free, failed, err := freeImages(host, refs, force)
	if err != nil {
		return err
	}
	if len(free) > 0 {
		o.Dirs, o.Refs = host.Dirs, free
		if o.Used, err = usedImages(host); err == nil {
			err = imageRequest{Remove: &o}.run(host, nil, s.Out)
		}
	}
	if failed == nil {
		return err
	}
	var exit container.Exit // of the second self, which has said why
	if coded := removalCode(failed, storage.ErrNoImage, storage.ErrInUse); !errors.As(err, &exit) || exit.Code != 125 {
		return coded
	}
	return &start.CodeError{Err: failed, Code: 125}
}

func usedImages(host container.Host) (map[string]bool, error) {
	list, err := container.List(host.Dirs)
	used := map[string]bool{}
	for _, i := range list {
		used[i.ImageID] = true
	}
	return used, err
}

// removeImagesInside goes on with the next image after an error, as docker does.
func removeImagesInside(s Streams, o layers.RemovalOptions) (err error) {
	store, err := layers.Open(o.Dirs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	var failed []error
	gone := map[string]bool{}
	for _, ref := range o.Refs {
		id := imageID(o.Dirs, ref)
		r, err := store.RemoveImage(ref, o)
		for _, name := range r.Untagged {
			happened(o.Dirs, "image", "untag", id, name)
		}
		for _, gone := range r.Deleted {
			happened(o.Dirs, "image", "remove", gone, ref)
		}
		if err != nil && !gone[ref] {
			failed = append(failed, err)
		}
		for _, id := range r.Deleted {
			gone[id] = true
		}
		printRemoved(s, r, o.IDsOnly)
	}
	err = errors.Join(failed...)
	if errors.Is(err, layers.ErrChildren) {
		return &start.CodeError{Err: err, Code: 2}
	}
	return removalCode(err, storage.ErrNoImage, storage.ErrInUse)
}

func printRemoved(s Streams, r layers.Removed, ids bool) {
	if !ids {
		for _, name := range r.Untagged {
			fmt.Fprintf(s.Out, "Untagged: %s\n", name)
		}
	}
	for _, id := range r.Deleted {
		if ids {
			fmt.Fprintln(s.Out, id)
		} else {
			fmt.Fprintf(s.Out, "Deleted: %s\n", id)
		}
	}
}

// freeImages gives those of the images that no container has, whether it runs or
// not. With force such containers are removed (podman-rmi(1)).
func freeImages(host container.Host, refs []string, force bool) (free []string, failed, err error) {
	list, err := container.List(host.Dirs)
	if err != nil {
		return nil, nil, err
	}
	names, err := host.Dirs.Names()
	if err != nil {
		return nil, nil, err
	}
	taken := map[string]int{} // names that go before
	var errs []error
	for _, ref := range refs {
		err := freeImage(host, list, names, taken, ref, force)
		if err == nil {
			free = append(free, ref)
		}
		errs = append(errs, err)
	}
	return free, errors.Join(errs...), nil
}

func freeImage(host container.Host, list []*container.Info, names map[string][]string, taken map[string]int, ref string, force bool) error {
	img, err := host.Dirs.Lookup(ref)
	if err != nil {
		if there := foreign(host, ref); there != nil {
			return layers.ReadOnly(there.ID, there.Store)
		}
		return nil // the second self says so
	}
	img.Close()
	if img.Store != "" {
		return nil // the same
	}
	if _, err := host.Dirs.FullName(ref); err == nil && len(names[img.ID])-taken[img.ID] > 1 {
		taken[img.ID]++
		return nil // only a name goes
	}
	for _, i := range list {
		switch {
		case i.ImageID != img.ID:
		case !force:
			return fmt.Errorf("image used by %s: %w: consider listing external containers and force-removing image: rl rm %s, or rl rmi --force %s", i.ID, storage.ErrInUse, i.Name(), ref)
		default:
			if err := container.Delete(host, i, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// imagePruneFlags removes images without a name, or all that no container has.
func imagePruneFlags(f *flags.Set) func(Streams, []string) error {
	force := f.BoolP("force", "f", false, "do not ask")
	all := f.BoolP("all", "a", false, "all images that no container has, not only those without a name")
	f.Bool("external", false, "accepted for podman's sake")
	f.Bool("build-cache", false, "accepted for podman's sake")
	var filters []string
	f.StringArrayVar(&filters, "filter", nil, "label|until|id|reference|...=VALUE")
	return func(s Streams, args []string) error {
		if len(args) > 0 {
			return usageError{Text: "image prune takes no argument", Command: "image prune"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		what := "WARNING! This command removes all dangling images."
		if *all {
			what = "WARNING! This command removes all images without at least one container associated with them."
		}
		if !*force && !confirm(s, what) {
			return nil
		}
		_, err = pruneImages(s, host, *all, filters)
		return err
	}
}

// pruneImages removes images until none is left that nothing uses: one of
// which another was made may be of no use when that has gone. It prints their
// ids, and gives the bytes that were won.
func pruneImages(s Streams, host container.Host, all bool, filters []string) (int64, error) {
	gone := map[string]int64{}
	defer func() {
		if len(gone) > 0 {
			happened(host.Dirs, "image", "prune", "", "")
		}
	}()
	for {
		unwanted, err := unwantedImages(host, all, filters)
		if err != nil || len(unwanted) == 0 {
			return reclaimed(gone), err
		}
		again := false
		for id, size := range unwanted {
			again = again || gone[id] == 0 && size >= 0
			gone[id] = size
		}
		if !again { // they cannot be removed: the second self has said why
			return reclaimed(gone), nil
		}
		refs := slices.Sorted(maps.Keys(unwanted))
		if err := removeImages(s, host, refs, layers.RemovalOptions{Force: true, NoPrune: true, IDsOnly: true}, false); err != nil {
			return reclaimed(gone), err
		}
	}
}

func reclaimed(sizes map[string]int64) (sum int64) {
	for _, size := range sizes {
		sum += size
	}
	return sum
}

// unwantedImages gives the ids and the sizes that only they have.
func unwantedImages(host container.Host, all bool, filters []string) (map[string]int64, error) {
	views, err := viewImages(host)
	if err == nil {
		err = views.unread // one of them may have any image
	}
	if err != nil {
		return nil, err
	}
	tests, err := imageFilters(filters, views)
	if err != nil {
		return nil, err
	}
	unwanted := map[string]int64{}
	for _, v := range views.list {
		named := slices.ContainsFunc(namesOr(v.Image, "<none>:<none>"), func(name string) bool { return tests.hold(v, name) })
		if !v.readOnly() && len(v.Containers) == 0 && v.Children == 0 && named && (all || len(v.Names) == 0) {
			unwanted[v.ID] = v.Size
		}
	}
	return unwanted, nil
}
