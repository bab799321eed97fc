package storage

import (
	"path"
	"strings"
)

// OverlayOptions are the options to mount the container's root with, and the
// directory to be in while mounting: lower directories are named from there,
// as all of them must fit in one page (mount(2)). userxattr is how an overlay
// of a user namespace keeps its marks (Linux 5.11); volatile leaves out every
// sync (Linux 5.10).
func (c *Container) OverlayOptions(volatile bool) (base, options string) {
	var lower []string
	if c.image != nil {
		base, lower = lowerDirs(c.image.Layers)
	}
	if c.Lower != "" {
		lower = append(lower, escapeLower(c.Lower))
	}
	if base == "" {
		base = "/"
	}
	// The empty mount point serves an image without layers.
	if len(lower) == 0 {
		lower = append(lower, escapeLower(c.Merged))
	}
	options = "lowerdir=" + strings.Join(lower, ":") + ",upperdir=" + escapeOption(c.Upper) + ",workdir=" + escapeOption(c.Work) + ",userxattr"
	if volatile {
		options += ",volatile"
	}
	return base, options
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

// OverlayOf are options for an overlay of directories, topmost first, and the
// directory to be in while mounting. Without an upper directory it is read-only:
// then an empty one has to be among them, as the kernel wants two.
func OverlayOf(dirs []string, upper, work string) (base, options string) {
	base, lower := lowerDirs(dirs)
	options = "lowerdir=" + strings.Join(lower, ":") + ",userxattr"
	if upper != "" {
		options += ",upperdir=" + escapeOption(upper) + ",workdir=" + escapeOption(work)
	}
	return base, options
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
