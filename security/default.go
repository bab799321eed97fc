package security

import "slices"

//go:generate env RL_GENERATE=1 go test -run TestEmbeddedDefault .

// CompiledDefault is Compile of DefaultProfile. For docker's own set of
// capabilities it was done beforehand where the architecture has a file.
func CompiledDefault(caps []string) ([]byte, uint, error) {
	if len(embeddedDefault) > 0 && slices.Equal(caps, DefaultCapabilities()) {
		return embeddedDefault, embeddedFlags, nil
	}
	profile, err := DefaultProfile(caps)
	if err != nil {
		return nil, 0, err
	}
	return Compile(profile)
}

const embeddedFlags = 4
