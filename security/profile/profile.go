package profile

import (
	"errors"
	"fmt"

	"github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Default is docker's default for these capabilities, this architecture
// and the running kernel.
func Default(caps []string) (*specs.LinuxSeccomp, error) {
	profile, err := seccomp.GetDefaultProfile(specFor(caps))
	if err != nil {
		return nil, fmt.Errorf("resolving the default seccomp profile: %w", err)
	}
	return profile, nil
}

// Parse reads docker's file format, with includes and excludes by
// capability, architecture and kernel.
func Parse(text []byte, caps []string) (*specs.LinuxSeccomp, error) {
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
