// Package initbin holds the init of --init, a static program of a few hundred
// instructions: as process 1 it passes signals on, reaps orphans and ends as
// its child did. How it is set up is left to package container.
//
// It relies on rt_sigtimedwait(2) and wait4(2) alone.
package initbin

//go:generate sh generate.sh

// Program is the ELF file. Its arguments are a name, the paths to try, an empty
// argument, and the program's own argv.
func Program() []byte { return program }
