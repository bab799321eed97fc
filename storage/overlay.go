package storage

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// OverlayOptions are the options to mount the container's root with, and the
// directory to be in while mounting: lower directories are named from there,
// as all of them must fit in one page (mount(2)). userxattr is how an overlay
// of a user namespace keeps its marks (Linux 5.11); volatile leaves out every
// sync (Linux 5.10).
func (c *Container) OverlayOptions(volatile bool) (base, options string, err error) {
	more := ""
	if volatile {
		more = ",volatile"
	}
	return OverlayOf(c.Lowers(), c.Upper, c.Work, more, path.Join(c.Dir, "l"))
}

// Lowers are the lower directories of the container's root, topmost first.
func (c *Container) Lowers() (dirs []string) {
	if c.image != nil {
		dirs = c.image.Layers
	}
	if c.Lower != "" {
		dirs = append(slices.Clip(dirs), c.Lower)
	}
	// The empty mount point serves an image without layers.
	if len(dirs) == 0 {
		dirs = []string{c.Merged}
	}
	return dirs
}

const (
	mostOptions = 4095 // bytes that mount(2) takes: a page without its end, where pages are smallest
	mostLayers  = 500  // of an overlay (OVL_MAX_STACK in the kernel's fs/overlayfs/params.c)
)

// OverlayOf are options for an overlay of directories, topmost first, and the
// directory to be in while mounting. Without an upper directory it is read-only:
// then an empty one has to be among them, as the kernel wants two. Where the
// names are too long together, at about 130 layers, the directory links is made,
// and they are named from there.
func OverlayOf(dirs []string, upper, work, more, links string) (base, options string, err error) {
	dirs = Seen(dirs, upper != "")
	if len(dirs) > mostLayers {
		return "", "", fmt.Errorf("mounting %d layers: the kernel takes %d", len(dirs), mostLayers)
	}
	rest := ",userxattr" + more
	if upper != "" {
		rest = ",upperdir=" + escapeOption(upper) + ",workdir=" + escapeOption(work) + rest
	}
	base, lower := lowerDirs(dirs)
	if options = "lowerdir=" + strings.Join(lower, ":") + rest; len(options) <= mostOptions {
		return base, options, nil
	}
	if lower, err = shortLinks(links, dirs); err != nil {
		return "", "", fmt.Errorf("making short names for %d layers: %w", len(dirs), err)
	}
	if options = "lowerdir=" + strings.Join(lower, ":") + rest; len(options) > mostOptions {
		return "", "", fmt.Errorf("mounting %d layers: their names take %d bytes, the kernel takes %d", len(dirs), len(options), mostOptions)
	}
	return links, options, nil
}

// Seen are the lower directories that are seen: those below one whose root is
// opaque are not, but the kernel does not look for that mark there. Without an upper
// directory the last of them, which is empty then, stays as the second one.
func Seen(dirs []string, upper bool) []string {
	for n, dir := range dirs {
		value := make([]byte, 2)
		if size, err := unix.Getxattr(dir, "user.overlay.opaque", value); err != nil || size != 1 || value[0] != 'y' {
			continue
		}
		seen := slices.Clip(dirs[:n+1])
		if n == 0 && !upper && len(dirs) > 1 {
			seen = append(seen, dirs[len(dirs)-1])
		}
		return seen
	}
	return dirs
}

// lowerDirs names directories from the first one's parent.
func lowerDirs(dirs []string) (base string, lower []string) {
	for _, dir := range dirs {
		if base == "" {
			base = path.Dir(dir)
		}
		if name, ok := strings.CutPrefix(dir, base+"/"); ok {
			dir = name
		}
		lower = append(lower, escapeLower(dir))
	}
	return base, lower
}

// shortLinks makes a link of one or two letters to each directory. Names by
// descriptor, from within /proc/self/fd, would leave nothing behind, but a start
// would have to reserve hundreds of them in the table that it shares; and
// fsconfig(2) takes layers one by one only since Linux 6.7. Links of an earlier
// start are there already, mostly: so they also serve where nothing can be written.
func shortLinks(links string, dirs []string) (names []string, err error) {
	if err := os.Mkdir(links, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	for n, dir := range dirs {
		name := strconv.FormatInt(int64(n), 36)
		names = append(names, name)
		link := path.Join(links, name)
		if target, err := os.Readlink(link); err == nil && target == dir {
			continue
		}
		if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		if err := os.Symlink(dir, link); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// A backslash quotes what separates options, and layers.
func escapeOption(path string) string { return quote(path, `\,`) }
func escapeLower(path string) string  { return quote(path, `\,:`) }

func quote(path, special string) string {
	if !strings.ContainsAny(path, special) {
		return path
	}
	var b strings.Builder
	for _, c := range []byte(path) {
		if strings.IndexByte(special, c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}
