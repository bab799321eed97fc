package storage

import (
	"path/filepath"
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
		base = filepath.Dir(c.image.Layers[0])
		for _, dir := range c.image.Layers {
			if name, ok := strings.CutPrefix(dir, base+"/"); ok {
				dir = name
			}
			lower = append(lower, escapeLower.Replace(dir))
		}
	}
	if base == "" {
		base = "/"
	}
	// The empty mount point serves an image without layers.
	if len(lower) == 0 {
		lower = append(lower, escapeLower.Replace(c.Merged))
	}
	options = "lowerdir=" + strings.Join(lower, ":") + ",upperdir=" + escapeOption.Replace(c.Upper) + ",workdir=" + escapeOption.Replace(c.Work) + ",userxattr"
	if volatile {
		options += ",volatile"
	}
	return base, options
}

// A backslash quotes what separates options, and layers.
var (
	escapeOption = strings.NewReplacer(`\`, `\\`, `,`, `\,`)
	escapeLower  = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `:`, `\:`)
)
