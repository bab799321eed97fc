//go:build !amd64

package security

// embeddedDefault is empty: the profile is compiled at the start.
var embeddedDefault []byte
