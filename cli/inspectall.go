package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"containers/rl/cli/flags"
	"containers/rl/cli/start"
	"containers/rl/container"
	"containers/rl/storage"
)

// inspection are the flags of inspect (podman-inspect(1), docker-inspect(1)).
type inspection struct {
	format, kind string
	size, latest bool
}

// inspectKind is a kind of object that inspect knows.
type inspectKind struct {
	name    string
	find    func(*inspection, container.Host, string) (any, error)
	missing error  // what find says of one that is not there
	none    string // and what inspect says then, with a verb for the name
}

// inspectKinds are in the order in which a name of no kind is looked for.
func inspectKinds() []inspectKind {
	return []inspectKind{
		{"container", inspectContainerRef, storage.ErrNoContainer, "no such container %s"},
		{"image", inspectImageRef, storage.ErrNoImage, "%s: image not known: no such image"},
		{"volume", nil, nil, "no such volume %s"},
		{"network", nil, nil, "network %[1]s: unable to find network with name or ID %[1]s: network not found"},
		{"pod", inspectPodRef, storage.ErrNoPod, "no such pod %s"},
	}
}

func inspectFlags(f *flags.Set) func(Streams, []string) error {
	o := &inspection{}
	f.StringVarP(&o.format, "format", "f", "", "json, or a template")
	f.StringVarP(&o.kind, "type", "t", "all", "container|image|volume|network|pod|all")
	f.BoolVarP(&o.size, "size", "s", false, "measure what containers wrote")
	f.BoolVarP(&o.latest, "latest", "l", false, "the container that was made last")
	return func(s Streams, args []string) error {
		if err := o.check(args); err != nil {
			return usageError{Text: err.Error(), Command: "inspect"}
		}
		host, err := start.OpenHost()
		if err != nil {
			return err
		}
		if o.latest {
			o.kind = "container"
		}
		if args, err = withLatest(host, o.latest, args); err != nil {
			return err
		}
		list, failed := []any{}, []error{}
		for _, ref := range args {
			v, err := o.one(host, ref)
			if err != nil {
				failed = append(failed, fmt.Errorf("inspecting object: %w", err))
				continue
			}
			list = append(list, v)
		}
		return errors.Join(append([]error{printInspected(s, list, o.format)}, failed...)...)
	}
}

func (o *inspection) check(args []string) error {
	known := o.kind == "all"
	for _, k := range inspectKinds() {
		known = known || k.name == o.kind
	}
	switch {
	case !known:
		return fmt.Errorf(`invalid type %q: must be "image", "container", "pod", "network", "volume", or "all"`, o.kind)
	case o.latest && len(args) > 0:
		return errors.New("--latest and arguments cannot be used together")
	case o.latest && o.kind != "all" && o.kind != "container":
		return fmt.Errorf("latest flag can only be used with --type container, not %s", o.kind)
	case !o.latest && len(args) == 0:
		return errors.New("no names or ids specified")
	case o.size && o.kind != "all" && o.kind != "container":
		return fmt.Errorf("size is not supported for type %q", o.kind)
	}
	return nil
}

// one finds the first object of a name.
func (o *inspection) one(host container.Host, ref string) (any, error) {
	for _, k := range inspectKinds() {
		if o.kind != "all" && o.kind != k.name {
			continue
		}
		err := k.missing
		if k.find != nil {
			var v any
			if v, err = k.find(o, host, ref); err == nil {
				return v, nil
			}
			if !errors.Is(err, k.missing) {
				return nil, err
			}
		}
		if o.kind == k.name {
			return nil, &missingError{fmt.Sprintf(k.none, ref), err}
		}
	}
	return nil, fmt.Errorf("no such object: %q", ref)
}

// missingError is an error in other words.
type missingError struct {
	text string
	err  error
}

func (e *missingError) Error() string { return e.text }
func (e *missingError) Unwrap() error { return e.err }

func inspectContainerRef(o *inspection, host container.Host, ref string) (any, error) {
	info, err := container.Find(host.Dirs, ref)
	if err != nil {
		return nil, err
	}
	v := inspectContainer(host, info)
	if o.size {
		measured, err := measure(host, []*container.Info{info})
		if err != nil {
			return nil, err
		}
		size := measured[info.ID]
		v.SizeRw, v.SizeRootFs = &size.RW, &size.Root
	}
	return v, nil
}

func inspectImageRef(_ *inspection, host container.Host, ref string) (any, error) {
	return inspectImage(host, ref)
}

// plain is JSON as templates take it: whole numbers stay whole.
func plain(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var raw any
	err := decoder.Decode(&raw)
	return whole(raw), err
}

func whole(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key := range v {
			v[key] = whole(v[key])
		}
	case []any:
		for n := range v {
			v[n] = whole(v[n])
		}
	case json.Number:
		if n, err := v.Int64(); err == nil && !strings.ContainsAny(v.String(), ".eE") {
			return n
		}
		f, _ := v.Float64()
		return f
	}
	return v
}
