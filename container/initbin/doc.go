// Package initbin holds the process 1 that a container gets with --init: a
// static executable of some 600 bytes that passes signals on to its one child,
// reaps orphans, and ends with the child's exit code.
//
// It is called with the file to execute as argv[1], that program's argv[0] as
// argv[2] and its arguments behind; the environment goes through unchanged. Its
// exit code is the child's, 128+n when signal n ended the child, 127 or 126
// when the file was not found or not executable (a line on standard error says
// so), 125 when there can be no child, 2 when called with fewer arguments.
//
// It is not our own binary because process 1 stays for the container's whole
// life: one page instead of a Go runtime. Putting the file where the container
// can execute it is left to the caller. Everything it uses is older than Linux
// 3.0: rt_sigtimedwait(2), wait4(2), pid_namespaces(7).
package initbin
