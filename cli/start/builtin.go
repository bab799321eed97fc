package start

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"

	"containers/rl/container"
	"containers/rl/storage"
)

// Version is rl's own.
const Version = "0.1.0"

// PrintVersion is the command version.
func PrintVersion(w io.Writer) (int, error) {
	return fmt.Fprintf(w, "rl version %s %s/%s\n", Version, runtime.GOOS, runtime.GOARCH)
}

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
	self, err := SelfName()
	if err != nil {
		return nil, err
	}
	img, err := host.Dirs.Lookup(BuiltinName)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(img.Settings.Labels, SelfLabel+"="+self) {
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
	return fmt.Sprintf("%s-%d-%d", Version, info.Size(), info.ModTime().UnixNano()), nil
}
