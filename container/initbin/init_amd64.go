package initbin

import _ "embed"

//go:embed init_amd64.elf
var program []byte

//go:embed pause_amd64.elf
var pause []byte
