package start

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"containers/rl/container"
	"containers/rl/storage"
)

// mountKind is a type of --mount: the keys that it takes beside those of all,
// and what they make.
type mountKind struct {
	keys  []string
	mount func(mountValues) (specs.Mount, error)
}

// mountKinds in the words of podman-run(1) and docker-run(1).
func mountKinds() map[string]mountKind {
	access := []string{"suid", "nosuid", "dev", "nodev", "exec", "noexec"}
	return map[string]mountKind{
		"bind":   {append(access, "readonly", "bind-propagation", "bind-nonrecursive", "bind-recursive", "relabel", "chown", "idmap", "consistency"), bindKind},
		"glob":   {append(access, "readonly", "bind-propagation", "bind-nonrecursive", "relabel", "chown", "idmap"), bindKind},
		"volume": {append(access, "readonly", "chown", "idmap", "relabel", "volume-nocopy", "nocopy", "copy", "volume-label", "volume-opt", "volume-driver", "volume-subpath", "subpath", "consistency"), volumeKind},
		"image":  {[]string{"rw", "subpath"}, imageKind},
		"tmpfs":  {append(access, "readonly", "rw", "tmpfs-size", "tmpfs-mode", "size", "mode", "tmpcopyup", "notmpcopyup", "chown", "consistency"), tmpfsKind},
		"ramfs":  {append(access, "readonly", "rw", "tmpfs-size", "tmpfs-mode", "size", "mode", "tmpcopyup", "notmpcopyup", "chown"), tmpfsKind},
		"devpts": {[]string{"uid", "gid", "mode", "max"}, devptsKind},
	}
}

// mountAliases are other words for a key.
var mountAliases = map[string]string{"src": "source", "dst": "target", "destination": "target", "ro": "readonly", "U": "chown", "readwrite": "rw"}

// mountValues are the keys that were given, each with its values.
type mountValues struct {
	text   string
	values map[string][]string
}

// mount is --mount, a list of KEY=VALUE as CSV has it: a part in quotes may
// hold commas.
func mount(text string) (specs.Mount, error) {
	v, kind, err := parseMount(text)
	if err == nil {
		var m specs.Mount
		if m, err = kind.mount(v); err == nil {
			return m, nil
		}
	}
	return specs.Mount{}, fmt.Errorf("--mount %s: %w", text, err)
}

func parseMount(text string) (v mountValues, kind mountKind, err error) {
	fields, err := fields(text)
	if err != nil {
		return v, kind, err
	}
	v = mountValues{text, map[string][]string{}}
	for _, field := range fields {
		key, value, set := strings.Cut(field, "=")
		if other, ok := mountAliases[key]; ok {
			key = other
		}
		if !set {
			value = "true"
		}
		v.values[key] = append(v.values[key], value)
	}
	name := v.last("type")
	if name == "" {
		name = "volume"
	}
	kind, ok := mountKinds()[name]
	if !ok {
		return v, kind, fmt.Errorf("invalid filesystem type %q: bind, volume, image, tmpfs, ramfs, devpts or glob", name)
	}
	for key := range v.values {
		if !slices.Contains([]string{"type", "source", "target"}, key) && !slices.Contains(kind.keys, key) {
			return v, kind, fmt.Errorf("unknown key %q for type %s", key, name)
		}
	}
	if v.values["target"] == nil && name != "glob" {
		return v, kind, errors.New("must set volume destination: target=/PATH")
	}
	if v.values["idmap"] != nil && v.last("idmap") != "false" {
		return v, kind, checkOptions([]string{"idmap"})
	}
	return v, kind, nil
}

// fields splits a line of CSV (RFC 4180).
func fields(text string) (list []string, err error) {
	for text != "" {
		var field string
		if text[0] != '"' {
			field, text, _ = strings.Cut(text, ",")
			list = append(list, field)
			continue
		}
		for rest := text[1:]; ; {
			part, after, closed := strings.Cut(rest, `"`)
			if !closed {
				return nil, errors.New("a quote is not closed")
			}
			field += part
			if !strings.HasPrefix(after, `"`) {
				if after != "" && after[0] != ',' {
					return nil, errors.New("a quoted part must end with its quote")
				}
				text = strings.TrimPrefix(after, ",")
				break
			}
			field, rest = field+`"`, after[1:]
		}
		list = append(list, field)
	}
	return list, nil
}

