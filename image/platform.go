package image

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
)

func hostPlatform() v1.Platform { return v1.Platform{OS: "linux", Architecture: runtime.GOARCH} }

// Platform reads OS/ARCH[/VARIANT], or ARCH alone; "" is the host's.
func Platform(text string) (os, arch, variant string, err error) {
	p, err := parsePlatform(text)
	return p.OS, p.Architecture, p.Variant, err
}

// parsePlatform reads OS/ARCH[/VARIANT], or ARCH alone.
func parsePlatform(text string) (v1.Platform, error) {
	p := hostPlatform()
	if text == "" {
		return p, nil
	}
	part := strings.Split(text, "/")
	for _, word := range part {
		if word == "" || len(part) > 3 {
			return p, fmt.Errorf("platform %q: OS/ARCH[/VARIANT]", text)
		}
	}
	if len(part) == 1 {
		return v1.Platform{OS: "linux", Architecture: part[0]}, nil
	}
	p = v1.Platform{OS: part[0], Architecture: part[1]}
	if len(part) == 3 {
		p.Variant = part[2]
	}
	return p, nil
}

// OtherPlatform gives the platform that an image is for when that is not the one
// asked for, and "" when it is. What its configuration does not say fits.
func OtherPlatform(config []byte, platform string) (string, error) {
	var is imagespec.Image
	if err := json.Unmarshal(config, &is); err != nil {
		return "", fmt.Errorf("reading the configuration: %w", err)
	}
	want, err := parsePlatform(platform)
	if err != nil {
		return "", err
	}
	for _, part := range [][2]string{{is.OS, want.OS}, {is.Architecture, want.Architecture}, {usualVariant(is.Architecture, is.Variant), usualVariant(want.Architecture, want.Variant)}} {
		if part[0] != "" && part[1] != "" && part[0] != part[1] {
			return strings.TrimSuffix(is.OS+"/"+is.Architecture+"/"+is.Variant, "/"), nil
		}
	}
	return "", nil
}

// usualVariant: that of arm64 is left out as often as not.
func usualVariant(arch, variant string) string {
	if arch == "arm64" && variant == "" {
		return "v8"
	}
	return variant
}
