// Package elfasm assembles the hand-written executables of the packages
// initbin and guard. Only go generate and tests use it; it needs an assembler:
// as (binutils) for its own architecture, llvm-mc for any.
package elfasm

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// ErrNoAssembler says that nothing on this machine assembles for the
// architecture.
var ErrNoAssembler = errors.New("no assembler (llvm-mc, as)")

// Assemble returns the executable that the source file describes: the bytes of
// its text section, which carries the ELF header itself, so there is nothing to
// link. arch is a GOARCH.
func Assemble(arch, source string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "elfasm")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	object := filepath.Join(dir, "out.o")
	argv, err := assembler(arch)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(argv[0], append(argv[1:], "-o", object, source)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("assembling %s: %w\n%s", source, err, out)
	}
	return text(object)
}

func assembler(arch string) ([]string, error) {
	triple := map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[arch]
	if triple == "" {
		return nil, fmt.Errorf("assembling for %s: unknown architecture", arch)
	}
	if path, err := exec.LookPath("llvm-mc"); err == nil {
		return []string{path, "-filetype=obj", "-triple=" + triple}, nil
	}
	if path, err := exec.LookPath("as"); err == nil && arch == runtime.GOARCH {
		return []string{path}, nil
	}
	return nil, fmt.Errorf("assembling for %s: %w", arch, ErrNoAssembler)
}

// text refuses relocations: nobody would apply them.
func text(object string) ([]byte, error) {
	f, err := elf.Open(object)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for _, s := range f.Sections {
		if s.Type == elf.SHT_RELA && s.Size > 0 {
			return nil, fmt.Errorf("reading %s: it has relocations (%s)", object, s.Name)
		}
	}
	return f.Section(".text").Data()
}
