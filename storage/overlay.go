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
	if c.image != nil && len(c.image.Layers) > 0 {
		base = path.Dir(c.image.Layers[0])
		for _, dir := range c.image.Layers {
			if name, ok := strings.CutPrefix(dir, base+"/"); ok {
				dir = name
			}
			lower = append(lower, escapeLower(dir))
		}
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
