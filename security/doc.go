// Package security gives what confines a container's program: docker's default
// capabilities, docker's default seccomp profile and a compiler that makes a
// filter of it, and the paths of /proc and /sys that are hidden or read-only.
//
// It sets none of it: package container does, in the order of its script.
//
// The compiler takes a profile of the OCI runtime specification and gives the
// program for seccomp(2) (Linux 3.17): one balanced tree of comparisons for
// each architecture. It differs from libseccomp in two points. The x32 system
// calls are refused with ENOSYS whatever the profile says, as no kernel of a
// distribution has them. And a system call newer than all that the profile
// names answers ENOSYS in place of EPERM, as runc does it, so that a C library
// falls back to an older one.
//
// A kernel without seccomp refuses the step of the script that sets the filter
// (EINVAL); --security-opt seccomp=unconfined runs without.
package security
