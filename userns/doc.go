// Package userns gives what a container's first process needs before it is
// one: id maps, a child in new namespaces, and a way to run system calls in it
// without a second start of the Go runtime.
//
//	parent (Go)                         child (no Go: a table of system calls)
//	----------------------------------  -------------------------------------
//	Clone: clone(2), shared memory  ->  waits on a futex
//	WriteMaps: newuidmap, newgidmap
//	  meanwhile: NewScript, Do, ...
//	Run: release                    ->  default signal handlers, signal mask
//	  waits on a futex                  the script, step by step
//	                                <-  execve (or exit) clears the futex word
//	Wait                            <-  exit status
//
// The child shares our memory (CLONE_VM) and descriptor table (CLONE_FILES)
// until it executes a program, as after vfork(2); we go on running, so that
// the script may be computed while the maps are written. It runs on a stack of
// its own, with all signals blocked, and touches no Go state: its interpreter
// is one nosplit function over a table of words.
//
// What the script does is left to the caller (package container); the package
// knows no mount and no image.
//
// It relies on user_namespaces(7), clone(2), futex(2), newuidmap(1), subuid(5)
// and getsubids(1); pidfds are from Linux 5.2. Without newuidmap or without
// subordinate ids one id is mapped, and FindMap says why. What the kernel or
// the distribution refuses is explained by Explain, after it happened.
package userns
