package start

import (
	"fmt"
	"os"
	"slices"

	"containers/rl/cli/self"
	"containers/rl/container"
	"containers/rl/storage"
)

// BuiltinName is the built-in image's; it cannot be a registry's.
const BuiltinName = "rl.local/builtin:latest"

// SelfLabel of the built-in image tells the binary that it was made from.
const SelfLabel = "org.opencontainers.image.revision"

// IsBuiltin says whether a reference means the built-in image.
func IsBuiltin(ref string) bool {
	return slices.Contains([]string{"builtin", "builtin:latest", BuiltinName, "rl.local/builtin"}, ref)
}

// LookupBuiltin gives the built-in image; ErrNoImage when it is not there, or
// was made from another binary than ours.
func LookupBuiltin(host container.Host) (*storage.Image, error) {
	ours, err := SelfName()
	if err != nil {
		return nil, err
	}
	img, err := host.Dirs.Lookup(BuiltinName)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(img.Settings.Labels, SelfLabel+"="+ours) {
		img.Close()
		return nil, fmt.Errorf("%s: made from another binary: %w", BuiltinName, storage.ErrNoImage)
	}
	return img, nil
}

// SelfName tells one build of our binary from another without reading it.
func SelfName() (string, error) {
	info, err := os.Stat("/proc/self/exe")
	if err != nil {
		return "", fmt.Errorf("looking at our own binary: %w", err)
	}
	return fmt.Sprintf("%s-%d-%d", self.Version, info.Size(), info.ModTime().UnixNano()), nil
}
