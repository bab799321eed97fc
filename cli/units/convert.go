package units

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

// container is what a file .container asks for.
func (c *conversion) container() error {
	run := []string{"run"}
	name, given := c.file.Last("Container", "ContainerName")
	switch {
	case given:
	case strings.Contains(c.name, "@"):
		name.Value = "systemd-%p_%i"
	default:
		name.Value = "systemd-%N"
	}
	run = append(run, "--name", quote(name.Value), "--cidfile=%t/%N.cid", "--replace", "--rm")
	cgroups, ok := c.file.Last("Container", "CgroupsMode")
	if !ok {
		cgroups.Value = "split"
	}
	run = append(run, "--cgroups="+quote(cgroups.Value))
	more, err := c.serviceType()
	if err != nil {
		return err
	}
	run = append(run, more...)
	for _, step := range []func() ([]string, error){func() ([]string, error) { return c.flags() }, c.user, c.places, c.networks, c.extra, c.program} {
		more, err := step()
		if err != nil {
			return err
		}
		run = append(run, more...)
	}
	global, err := c.global()
	if err != nil {
		return err
	}
	c.unit.add("Service", "ExecStartPre", "/bin/rm -f %t/%N.cid") // of a run before this one: rl run takes none that is there
	c.unit.add("Service", "ExecStart", c.line(append(global, run...)))
	c.unit.add("Service", "ExecStop", c.line([]string{"stop", "--ignore", "--cidfile=%t/%N.cid"}))
	c.unit.add("Service", "ExecStopPost", "-"+c.line([]string{"rm", "-v", "-f", "-i", "--cidfile=%t/%N.cid"}))
	return c.reload(name.Value)
}

// line is a command line of rl.
func (c *conversion) line(words []string) string {
	return Word(c.Program) + " " + strings.Join(words, " ")
}

// serviceType sets what a service of a container is, and gives the flags for it.
func (c *conversion) serviceType() (flags []string, err error) {
	set := func(key, value string) {
		if _, ok := c.file.Last("Service", key); !ok {
			c.unit.add("Service", key, value)
		}
	}
	c.unit.lead("Service", Entry{Key: "Environment", Value: "PODMAN_SYSTEMD_UNIT=%n"})
	kill, ok := c.file.Last("Service", "KillMode")
	if ok && kill.Value != "mixed" && kill.Value != "control-group" {
		return nil, kill.Errorf("KillMode: %s: mixed or control-group", kill.Value)
	}
	set("KillMode", "mixed")
	set("Delegate", "yes")
	set("SyslogIdentifier", "%N")
	kind, ok := c.file.Last("Service", "Type")
	switch {
	case ok && kind.Value == "oneshot":
		return nil, nil
	case ok && kind.Value != "notify":
		return nil, kind.Errorf("Type: %s: notify or oneshot", kind.Value)
	}
	set("Type", "notify")
	set("NotifyAccess", "all")
	who := "conmon"
	if e, ok := c.file.Last("Container", "Notify"); ok {
		if e.Value == "healthy" {
			return nil, e.Errorf("Notify: healthy: not supported: true or false")
		}
		on, err := boolean(e)
		if err != nil {
			return nil, err
		}
		if on {
			who = "container"
		}
	}
	return []string{"--sdnotify=" + who, "-d"}, nil
}

// flags are those that the table knows.
func (c *conversion) flags() (list []string, err error) {
	for _, k := range c.keys {
		entries := c.file.All(c.section, k.name)
		if len(entries) == 0 {
			continue
		}
		last := entries[len(entries)-1]
		switch k.kind {
		case one:
			list = append(list, k.with(last.Value)...)
		case many:
			for _, e := range entries {
				list = append(list, k.with(e.Value)...)
			}
		case words:
			found, err := split(entries)
			if err != nil {
				return nil, err
			}
			for _, word := range found {
				list = append(list, k.with(word)...)
			}
		case truth:
			on, err := boolean(last)
			if err != nil {
				return nil, err
			}
			if on {
				list = append(list, k.flag)
			} else if k.no != "" {
				list = append(list, k.no)
			}
		}
	}
	return list, nil
}

