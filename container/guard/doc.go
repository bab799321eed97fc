// Package guard holds a static executable of some 400 bytes that kills a
// container whose supervisor has died without cleaning up, be it by SIGKILL.
//
// It inherits two pidfds, descriptor 3 for the supervisor and 4 for the
// container's process 1, closes everything else, blocks every signal it can and
// waits. When the supervisor ends first it sends SIGKILL to process 1, which
// takes the container's pid namespace with it; when the container ends first
// it just ends. Exit code 0 means one of the two, 1 that a descriptor is missing
// or the kernel refused.
//
// PR_SET_PDEATHSIG would not do: it is cleared when the container's process
// changes its ids or executes a set-user-id file, and it follows the thread
// that started the child, not the process. Starting the guard, and doing
// without it where there are no pidfds, is left to the caller.
//
// It needs pidfd_open(2) (Linux 5.3) for its descriptors and
// pidfd_send_signal(2) (Linux 5.1); close_range(2) (Linux 5.9) is used when
// there.
package guard
