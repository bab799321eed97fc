package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/storage/layers"
)

// imageTreeFlags is podman-image-tree(1).
func imageTreeFlags(f *flags.Set) func(Streams, []string) error {
	children := f.Bool("whatrequires", false, "show the images that are made of it, and their layers")
	return func(s Streams, args []string) error {
		if len(args) != 1 {
			return usageError{Text: "image tree needs an image", Command: "image tree"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		all, err := viewImages(host)
		if err != nil {
			return err
		}
		v, err := all.findImage(args[0])
		if err != nil {
			return err
		}
		fmt.Fprintf(s.Out, "Image ID: %s\nTags:     %s\nSize:     %s\n", short(v.ID), v.Names, wideSize(v.Size))
		if len(v.Layers) == 0 {
			_, err := fmt.Fprintln(s.Out, "No Image Layers")
			return err
		}
		fmt.Fprintln(s.Out, "Image Layers")
		if *children {
			all.printBranches(s.Out, all.branchesAbove(v), "", true)
		} else {
			all.printLayers(s.Out, v)
		}
		_, err = fmt.Fprintln(s.Out)
		return err
	}
}

// wideSize is docker's in four digits (units.HumanSize).
func wideSize(n int64) string {
	value, unit := float64(n), 0
	units := []string{"B", "kB", "MB", "GB", "TB", "PB"}
	for value >= 1000 && unit < len(units)-1 {
		value, unit = value/1000, unit+1
	}
	return fmt.Sprintf("%.4g%s", value, units[unit])
}

func (all *imageViews) printLayers(w io.Writer, v *imageView) {
	for i, l := range v.Layers {
		fmt.Fprintf(w, "%s ID: %s\n", branch(i == len(v.Layers)-1), all.layerText(l))
	}
}

func branch(last bool) string {
	if last {
		return "└──"
	}
	return "├──"
}

// layerText: layers are known by what they hold, as with podman.
func (all *imageViews) layerText(l layers.Layer) string {
	text := fmt.Sprintf("%s Size: %s", short(l.DiffID.Encoded()), wideSize(l.Size))
	var tops []string
	for _, v := range all.list {
		if n := len(v.Layers); n > 0 && v.Layers[n-1].ID == l.ID && l.ID != "" {
			tops = append(tops, v.Names...)
		}
	}
	if len(tops) > 0 {
		text += " Top Layer of: [" + strings.Join(tops, " ") + "]"
	}
	return text
}

// layerBranch is a layer, and those that lie on it.
type layerBranch struct {
	layer layers.Layer
	above []*layerBranch
}

func (all *imageViews) branchesAbove(v *imageView) *layerBranch {
	top := v.Layers[len(v.Layers)-1]
	root := &layerBranch{layer: top}
	depth := len(v.Layers)
	for _, other := range all.list {
		if len(other.Layers) <= depth || other.Layers[depth-1].ID != top.ID {
			continue
		}
		at := root
		for _, l := range other.Layers[depth:] {
			i := slices.IndexFunc(at.above, func(b *layerBranch) bool { return b.layer.ID == l.ID })
			if i < 0 {
				at.above, i = append(at.above, &layerBranch{layer: l}), len(at.above)
			}
			at = at.above[i]
		}
	}
	return root
}

// printBranches: layers that have one above each are a column; where there are
// several, each begins a column of its own, further in.
func (all *imageViews) printBranches(w io.Writer, b *layerBranch, indent string, last bool) {
	fmt.Fprintf(w, "%s%s ID: %s\n", indent, branch(last && len(b.above) != 1), all.layerText(b.layer))
	if len(b.above) == 1 {
		all.printBranches(w, b.above[0], indent, last)
		return
	}
	if last {
		indent += "    "
	} else {
		indent += "│   "
	}
	for i, above := range b.above {
		all.printBranches(w, above, indent, i == len(b.above)-1)
	}
}

// imageDiffFlags lists what an image's last layer changed of those below
// (podman-image-diff(1)).
func imageDiffFlags(f *flags.Set) func(Streams, []string) error {
	format := f.String("format", "", "json, or nothing for lines")
	return func(s Streams, args []string) error {
		switch {
		case len(args) == 0:
			return usageError{Text: "image diff needs an image", Command: "image diff"}
		case len(args) > 2:
			return usageError{Text: "image diff takes two images at most", Command: "image diff"}
		case *format != "" && *format != "json":
			return usageError{Text: fmt.Sprintf("--format %s: only json is supported", *format), Command: "image diff"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		return diffImage(s, host, args[0], strings.Join(args[1:], ""), *format)
	}
}

// diffImage compares an image with what is below its last layer; than may name
// what that is.
func diffImage(s Streams, host container.Host, ref, than, format string) error {
	img, err := lookup(host, ref)
	if err != nil {
		return fmt.Errorf("%s not found: %w", ref, err)
	}
	defer img.Close()
	if len(img.Layers) == 0 {
		return errors.New("image " + ref + " has no layers")
	}
	if than != "" {
		other, err := lookup(host, than)
		if err != nil {
			return fmt.Errorf("%s not found: %w", than, err)
		}
		defer other.Close()
		switch {
		case slices.Equal(other.Layers, img.Layers):
			return printDiff(s, "", format)
		case !slices.Equal(other.Layers, img.Layers[1:]):
			return fmt.Errorf("%s can be compared only with the image of all its layers but the last, and %s is another: rl diff %[1]s", ref, than)
		}
	}
	text, err := imageRequest{Diff: &container.Tree{Upper: img.Layers[0], Lower: img.Layers[1:]}}.answer(host, nil)
	if err != nil {
		return err
	}
	return printDiff(s, text, format)
}
