package guard

import _ "embed"

//go:embed guard_amd64.elf
var program []byte
