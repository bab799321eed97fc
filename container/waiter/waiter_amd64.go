package waiter

import _ "embed"

//go:embed waiter_amd64.elf
var program []byte
