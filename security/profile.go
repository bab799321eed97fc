package security

import (
	"errors"
	"fmt"

	"github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// DefaultProfile is docker's default for these capabilities, this architecture
// and the running kernel.
func DefaultProfile(caps []string) (*specs.LinuxSeccomp, error) {
	profile, err := seccomp.GetDefaultProfile(specFor(caps))
	if err != nil {
		return nil, fmt.Errorf("resolving the default seccomp profile: %w", err)
	}
	return profile, nil
}

// ParseProfile reads docker's file format, with includes and excludes by
// capability, architecture and kernel.
func ParseProfile(text []byte, caps []string) (*specs.LinuxSeccomp, error) {
	profile, err := seccomp.LoadProfile(string(text), specFor(caps))
	if err != nil {
		return nil, fmt.Errorf("reading the seccomp profile: %w", err)
	}
	if profile == nil {
		return nil, errors.New("reading the seccomp profile: it has neither a default action nor system calls")
	}
	return profile, nil
}

func specFor(caps []string) *specs.Spec {
	return &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: caps}}}
}
