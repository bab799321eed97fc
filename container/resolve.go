package container

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"containers/rl/storage"
	"containers/rl/storage/fuseoverlay"
	"containers/rl/userns"
)

// ours are the words of a mount's options that are no options of mount(8).
var ours = []string{"U", "O", "z", "Z", "copy", "nocopy", "rw-image", "consistent", "cached", "delegated"}

// overlayPlace begins the names of directories, in the container's own, for
// what is written to an overlay that is none of its root.
const overlayPlace = "overlay-"

// realMounts turns the mounts that are rl's own into those of the
// specification. The container's directory is there by now.
func (p *plan) realMounts(c *storage.Container) error {
	for n, m := range p.spec.Mounts {
		var err error
		switch {
		case m.Type == TypeVolume:
			m, err = p.volumeMount(m)
		case m.Type == TypeImage:
			m, err = p.imageMount(m, c, n)
		}
		if err == nil && slices.Contains(m.Options, "O") {
			m, err = p.overlayMount(m, c, n)
		}
		if err != nil {
			return err
		}
		m.Options = slices.DeleteFunc(slices.Clone(m.Options), func(option string) bool { return slices.Contains(ours, option) })
		p.spec.Mounts[n] = m
	}
	return nil
}

// volumeMount: a volume with options of the driver is what they say. It is
// mounted in each container for itself, as nobody stays to keep it mounted.
func (p *plan) volumeMount(m specs.Mount) (specs.Mount, error) {
	return volumeMount(p.o.volume(m.Source), m)
}

func volumeMount(v *storage.Volume, m specs.Mount) (specs.Mount, error) {
	kind, device := v.Option("type"), v.Option("device")
	if kind == "" && device == "" {
		m.Type, m.Source, m.Options = "bind", v.Data(), append([]string{"rbind", "nosuid", "nodev"}, m.Options...)
		return m, nil
	}
	var options []string
	for _, word := range strings.Split(v.Option("o"), ",") {
		if word != "" && (kind == "tmpfs" || !strings.HasPrefix(word, "uid=") && !strings.HasPrefix(word, "gid=")) {
			options = append(options, word)
		}
	}
	m.Type, m.Source, m.Options = kind, first(device, kind), slices.Concat([]string{"nosuid", "nodev"}, options, m.Options)
	if slices.Contains(options, "bind") || slices.Contains(options, "rbind") {
		m.Type = "bind"
	}
	switch m.Type {
	case "tmpfs", "ramfs", "overlay":
		wrong := ""
		if hasSubpath(m) {
			wrong = "subpath"
		} else if slices.Contains(m.Options, "O") {
			wrong = "option O"
		}
		if wrong != "" {
			return m, fmt.Errorf("mounting volume %s: %s: it is a %s of its own in each container, and empty", v.Name, wrong, m.Type)
		}
		return m, nil
	case "bind":
		return m, nil
	}
	return m, fmt.Errorf("mounting volume %s: type %q: without root only tmpfs, overlay and bind can be mounted", v.Name, kind)
}

func hasSubpath(m specs.Mount) bool { return SubpathOf(m) != "" }

// MountVolume mounts a volume's file system in our own mount namespace.
func MountVolume(v *storage.Volume, place string) error {
	m, err := volumeMount(v, specs.Mount{})
	if err != nil {
		return err
	}
	o := mountOptions(m.Options)
	if m.Type == "bind" {
		o.flags |= unix.MS_BIND
	}
	if err := unix.Mount(m.Source, place, m.Type, o.flags, strings.Join(o.data, ",")); err != nil {
		return &os.PathError{Op: "mount", Path: place, Err: err}
	}
	return nil
}

// imageMount is an overlay of another image's layers, or a copy where that is what
// the container is.
func (p *plan) imageMount(m specs.Mount, c *storage.Container, n int) (specs.Mount, error) {
	img, err := p.dirs.LookupImage(m.Source)
	if err != nil {
		return m, fmt.Errorf("mounting image: %w", err)
	}
	p.images = append(p.images, img) // held while the container runs
	place := fmt.Sprintf("%s/%s%d", c.Dir, overlayPlace, n)
	if err := p.clear(place); err != nil {
		return m, err
	}
	if !p.servesMounts() {
		d, err := ChooseDriver(Host{Dirs: p.dirs, IDs: p.ids})
		if err != nil {
			return m, err
		}
		if d.Name != storage.Overlay {
			return p.imageCopy(m, img, place)
		}
	}
	access, written := "ro", slices.Contains(m.Options, "rw-image")
	if written {
		access = "rw"
	}
	if err := makeDirs(img.RootMode(), place+"/empty", place+"/upper", place+"/work"); err != nil {
		return m, err
	}
	more := []string{access}
	if hasSubpath(m) {
		more = append(more, Subpath+SubpathOf(m))
	}
	l := fuseoverlay.Layers{Lower: append(slices.Clone(img.Layers), place+"/empty"), Volatile: true} // a second one below the one layer
	if written || p.servesMounts() {
		l.Upper, l.Work = place+"/upper", place+"/work"
	}
	return p.layersMount(m, l, place, more)
}

// imageCopy is made for each start, as an overlay would be.
func (p *plan) imageCopy(m specs.Mount, img *storage.Image, place string) (specs.Mount, error) {
	if err := os.Mkdir(place, 0o700); err != nil {
		return m, err
	}
	if err := copyLayers(p.ids, Copying{Dir: place, Layers: img.Layers}); err != nil {
		return m, err
	}
	options := []string{"bind", "ro"}
	if slices.Contains(m.Options, "rw-image") {
		options[1] = "rw"
	}
	if hasSubpath(m) {
		options = append(options, Subpath+SubpathOf(m))
	}
	m.Type, m.Source, m.Options = "bind", path.Join(place, storage.RootName), options
	return m, nil
}

