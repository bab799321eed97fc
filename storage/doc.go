// Package storage keeps what rl has on disk: where the directories are, which
// image a name stands for, and the directory of every container.
//
// It is the part that a start goes through, so it is small: looking up an
// image opens, locks and reads one file. The layers themselves live in
// containers/storage, which only the sub package layers writes; unpacking is
// package image's, and mounting package container's.
//
// What is in the index is complete, and outlives a power cut: see Record. An entry
// that cannot be read is an error of every listing; CheckIndex finds all of them.
//
// Locks are flock(2) on files of the data directory: a held image is not
// removed, and a container whose lock is free is dead. On file systems without
// such locks nothing is protected, but all else works. Overlay in a user
// namespace needs Linux 5.11 (userxattr) on a file system other than overlay
// itself and NFS; whether it can be mounted is tried, once for a kernel, and where
// not a container has a copy of its image (Driver), which package flat makes.
package storage
