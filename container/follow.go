package container

import (
	"errors"
	"path"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"containers/rl/storage"
	"containers/rl/storage/flat"
)

// networkFiles cover the image's, which may be links to what a running system makes.
var networkFiles = [3]string{"/etc/hosts", "/etc/resolv.conf", "/etc/hostname"}

// follow finds where the places of mounts lead by links of the image, for those whose
// end is not there: mkdir(2) follows none. It is a forecast, which target opens below
// the root like any other name.
func (p *plan) follow(c *storage.Container) {
	dirs := append([]string{c.Upper}, c.Lowers()...)
	if p.files.root != "" {
		dirs = []string{p.files.root}
	}
	for _, place := range p.linked(dirs) {
		stack, err := flat.OpenChanged(dirs[0], dirs[1:])
		if err != nil {
			return
		}
		if to, err := stack.Follow(place, p.covered); err == nil && to != place {
			if p.led == nil {
				p.led = map[string]string{}
			}
			p.led[place] = to
		}
		stack.Close()
	}
}

// linked are the places that some layer has a link on the way to: mostly none.
func (p *plan) linked(dirs []string) (list []string) {
	places := networkFiles[:]
	for _, m := range p.o.Mounts {
		places = append(places, path.Clean("/"+m.Destination))
	}
	for _, dir := range dirs {
		layer, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		for _, place := range places {
			fd, err := unix.Openat2(layer, place[1:], &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS})
			if err == nil {
				unix.Close(fd)
			} else if errors.Is(err, unix.ELOOP) && !slices.Contains(list, place) {
				list = append(list, place)
			}
		}
		unix.Close(layer)
	}
	return list
}

// covered: what the image has below another mount is not seen.
func (p *plan) covered(dir string) bool {
	return slices.ContainsFunc(p.spec.Mounts, func(m specs.Mount) bool { return path.Clean("/"+m.Destination) == dir })
}
