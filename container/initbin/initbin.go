// Package initbin holds the init of --init, a static program of a few hundred
// instructions: as process 1 it passes signals on, reaps orphans and ends as
// its child did. And the pause of a pod, which waits for signals. How they are
// set up is left to package container.
//
// It relies on rt_sigtimedwait(2) and wait4(2) alone.
package initbin

//go:generate sh generate.sh

// Program is the ELF file. Its arguments are a name, the paths to try, an empty
// argument, and the program's own argv.
func Program() []byte { return program }

// Pause is the ELF file of a program that takes no arguments.
func Pause() []byte { return pause }