// with gives the flag a value.
func (k *key) with(value string) []string {
	if strings.Contains(k.flag, "=") {
		return []string{quote(k.flag + value)}
	}
	return []string{k.flag, quote(value)}
}

// split gives the words of several values.
func split(entries []Entry) (list []string, err error) {
	for _, e := range entries {
		found, err := Split(e.Value)
		if err != nil {
			return nil, e.Errorf("%s: %w", e.Key, err)
		}
		list = append(list, found...)
	}
	return list, nil
}

func quoteAll(texts []string) (list []string) {
	for _, text := range texts {
		list = append(list, quote(text))
	}
	return list
}

func (c *conversion) user() ([]string, error) {
	user, named := c.file.Last("Container", "User")
	group, grouped := c.file.Last("Container", "Group")
	switch {
	case named && grouped:
		return []string{"--user", quote(user.Value + ":" + group.Value)}, nil
	case grouped:
		return nil, group.Errorf("Group: only with User")
	case named:
		return []string{"--user", quote(user.Value)}, nil
	}
	return nil, nil
}

// near makes a path of one that is relative to the file. Specifiers are systemd's.
func (c *conversion) near(text string) string {
	if path.IsAbs(text) || strings.HasPrefix(text, "%") {
		return text
	}
	return path.Join(strings.ReplaceAll(path.Dir(c.file.Path), "%", "%%"), text)
}

// places are volumes, mounts, devices and files of variables.
func (c *conversion) places() (list []string, err error) {
	for _, e := range c.file.All("Container", "AddDevice") {
		text, optional := strings.CutPrefix(e.Value, "-")
		if host, _, _ := strings.Cut(text, ":"); !optional || c.Exists(host) {
			list = append(list, "--device", quote(text))
		}
	}
	for _, e := range c.file.All("Container", "EnvironmentFile") {
		list = append(list, "--env-file", quote(c.near(e.Value)))
	}
	for _, e := range c.file.All("Container", "Volume") {
		source, rest, both := strings.Cut(e.Value, ":")
		if both {
			if source, err = c.source(source); err != nil {
				return nil, e.Errorf("Volume: %w", err)
			}
			source += ":" + rest
		}
		list = append(list, "--volume", quote(source))
	}
	for _, e := range c.file.All("Container", "Mount") {
		parts := strings.Split(e.Value, ",")
		for n, part := range parts {
			name, value, _ := strings.Cut(part, "=")
			if (name == "source" || name == "src") && slices.Contains(parts, "type=volume") || strings.HasPrefix(value, ".") && (name == "source" || name == "src") {
				if value, err = c.source(value); err != nil {
					return nil, e.Errorf("Mount: %w", err)
				}
				parts[n] = name + "=" + value
			}
		}
		list = append(list, "--mount", quote(strings.Join(parts, ",")))
	}
	return list, nil
}

// source is a volume's name, or a directory of the host.
func (c *conversion) source(text string) (string, error) {
	switch {
	case strings.HasSuffix(text, ".volume"):
		return c.resource(text)
	case strings.HasPrefix(text, "."):
		text = c.near(text)
	}
	if path.IsAbs(text) {
		c.mounts = append(c.mounts, text)
	}
	return text, nil
}

func (c *conversion) networks() (list []string, err error) {
	for _, e := range c.file.All("Container", "Network") {
		name, options, given := strings.Cut(e.Value, ":")
		if kind := path.Ext(name); kind == ".network" || kind == ".container" {
			if name, err = c.resource(name); err != nil {
				return nil, e.Errorf("Network: %w", err)
			}
			if kind == ".container" {
				name = "container:" + name
			}
		}
		if given {
			name += ":" + options
		}
		list = append(list, "--network", quote(name))
	}
	return list, nil
}

