package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/image"
	"containers/rl/storage"
	"containers/rl/storage/layers"
)

func manifestCreateFlags(f *flags.Set) func(Streams, []string) error {
	a := image.Access{}
	check := registryFlags(f, &a)
	all := f.Bool("all", false, "add all images of a list that is named")
	amend := f.BoolP("amend", "a", false, "add to a list that is there")
	annotations := annotationFlag(f, "annotation", "of the list: NAME=VALUE")
	f.Bool("insecure", false, "accepted for docker's sake")
	return func(s Streams, args []string) error {
		if len(args) == 0 {
			return usageError{Text: "manifest create needs a name for the list", Command: "manifest create"}
		}
		name, err := image.LocalName(args[0])
		if err != nil {
			return usageError{Text: err.Error(), Command: "manifest create"}
		}
		if err := check(s); err != nil {
			return err
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		list, err := createList(host, args[0], name, *amend)
		if err != nil {
			return err
		}
		refs, err := fromFiles(args[1:])
		if err != nil {
			return err
		}
		if _, err = image.Change(host.Dirs, list.ID, func(l *image.List) error {
			if err := annotations(&l.Index.Annotations); err != nil {
				return err
			}
			for _, ref := range refs {
				if _, err := l.Add(context.Background(), host.Dirs, ref, "", *all, a); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
		_, err = fmt.Fprintln(s.Out, list.ID)
		return err
	}
}

// fromFiles brings the images that transports of files name, and has their ids instead.
func fromFiles(refs []string) (list []string, err error) {
	for _, ref := range refs {
		if !strings.HasPrefix(ref, "containers-storage:") {
			id, err := fromFile(ref, true)
			if err != nil {
				return nil, err
			}
			if id != "" {
				ref = id
			}
		}
		list = append(list, ref)
	}
	return list, nil
}

func createList(host container.Host, ref, name string, amend bool) (*image.List, error) {
	unlock, err := layers.Lock(host.Dirs)
	if err != nil {
		return nil, err
	}
	defer unlock()
	img, err := host.Dirs.Lookup(name)
	switch {
	case err == nil && amend:
		img.Close()
		return image.FindList(host.Dirs, name)
	case err == nil:
		img.Close()
		return nil, fmt.Errorf("creating image to hold manifest list: image name %q is already associated with image %q: that name is already in use", name, img.ID)
	case !errors.Is(err, storage.ErrNoImage):
		return nil, err
	}
	return image.NewList(host.Dirs, name)
}

// annotationFlag collects NAME=VALUE, and puts them into a map.
func annotationFlag(f *flags.Set, name, usage string) func(*map[string]string) error {
	var list []string
	f.StringArrayVar(&list, name, nil, usage)
	return func(m *map[string]string) error {
		for _, text := range list {
			key, value, ok := strings.Cut(text, "=")
			if !ok {
				return fmt.Errorf("no value given for annotation %q", text)
			}
			if *m == nil {
				*m = map[string]string{}
			}
			(*m)[key] = value
		}
		return nil
	}
}

// entryFlags are those that change an entry of a list.
type entryFlags struct {
	arch, os, osVersion, variant string
	features, osFeatures         []string
	annotate                     func(*map[string]string) error
}

func (e *entryFlags) declare(f *flags.Set) {
	f.StringVar(&e.arch, "arch", "", "architecture of the entry")
	f.StringVar(&e.os, "os", "", "operating system of the entry")
	f.StringVar(&e.osVersion, "os-version", "", "version of the operating system")
	f.StringVar(&e.variant, "variant", "", "variant of the architecture")
	f.StringSliceVar(&e.features, "features", nil, "features of the entry")
	f.StringSliceVar(&e.osFeatures, "os-features", nil, "features of the operating system")
	e.annotate = annotationFlag(f, "annotation", "of the entry: NAME=VALUE")
}

func (e *entryFlags) apply(to *image.ListEntry) error {
	if to.Platform == nil {
		to.Platform = &image.ListPlatform{}
	}
	for _, v := range []struct {
		to   *string
		text string
	}{{&to.Platform.Architecture, e.arch}, {&to.Platform.OS, e.os}, {&to.Platform.OSVersion, e.osVersion}, {&to.Platform.Variant, e.variant}} {
		if v.text != "" {
			*v.to = v.text
		}
	}
	if e.features != nil {
		to.Platform.Features = e.features
	}
	if e.osFeatures != nil {
		to.Platform.OSFeatures = e.osFeatures
	}
	return e.annotate(&to.Annotations)
}

func manifestAddFlags(f *flags.Set) func(Streams, []string) error {
	a, e := image.Access{}, &entryFlags{}
	check := registryFlags(f, &a)
	e.declare(f)
	all := f.Bool("all", false, "add all images of a list that is named")
	return func(s Streams, args []string) error {
		if len(args) < 2 {
			return usageError{Text: "manifest add needs a list and an image", Command: "manifest add"}
		}
		if err := check(s); err != nil {
			return err
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		platform, err := chosenPlatform("", e.os, e.arch, e.variant)
		if err != nil {
			return err
		}
		if _, err := image.FindList(host.Dirs, args[0]); err != nil {
			return err
		}
		refs, err := fromFiles(args[1:])
		if err != nil {
			return err
		}
		l, err := image.Change(host.Dirs, args[0], func(l *image.List) error {
			for _, ref := range refs {
				if err := e.add(host, l, ref, platform, *all, a); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(s.Out, l.ID)
		return err
	}
}

func (e *entryFlags) add(host container.Host, l *image.List, ref, platform string, all bool, a image.Access) error {
	added, err := l.Add(context.Background(), host.Dirs, ref, platform, all, a)
	if err != nil {
		return err
	}
	for _, d := range added {
		entry, err := l.Entry(d.String())
		if err == nil {
			err = e.apply(entry)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// entryOf finds an entry by its digest, or by an image that it is of.
func entryOf(host container.Host, l *image.List, ref string) (*image.ListEntry, error) {
	if digest.Digest(ref).Validate() == nil {
		return l.Entry(ref)
	}
	img, err := host.Dirs.Lookup(ref)
	if err != nil {
		return nil, err
	}
	img.Close()
	manifest, err := layers.Manifest(host.Dirs, img.ID)
	if err != nil {
		return nil, err
	}
	return l.Entry(digest.FromBytes(manifest).String())
}

func manifestAnnotateFlags(f *flags.Set) func(Streams, []string) error {
	e := &entryFlags{}
	e.declare(f)
	ofList := f.Bool("index", false, "annotate the list itself")
	return func(s Streams, args []string) error {
		if len(args) != 2 && (!*ofList || len(args) != 1) {
			return usageError{Text: "manifest annotate needs a list and the digest of an entry", Command: "manifest annotate"}
		}
		return changeList(s, args[0], func(host container.Host, l *image.List) error {
			if *ofList {
				return e.annotate(&l.Index.Annotations)
			}
			entry, err := entryOf(host, l, args[1])
			if err != nil {
				return err
			}
			return e.apply(entry)
		})
	}
}

func manifestRemoveFlags(*flags.Set) func(Streams, []string) error {
	return func(s Streams, args []string) error {
		if len(args) != 2 {
			return usageError{Text: "manifest remove needs a list and the digest of an entry", Command: "manifest remove"}
		}
		return changeList(s, args[0], func(host container.Host, l *image.List) error {
			entry, err := entryOf(host, l, args[1])
			if err != nil {
				return err
			}
			return l.Remove(entry.Digest.String())
		})
	}
}

func changeList(s Streams, ref string, do func(container.Host, *image.List) error) error {
	host, err := start.OpenHost()
	if err != nil {
		return err
	}
	l, err := image.Change(host.Dirs, ref, func(l *image.List) error { return do(host, l) })
	if err == nil {
		_, err = fmt.Fprintln(s.Out, l.ID)
	}
	return err
}

func manifestInspectFlags(f *flags.Set) func(Streams, []string) error {
	a := image.Access{}
	check := registryFlags(f, &a)
	f.BoolP("verbose", "v", false, "accepted for docker's sake")
	f.Bool("insecure", false, "accepted for docker's sake")
	return func(s Streams, args []string) error {
		if len(args) == 0 || len(args) > 2 {
			return usageError{Text: "manifest inspect needs a list", Command: "manifest inspect"}
		}
		if err := check(s); err != nil {
			return err
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		text, err := manifestText(host, args[len(args)-1], a)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		if err := json.Indent(&b, text, "", "    "); err != nil {
			return err
		}
		_, err = fmt.Fprintln(s.Out, b.String())
		return err
	}
}

// manifestText: a list that is here, or what a registry has.
func manifestText(host container.Host, ref string, a image.Access) ([]byte, error) {
	if l, err := image.FindList(host.Dirs, ref); err == nil {
		return l.Index.Public("")
	}
	return image.RemoteManifest(context.Background(), ref, a)
}

func manifestExistsFlags(*flags.Set) func(Streams, []string) error {
	return func(_ Streams, args []string) error {
		if len(args) != 1 {
			return usageError{Text: "manifest exists needs a list", Command: "manifest exists"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		if _, err := image.FindList(host.Dirs, args[0]); err != nil {
			return container.Exit{Code: 1}
		}
		return nil
	}
}

func manifestRmFlags(f *flags.Set) func(Streams, []string) error {
	ignore := f.BoolP("ignore", "i", false, "do not mind a list that is not there")
	return func(s Streams, args []string) error {
		if len(args) == 0 {
			return usageError{Text: "manifest rm needs a list", Command: "manifest rm"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		var present []string
		for _, ref := range args {
			_, err := image.FindList(host.Dirs, ref)
			if err != nil && !errors.Is(err, storage.ErrNoImage) {
				return err
			}
			if err == nil || !*ignore {
				present = append(present, ref)
			}
		}
		return removeImages(s, host, present, layers.RemovalOptions{Force: true}, false)
	}
}

func manifestPushFlags(f *flags.Set) func(Streams, []string) error {
	o := &image.PushListOptions{}
	r := imageRequest{PushList: o}
	check := registryFlags(f, &o.Access)
	f.BoolVar(&o.All, "all", true, "send the images of the list, too")
	f.StringVarP(&o.Format, "format", "f", "", "oci|v2s2: kind of list (default oci)")
	f.StringVar(&o.Compression, "compression-format", "", "gzip|zstd")
	f.StringVar(&r.Digest, "digestfile", "", "file to write the list's digest to")
	f.BoolVarP(&r.Quiet, "quiet", "q", false, "show no progress")
	remove := f.Bool("rm", false, "remove the list when it was sent")
	purge := f.BoolP("purge", "p", false, "remove the list when it was sent")
	f.Bool("remove-signatures", false, "accepted: rl keeps no signatures")
	f.Bool("insecure", false, "accepted for docker's sake")
	return func(s Streams, args []string) error {
		if len(args) < 1 || len(args) > 2 {
			return usageError{Text: "manifest push needs a list, and may have a destination", Command: "manifest push"}
		}
		if o.Format != "" && o.Format != image.FormatOCI && o.Format != image.FormatDocker {
			return usageError{Text: fmt.Sprintf("unknown format %q: oci or v2s2", o.Format), Command: "manifest push"}
		}
		if err := check(s); err != nil {
			return err
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		o.Dirs, o.Ref = host.Dirs, args[0]
		if _, err := image.FindList(host.Dirs, args[0]); err != nil {
			return err
		}
		if err := pushList(host, r, args); err != nil || !*remove && !*purge {
			return err
		}
		return removeImages(s, host, args[:1], layers.RemovalOptions{Force: true}, false)
	}
}

func pushList(host container.Host, r imageRequest, args []string) error {
	form, _, to, err := image.Transport(args[len(args)-1])
	if err != nil {
		return err
	}
	if form != "" {
		return fmt.Errorf("%s: a list of manifests can only be sent to a registry", args[len(args)-1])
	}
	if len(args) == 1 {
		if to, err = host.Dirs.FullName(args[0]); err != nil {
			return err
		}
	}
	full, err := image.ParseReference(to)
	if err != nil {
		return usageError{Text: err.Error(), Command: "manifest push"}
	}
	r.PushList.To = full.String()
	return r.run(host, nil, nil)
}

func (r imageRequest) pushListInside(ctx context.Context, s Streams) error {
	r.PushList.Tell = r.tell(s)
	pushed, err := image.PushList(ctx, *r.PushList)
	if err != nil {
		return err
	}
	if !r.Quiet {
		fmt.Fprintln(s.Out, pushed.Digest)
	}
	return r.writeDigest(pushed.Digest.String())
}