func (v mountValues) last(key string) string {
	if list := v.values[key]; len(list) > 0 {
		return list[len(list)-1]
	}
	return ""
}

// flag is a key that is true or false.
func (v mountValues) flag(key string) (bool, error) {
	if v.values[key] == nil {
		return false, nil
	}
	on, err := strconv.ParseBool(v.last(key))
	if err != nil {
		return false, fmt.Errorf("%s is true or false", key)
	}
	return on, nil
}

// options are those of the flags among a mount's keys, in their order here.
func (v mountValues) options(pairs ...[2]string) (options []string, err error) {
	for _, pair := range append(pairs, [][2]string{{"readonly", "ro"}, {"chown", "U"}, {"nosuid", "nosuid"}, {"suid", "suid"}, {"nodev", "nodev"},
		{"dev", "dev"}, {"noexec", "noexec"}, {"exec", "exec"}}...) {
		on, err := v.flag(pair[0])
		if err != nil {
			return nil, err
		}
		if on {
			options = append(options, pair[1])
		}
	}
	switch relabel := v.last("relabel"); relabel {
	case "":
	case "shared", "z":
		options = append(options, "z")
	case "private", "Z":
		options = append(options, "Z")
	default:
		return nil, fmt.Errorf("relabel %q: shared or private", relabel)
	}
	return options, nil
}

func bindKind(v mountValues) (m specs.Mount, err error) {
	if v.last("source") == "" {
		return m, errors.New("bind needs source and target: must set source=/PATH")
	}
	options, err := v.options()
	if err != nil {
		return m, err
	}
	alone, err := v.flag("bind-nonrecursive")
	if err != nil {
		return m, err
	}
	how, err := v.recursive(options)
	if err != nil {
		return m, err
	}
	if alone = alone || how == "bind"; how != "" && how != "bind" {
		options = append(options, how)
	}
	if p := v.last("bind-propagation"); p != "" {
		if !slices.Contains(exclusive[len(exclusive)-1], p) {
			return m, errors.New("bind-propagation is one of [r]private, [r]slave, [r]shared, [r]unbindable")
		}
		options = append(options, p)
	}
	if alone {
		options = append(options, "bind")
	}
	if v.last("type") == "glob" {
		return specs.Mount{Type: globType, Source: v.last("source"), Destination: v.last("target"), Options: bindOptions(options)}, nil
	}
	return bindMount(v.last("source"), v.last("target"), bindOptions(options))
}

// recursive is what bind-recursive makes of mounts below the source
// (docker-run(1)); "" is the default, which is read-only with the source.
func (v mountValues) recursive(options []string) (option string, err error) {
	how := v.last("bind-recursive")
	readonly := slices.Contains(options, "ro")
	switch {
	case how == "" || how == "enabled":
		return "", nil
	case how == "disabled":
		return "bind", nil
	case how != "writable" && how != "readonly":
		return "", fmt.Errorf("bind-recursive %q: enabled, disabled, writable or readonly", how)
	case !readonly:
		return "", fmt.Errorf("option bind-recursive=%s requires option readonly", how)
	case how == "writable":
		return "ro-non-recursive", nil
	case v.last("bind-propagation") != "" && v.last("bind-propagation") != "rprivate":
		return "", errors.New("option bind-recursive=readonly requires option bind-propagation=rprivate: what the host mounts later would be writable")
	}
	return "rro", nil
}

