package guard

import _ "embed"

//go:embed arm64.elf
var program []byte
