package initbin

import _ "embed"

//go:embed init_arm64.elf
var program []byte

//go:embed pause_arm64.elf
var pause []byte
