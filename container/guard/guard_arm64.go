package guard

import _ "embed"

//go:embed guard_arm64.elf
var program []byte