// extra are arguments for rl that no key is for.
func (c *conversion) extra() (list []string, err error) {
	for _, key := range []string{"PodmanArgs", "RlArgs"} {
		entries := c.file.All(c.section, key)
		found, err := split(entries)
		if err == nil && len(found) > 0 {
			if err = c.Check(c.command, found); err != nil {
				err = entries[len(entries)-1].Errorf("%s: %w", key, err)
			}
		}
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return quoteAll(list), nil
}

func (c *conversion) global() ([]string, error) {
	entries := c.file.All(c.section, "GlobalArgs")
	found, err := split(entries)
	if err == nil && len(found) > 0 {
		if err = c.Check("", found); err != nil {
			err = entries[len(entries)-1].Errorf("GlobalArgs: %w", err)
		}
	}
	return quoteAll(found), err
}

// program is the image, or a directory, and what is run.
func (c *conversion) program() (list []string, err error) {
	image, ok := c.file.Last("Container", "Image")
	rootfs, dir := c.file.Last("Container", "Rootfs")
	switch kind := path.Ext(image.Value); {
	case ok && dir:
		return nil, rootfs.Errorf("Rootfs: not with Image")
	case !ok && !dir:
		return nil, fmt.Errorf("%s: no Image or Rootfs key in [Container]", c.file.Path)
	case slices.Contains(Refused(), kind):
		return nil, image.Errorf("Image: files %s are not supported", kind)
	case dir:
		list = []string{"--rootfs", quote(c.near(rootfs.Value))}
	default:
		list = []string{quote(image.Value)}
	}
	if e, ok := c.file.Last("Container", "Exec"); ok {
		words, err := split([]Entry{e})
		if err != nil {
			return nil, err
		}
		list = append(list, quoteAll(words)...)
	}
	return list, nil
}

// reload is what systemctl reload does.
func (c *conversion) reload(name string) error {
	command, runs := c.file.Last("Container", "ReloadCmd")
	signal, sends := c.file.Last("Container", "ReloadSignal")
	switch {
	case runs && sends:
		return signal.Errorf("ReloadSignal: not with ReloadCmd")
	case sends:
		c.unit.add("Service", "ExecReload", c.line([]string{"kill", "--signal", quote(signal.Value), "--cidfile=%t/%N.cid"}))
	case runs:
		words, err := split([]Entry{command})
		if err != nil {
			return err
		}
		c.unit.add("Service", "ExecReload", c.line(append([]string{"exec", quote(name)}, quoteAll(words)...)))
	}
	return nil
}

// once is a service that makes something if it is not there.
func (c *conversion) once(key string, more ...string) error {
	name, ok := c.file.Last(c.section, key)
	if !ok {
		name.Value = "systemd-" + strings.TrimSuffix(c.name, path.Ext(c.name))
	}
	flags, err := c.flags()
	extra, wrong := c.extra()
	global, bad := c.global()
	if err := errors.Join(err, wrong, bad); err != nil {
		return err
	}
	words := slices.Concat(global, []string{c.command, "--ignore"}, flags, more, extra, []string{quote(name.Value)})
	c.unit.add("Service", "Type", "oneshot")
	c.unit.add("Service", "RemainAfterExit", "yes")
	c.unit.add("Service", "SyslogIdentifier", "%N")
	c.unit.add("Service", "ExecStart", c.line(words))
	if e, ok := c.file.Last(c.section, "NetworkDeleteOnStop"); ok {
		on, err := boolean(e)
		if err != nil {
			return err
		}
		if on {
			c.unit.add("Service", "ExecStopPost", c.line([]string{"network", "rm", quote(name.Value)}))
		}
	}
	return nil
}

func (c *conversion) network() error { return c.once("NetworkName") }

// volume: who owns it is an option of the mount.
func (c *conversion) volume() error {
	var options []string
	for _, e := range c.file.All("Volume", "Options") {
		options = append(options, e.Value)
	}
	for _, one := range []struct{ key, option string }{{"User", "uid"}, {"Group", "gid"}} {
		if e, ok := c.file.Last("Volume", one.key); ok {
			options = append(options, one.option+"="+e.Value)
		}
	}
	if len(options) == 0 {
		return c.once("VolumeName")
	}
	return c.once("VolumeName", quote("--opt=o="+strings.Join(options, ",")))
}
