package security

import _ "embed"

// embeddedDefault is what Compile gave when it was generated; a test compares.
//
//go:embed default_amd64.bpf
var embeddedDefault []byte
