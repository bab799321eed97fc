package initbin

import _ "embed"

//go:embed amd64.elf
var program []byte
