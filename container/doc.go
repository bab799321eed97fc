// Package container turns options into an OCI runtime specification, and that
// specification into the list of system calls which makes a container.
//
// A flag travels flag -> Options -> specs.Spec -> userns.Script; nothing else
// stands between. The package owns the order of those calls, the foreground
// supervisor (terminal, signals, exit status) and the clean-up.
//
// It leaves images to package image, id maps and the child to userns, the root
// file system to storage, the network stack to netslirp, and profiles to
// security.
//
// It relies on openat2(2) (Linux 5.6), pidfd_open(2) (5.3), overlay in a user
// namespace (5.11; else one through FUSE, or a copy of the image),
// pivot_root(2), capabilities(7), seccomp(2) and tun.txt of the kernel. Where one
// is missing the failing step is named with its errno and userns.Explain gives the
// command that mends it.
package container