// overlayMount: what is written to the source goes to the container's own
// directory, and is forgotten at the next start.
func (p *plan) overlayMount(m specs.Mount, c *storage.Container, n int) (specs.Mount, error) {
	upper, work := valueOf(m.Options, "upperdir="), valueOf(m.Options, "workdir=")
	var st unix.Stat_t
	if err := unix.Stat(m.Source, &st); err != nil {
		return m, fmt.Errorf("statfs %s: %w", m.Source, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return m, fmt.Errorf("mounting an overlay of %s: %w", m.Source, unix.ENOTDIR)
	}
	if !p.servesMounts() {
		d, err := ChooseDriver(Host{Dirs: p.dirs, IDs: p.ids})
		if err == nil {
			err = noOverlay(d, m.Source)
		}
		if err != nil {
			return m, err
		}
	}
	place, forgotten := fmt.Sprintf("%s/%s%d", c.Dir, overlayPlace, n), upper == ""
	if forgotten {
		upper, work = place+"/upper", place+"/work"
		if err := errors.Join(p.clear(place), makeDirs(directoryMode(st.Mode), upper, work)); err != nil {
			return m, err
		}
	}
	if slices.Contains(m.Options, "U") {
		p.giveToUser(upper)
	} else if forgotten {
		p.give(upper, st.Uid, st.Gid)
	}
	l := fuseoverlay.Layers{Lower: []string{m.Source}, Upper: upper, Work: work, Volatile: forgotten}
	return p.layersMount(m, l, place, []string{"nosuid", "nodev"})
}

// layersMount makes m an overlay: the kernel's, or through FUSE as the root is.
// Options are given in one piece: a comma in a path is quoted there.
func (p *plan) layersMount(m specs.Mount, l fuseoverlay.Layers, place string, more []string) (specs.Mount, error) {
	if p.servesMounts() {
		return p.serveMount(m, l, more)
	}
	base, data, err := storage.OverlayOf(l.Lower, l.Upper, l.Work, "", place+"/l")
	m.Type, m.Source, m.Options = "overlay", base, append(more, data)
	return m, err
}

// clear removes what an earlier run left.
func (p *plan) clear(place string) error { return removeMade(p.ids, place) }

// owner is to be that of a directory of ours: numbers of the container.
type owner struct {
	dir      string
	uid, gid uint32
}

// give: the root of an overlay has the owner of its upper directory. It is changed
// in the container's namespace, whose ids are not ours to give.
func (p *plan) give(dir string, uid, gid uint32) {
	if int(uid) == os.Geteuid() && int(gid) == os.Getegid() {
		return
	}
	uid, gid = p.ids.Inside(uid, gid)
	p.owners = append(p.owners, owner{dir, uid, gid})
}

func (p *plan) giveToUser(dir string) {
	p.owners = append(p.owners, owner{dir, p.spec.Process.User.UID, p.spec.Process.User.GID})
}

func directoryMode(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	if mode&unix.S_ISGID != 0 {
		m |= fs.ModeSetgid
	}
	if mode&unix.S_ISVTX != 0 {
		m |= fs.ModeSticky
	}
	return m
}

func makeDirs(mode fs.FileMode, dirs ...string) error {
	for _, dir := range dirs {
		if err := os.MkdirAll(path.Dir(dir), 0o700); err != nil {
			return err
		}
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, mode)); err != nil {
			return err
		}
	}
	return nil
}

func valueOf(options []string, key string) string {
	for _, option := range options {
		if value, ok := strings.CutPrefix(option, key); ok {
			return value
		}
	}
	return ""
}

// overlay mounts by mount(2), in the directory that the options begin from:
// fsconfig(2) takes values of 256 bytes.
func (p *plan) overlay(m specs.Mount, o options) {
	within := SubpathOf(m)
	data := slices.DeleteFunc(o.data, func(option string) bool { return strings.HasPrefix(option, Subpath) })
	target := p.target(m.Destination, true)
	if path.IsAbs(m.Source) {
		p.Do("changing directory to", m.Source, unix.SYS_CHDIR, p.Str(m.Source))
	}
	p.Do("mounting overlay on", m.Destination, unix.SYS_MOUNT, p.Str("overlay"), p.Str(target), p.Str(m.Type), userns.Int(o.flags), p.Str(strings.Join(data, ",")))
	if m.Type == fuseoverlay.Type {
		p.mountedAt(m.Destination)
	}
	if within != "" {
		p.narrow(m.Destination, within)
	}
}

// narrow covers the mount of shared.target with a directory of its own; links
// on the way to that lead nowhere else.
func (p *plan) narrow(place, within string) {
	p.reopen()
	how := inRoot(unix.O_PATH|unix.O_DIRECTORY, 0)
	part := p.Do("opening subpath", within+" for "+place, unix.SYS_OPENAT2, userns.Int(p.shared.target), p.Str(within), p.Bytes(how), userns.Int(len(how))).Save()
	copied := p.Do("binding", within+" on "+place, unix.SYS_OPEN_TREE, part.Arg(), p.Str(""), userns.Int(unix.OPEN_TREE_CLONE|unix.O_CLOEXEC|unix.AT_EMPTY_PATH)).Save()
	p.close(part)
	p.park(place, copied, p.shared.mount)
	p.attach("attaching", within+" on "+place, p.shared.mount)
}
