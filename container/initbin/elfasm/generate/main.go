// Command generate assembles asm/ARCH.s of the current directory into
// ARCH.elf for every architecture that rl is built for.
package main

import (
	"log"
	"os"

	"containers/rl/container/initbin/elfasm"
)

func main() {
	for _, arch := range []string{"amd64", "arm64"} {
		code, err := elfasm.Assemble(arch, "asm/"+arch+".s")
		if err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(arch+".elf", code, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
