package container

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Device is a device of the host, or a directory of such. A user namespace makes
// no nodes (mknod(2)), so the host's is bound, and what the user may do with it
// is what the container may do: a filter of a cgroup needs root.
type Device struct {
	Source      string
	Path        string // in the container
	Permissions string `json:",omitzero"` // of r, w and m; "": all of them
}

// AllPermissions are those of a device that was given without any.
const AllPermissions = "rwm"

// nodes are the devices of a directory, or the one that it is. What is no
// device, and where none are, is left out: a missing one is an error of its mount.
func (d Device) nodes() (list []Device) {
	info, err := os.Stat(d.Source)
	if err != nil || !info.IsDir() {
		return []Device{d}
	}
	entries, _ := os.ReadDir(d.Source) // a closed one has none for us
	for _, e := range entries {
		below := Device{path.Join(d.Source, e.Name()), path.Join(d.Path, e.Name()), d.Permissions}
		switch {
		case e.IsDir() && !slices.Contains(notDevices, e.Name()):
			list = append(list, below.nodes()...)
		case e.Type()&os.ModeDevice != 0 && e.Name() != "console":
			list = append(list, below)
		}
	}
	return list
}

// notDevices are directories of /dev with other things in them.
var notDevices = []string{"pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"}

// HasNodes says whether there is a device to be had.
func (d Device) HasNodes() bool {
	return slices.ContainsFunc(d.nodes(), func(n Device) bool {
		info, err := os.Stat(n.Source)
		return err == nil && info.Mode()&os.ModeDevice != 0
	})
}

// Resolve follows a link now: the device is meant that it leads to.
func (d *Device) Resolve() (err error) {
	for range 40 { // MAXSYMLINKS
		info, err := os.Lstat(d.Source)
		if err != nil || info.Mode()&os.ModeSymlink == 0 {
			return err
		}
		to, err := os.Readlink(d.Source)
		if err != nil {
			return err
		}
		if !path.IsAbs(to) {
			to = path.Join(path.Dir(d.Source), to)
		}
		d.Source = to
	}
	return &os.PathError{Op: "stat", Path: d.Source, Err: unix.ELOOP}
}

// deviceNodes are all that the container was given by name.
func (o *Options) deviceNodes() (list []Device) {
	for _, d := range o.rare().Devices {
		list = append(list, d.nodes()...)
	}
	if edits := o.rare().CDI; edits != nil {
		list = append(list, edits.Devices...)
	}
	return list
}

func (o *Options) hasDevices() bool {
	return len(o.rare().Devices) > 0 || o.rare().CDI != nil && len(o.rare().CDI.Devices) > 0
}

// deviceMounts come after all others: most are in the container's own /dev.
func (o *Options) deviceMounts() (list []specs.Mount) {
	named := o.deviceNodes()
	if o.Privileged {
		for _, d := range (Device{Source: "/dev", Path: "/dev"}).nodes() {
			if d.private() || unix.Access(d.Source, unix.R_OK) != nil && unix.Access(d.Source, unix.W_OK) != nil || o.covers(d.Path) ||
				slices.ContainsFunc(named, func(n Device) bool { return n.Path == d.Path }) {
				continue
			}
			list = append(list, d.mount())
		}
	}
	for _, d := range named {
		list = append(list, d.mount())
	}
	return list
}

// private devices stay out of a privileged container: its own terminals, the
// host's consoles, and what every container has.
func (d Device) private() bool {
	name := strings.TrimPrefix(d.Source, "/dev/")
	number, console := strings.CutPrefix(name, "tty")
	return console && strings.Trim(number, "0123456789") == "" || name == "ptmx" || slices.Contains(usualDevices, name)
}

// covers says whether the user mounts something on a path, or on what it is in.
func (o *Options) covers(name string) bool {
	return slices.ContainsFunc(o.Mounts, func(m specs.Mount) bool { return name == m.Destination || strings.HasPrefix(name, m.Destination+"/") })
}

func (d Device) mount() specs.Mount {
	return specs.Mount{Type: "bind", Source: d.Source, Destination: d.Path, Options: []string{"bind", "nosuid", "noexec"}}
}

// deviceNotice says what the container cannot do with a device that it was
// given, and what it can do although it was not to; "" is neither.
func (p *plan) deviceNotice() string {
	if !p.o.hasDevices() {
		return ""
	}
	var said []string
	for _, d := range p.o.deviceNodes() {
		if text := p.access(d); text != "" {
			said = append(said, "device "+d.Source+": "+text)
		}
	}
	return strings.Join(said, "; ")
}

func (p *plan) access(d Device) string {
	var st unix.Stat_t
	if unix.Stat(d.Source, &st) != nil {
		return ""
	}
	bits := uint32(0)
	for _, one := range []struct {
		letter string
		access uint32
	}{{"r", unix.R_OK}, {"w", unix.W_OK}} {
		if strings.Contains(first(d.Permissions, AllPermissions), one.letter) {
			bits |= one.access
		} else if unix.Access(d.Source, one.access) == nil {
			return fmt.Sprintf("the container may do more than %s with it, as you may: a filter of devices needs root", d.Permissions)
		}
	}
	can := func(access uint32) bool { return p.may(d, st, access) }
	if bits == 0 || can(bits) || d.Permissions == "" && (can(unix.R_OK) || can(unix.W_OK)) {
		return ""
	}
	group := groupName(st.Gid)
	text := fmt.Sprintf("the container cannot open it: its mode is %04o, its owner %d, its group %s", st.Mode&0o7777, st.Uid, group)
	switch {
	case unix.Access(d.Source, bits) == nil && !p.o.KeepGroups && p.user() == os.Geteuid():
		return text + ", and your groups are not the container's: --group-add keep-groups"
	case st.Mode&0o060 != 0 && unix.Access(d.Source, bits) != nil && st.Gid != 0:
		return text + ": sudo usermod -aG " + group + " $USER, log in again, and give --group-add keep-groups"
	}
	return text
}

// may says whether the container's user has rights to a device. Those by an
// access list are not told from those by a group.
func (p *plan) may(d Device, st unix.Stat_t, access uint32) bool {
	others := st.Mode&access == access
	own := p.user() == os.Geteuid()
	if own && unix.Access(d.Source, access) != nil {
		return false
	}
	byGroup := st.Mode>>3&access == access && int(st.Gid) != os.Getegid()
	keeps := p.o.KeepGroups || p.ids.Single()
	switch {
	case !own:
		return others || keeps && byGroup && unix.Access(d.Source, access) == nil
	case keeps || int(st.Uid) == os.Geteuid() || os.Geteuid() == 0 || others || !byGroup:
		return true
	}
	_, err := unix.Getxattr(d.Source, "system.posix_acl_access", nil)
	return err == nil
}

// user is the number of the program's user on the host.
func (p *plan) user() int {
	uid, _ := p.ids.HostUID(p.spec.Process.User.UID)
	return int(uid)
}

// groupName is what /etc/group has for a number, or the number.
func groupName(gid uint32) string {
	number := strconv.Itoa(int(gid))
	text, _ := readFile("/etc/group")
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(line, ":"); len(f) > 2 && f[2] == number {
			return f[0]
		}
	}
	return number
}
