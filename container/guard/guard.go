package guard

//go:generate go run ../initbin/elfasm/generate

// Bytes is the executable for the architecture of this program. The caller
// must not change it.
func Bytes() []byte { return program }
