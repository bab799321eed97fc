package initbin

import _ "embed"

//go:embed init_arm64.elf
var program []byte
