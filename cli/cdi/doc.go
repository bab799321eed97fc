// Package cdi reads specifications of the Container Device Interface (CNCF,
// SPEC.md, versions 0.x and 1.x): what a container needs for a device that is
// more than a node, as graphics cards are.
//
// A specification is a file NAME.json or NAME.yaml in one of several
// directories; of two devices with one name that in the later directory counts,
// and two in the same directory are a conflict, told when such a device is asked
// for. A file that is wrong is an error only for who asks for a device that no
// other has.
//
// It gives what is written there, checked. What of it a container without root
// can have is for package container: nodes are bound, so their fileMode, uid and
// gid stay the host's.
package cdi
