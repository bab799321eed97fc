package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/image"
)

// systemCheckFlags is podman-system-check(1).
func systemCheckFlags(f *flags.Set) func(Streams, []string) error {
	quick := f.BoolP("quick", "q", false, "check records, digests of configurations and manifests, and that each layer is there; without it, also all files of layers: content by the digest, names, types, modes, owners, times")
	repair := f.BoolP("repair", "r", false, "remove damaged images that no container has, with their layers, and layers without record; write records that cannot be read anew")
	force := f.BoolP("force", "f", false, "--repair, and remove damaged containers and pods, and containers of damaged images")
	most := f.StringP("max", "m", "24h", "accepted for podman's sake: layers of no image are removed always")
	return func(s Streams, args []string) error {
		if len(args) > 0 {
			return usageError{Text: "system check takes no argument", Command: "system check"}
		}
		if _, err := time.ParseDuration(*most); err != nil {
			return usageError{Text: fmt.Sprintf("--max %q: a duration such as 24h", *most), Command: "system check"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		return checkStore(s, host, image.CheckOptions{Dirs: host.Dirs, Quick: *quick, Repair: *repair || *force}, *force)
	}
}

// checkStore has the second self look, and remove what no container has. What
// is left after that goes when the containers have gone, with force.
func checkStore(s Streams, host container.Host, o image.CheckOptions, force bool) error {
	found, err := checkOnce(host, &o)
	if err != nil {
		return err
	}
	printDamage(s.Out, found)
	broken, err := damagedContainers(host)
	if err != nil {
		return err
	}
	if broken, err = mendContainers(s, host, broken, force); err != nil {
		return err
	}
	left := remaining(found)
	if len(left) > 0 && force {
		if err := removeUsers(s, host, left); err != nil {
			return err
		}
		if found, err = checkOnce(host, &o); err != nil {
			return err
		}
		printMended(s.Out, found)
		left = remaining(found)
	}
	switch {
	case len(left) == 0 && len(broken) == 0:
		return nil
	case !o.Repair:
		return errors.New("damage detected in local storage: rl system check --repair removes what is damaged")
	case !force:
		return errors.New("damage in local storage still present after repair attempt: rl system check --force removes damaged containers and pods and containers of damaged images, too")
	}
	return errors.New("damage in local storage still present after repair attempt")
}

// damagedContainers are the containers and pods that cannot be read.
func damagedContainers(host container.Host) ([]*container.Broken, error) {
	_, err := container.List(host.Dirs)
	if err != nil && len(container.AllBroken(err)) == 0 {
		return nil, err
	}
	_, pods := container.Pods(host.Dirs)
	var list []*container.Broken
	for _, b := range append(container.AllBroken(err), container.AllBroken(pods)...) {
		if !slices.ContainsFunc(list, func(o *container.Broken) bool { return o.Dir == b.Dir }) {
			list = append(list, b)
		}
	}
	return list, nil
}

// mendContainers tells of them, and removes them with force. It gives those that are left.
func mendContainers(s Streams, host container.Host, broken []*container.Broken, force bool) ([]*container.Broken, error) {
	for _, b := range broken {
		fmt.Fprintf(s.Out, "Damaged %s %s:\n\t%v\n", b.Kind(), b.ID, b.Err)
		if !force {
			continue
		}
		if err := b.Delete(host); err != nil {
			return nil, err
		}
		fmt.Fprintf(s.Out, "Deleted damaged %s: %s\n", b.Kind(), b.ID)
	}
	if force {
		return nil, nil
	}
	return broken, nil
}

func checkOnce(host container.Host, o *image.CheckOptions) (found []image.Damage, err error) {
	if o.Used, err = usedImages(host); err != nil && len(container.AllBroken(err)) == 0 {
		return nil, err
	}
	text, err := imageRequest{Check: o}.answer(host, nil)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		return nil, fmt.Errorf("reading what was found: %w", err)
	}
	return found, nil
}

func remaining(found []image.Damage) (left []image.Damage) {
	for _, d := range found {
		if !d.Removed {
			left = append(left, d)
		}
	}
	return left
}

// removeUsers removes the containers of damaged images.
func removeUsers(s Streams, host container.Host, damaged []image.Damage) error {
	list, err := container.List(host.Dirs)
	if err != nil {
		return err
	}
	for _, d := range damaged {
		for _, i := range list {
			if d.Kind != image.DamagedImage || i.ImageID != d.ID {
				continue
			}
			if err := container.Delete(host, i, true); err != nil {
				return err
			}
			fmt.Fprintf(s.Out, "Deleted container of damaged image: %s\n", i.ID)
		}
	}
	return nil
}

// titles are what a damage is called, and what is said when it has been removed.
var titles = map[string]struct{ damaged, removed string }{
	image.DamagedLayer:  {"Damaged layer", "Deleted damaged layer"},
	image.DamagedImage:  {"Damaged image", "Deleted damaged image"},
	image.DamagedRecord: {"Damaged record", "Written anew"},
	image.StrayLayer:    {"Layer without record", "Deleted layer"},
}

func printDamage(w io.Writer, found []image.Damage) {
	for _, d := range found {
		fmt.Fprintf(w, "%s %s:\n", titles[d.Kind].damaged, strings.Join(append([]string{d.ID}, d.Names...), " "))
		for _, e := range d.Errors {
			fmt.Fprintf(w, "\t%s\n", e)
		}
	}
	printMended(w, found)
}

func printMended(w io.Writer, found []image.Damage) {
	for _, d := range found {
		if d.Removed {
			fmt.Fprintf(w, "%s: %s\n", titles[d.Kind].removed, d.ID)
		}
	}
}

// checkInside is the second self's part.
func checkInside(ctx context.Context, s Streams, o image.CheckOptions) error {
	found, err := image.Check(ctx, o)
	if err != nil {
		return err
	}
	return json.NewEncoder(s.Out).Encode(found)
}
