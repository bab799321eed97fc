// Package guard holds the program that kills a container whose rl is gone,
// when the parent-death signal (prctl(2)) no longer does: a program that
// changes its ids clears it. Starting it is left to package container.
//
// It relies on pidfds: ppoll(2) of them and pidfd_send_signal(2), Linux 5.3.
// Before, only the parent-death signal guards.
package guard

//go:generate sh ../initbin/generate.sh

// Program is the ELF file. Descriptor 3 is a pidfd of rl, 4 of the container's
// first process.
func Program() []byte { return program }