func volumeKind(v mountValues) (m specs.Mount, err error) {
	options, err := v.options([2]string{"volume-nocopy", "nocopy"}, [2]string{"nocopy", "nocopy"}, [2]string{"copy", "copy"})
	if err != nil {
		return m, err
	}
	if driver := v.last("volume-driver"); driver != "" && driver != container.LocalDriver {
		return m, fmt.Errorf("volume-driver %s: %w", driver, container.ErrDriver)
	}
	for _, key := range []string{"subpath", "volume-subpath"} {
		if v.values[key] == nil {
			continue
		}
		if part := v.last(key); part == "" || slices.Contains(options, "U") || v.last("source") == "" {
			return m, fmt.Errorf("%s %q: a path within a volume that has a name, without chown", key, part)
		}
		options = append(options, container.Subpath+v.last(key))
	}
	if err := container.CheckVolumeOptions(&storage.Volume{Options: v.values["volume-opt"]}); err != nil {
		return m, err
	}
	for _, key := range []string{"volume-label", "volume-opt"} {
		for _, value := range v.values[key] {
			options = append(options, key+"="+value)
		}
	}
	return namedVolume(v.last("source"), v.last("target"), options)
}

func imageKind(v mountValues) (m specs.Mount, err error) {
	if v.last("source") == "" {
		return m, errors.New("image needs source and target: must set source=IMAGE")
	}
	options, err := v.options([2]string{"rw", "rw-image"})
	if part := v.last("subpath"); part != "" {
		options = append(options, container.Subpath+part)
	}
	return specs.Mount{Type: container.TypeImage, Source: v.last("source"), Destination: v.last("target"), Options: options}, err
}

// tmpfsKind: ramfs knows no limit.
func tmpfsKind(v mountValues) (m specs.Mount, err error) {
	kind := v.last("type")
	if v.last("source") != "" {
		return m, fmt.Errorf("%s has no source", kind)
	}
	copied, err := v.copyUp()
	options, failed := v.options([2]string{"rw", "rw"})
	if err = errors.Join(err, failed); err != nil {
		return m, err
	}
	for _, key := range []string{"size", "mode"} {
		value := v.last("tmpfs-" + key)
		if value == "" {
			value = v.last(key)
		}
		if value != "" && (kind != "ramfs" || key == "mode") {
			options = append(options, key+"="+value)
		}
	}
	options = append(options, copied...)
	return specs.Mount{Type: kind, Source: kind, Destination: v.last("target"), Options: append([]string{"nosuid", "nodev", "noexec"}, options...)}, nil
}

// copyUp: both words may be true or false.
func (v mountValues) copyUp() ([]string, error) {
	var given []string
	for _, word := range []string{container.CopyUp, notCopyUp} {
		for _, value := range v.values[word] {
			on, err := strconv.ParseBool(value)
			if err != nil {
				return nil, fmt.Errorf("%s is true or false", word)
			}
			if on == (word == container.CopyUp) {
				given = append(given, container.CopyUp)
			} else {
				given = append(given, notCopyUp)
			}
		}
	}
	return copyUp(given)
}

func devptsKind(v mountValues) (m specs.Mount, err error) {
	if v.last("source") != "" {
		return m, errors.New("devpts has no source")
	}
	options := []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666"}
	for _, key := range []string{"uid", "gid", "mode", "max"} {
		value := v.last(key)
		if _, err := strconv.ParseUint(value, 8, 32); value != "" && key == "mode" && err != nil {
			return m, fmt.Errorf("mode %q: an octal number", value)
		}
		if _, err := strconv.ParseUint(value, 10, 32); value != "" && key != "mode" && err != nil {
			return m, fmt.Errorf("%s %q: a number", key, value)
		}
		if value != "" {
			options = append(options, key+"="+value)
		}
	}
	if v.last("mode") == "" {
		options = append(options, "mode=0600")
	}
	return specs.Mount{Type: "devpts", Source: "devpts", Destination: v.last("target"), Options: options}, nil
}

// globType is for the mounts of a pattern, until they are known.
const globType = "glob"

// expand gives the binds of a pattern: each at its own path, or in the target.
func expand(m specs.Mount, cold *Cold) (list []specs.Mount, err error) {
	if cold == nil {
		return nil, errCold
	}
	pattern, err := absolute(m.Source)
	if err != nil {
		return nil, err
	}
	names, err := cold.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("--mount type=glob,source=%s: %w", m.Source, err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("--mount type=glob,source=%s: no file paths matching glob", m.Source)
	}
	for _, name := range names {
		target := name
		if m.Destination != "" {
			target = path.Join(m.Destination, path.Base(name))
		}
		one, err := bindMount(name, target, m.Options)
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}
