// Package fuse speaks the protocol of /dev/fuse, as far as a file system needs
// it that keeps no open files: it takes requests apart, calls a FileSystem and
// answers.
//
// One goroutine reads requests and answers the quick ones at once. A second
// reader would cost more than it brings: two threads that both wait in read(2)
// make the runtime hand its processors to and fro, a futex(2) or two for every
// request. What may be slow goes to a goroutine of its own.
//
// It leaves to the caller: mounting, and everything about files. It relies on
// protocol 7.31 (Linux 5.4); what is newer is used where the kernel offers it.
// The layout of the messages is that of linux/fuse.h, on little- and big-endian
// machines alike, as both ends are the same one. See fuse(4).
package fuse
