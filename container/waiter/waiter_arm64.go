package waiter

import _ "embed"

//go:embed waiter_arm64.elf
var program []byte
