package security

import "slices"

//go:generate env RL_GENERATE=1 go test -run TestEmbeddedDefault .

// CompiledDefault is Compile of docker's default profile, done beforehand. It
// is false for other capabilities than docker's default ones, and where the
// architecture has no file: then package profile has to resolve it.
func CompiledDefault(caps []string) (program []byte, flags uint, ok bool) {
	if len(embeddedDefault) == 0 || !slices.Equal(caps, DefaultCapabilities()) {
		return nil, 0, false
	}
	return embeddedDefault, embeddedFlags, true
}

const embeddedFlags = 4
