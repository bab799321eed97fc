// Package conformance holds what every driver of a container's root must do:
// one suite of tests, which takes a driver as a function that mounts layers.
//
// It asserts what a user sees in the mounted root, what is still seen when the
// same layers are mounted again, and that no layer below changed. Where drivers
// may differ and programs cope (rename(2) of a directory that a layer has:
// EXDEV, or done) both answers are taken.
//
// It leaves to the caller how a driver is mounted and unmounted, and what lies
// in the upper directory. It is made for root of a user namespace, which
// InNamespace provides, with one id or many; what needs a second id, or a call
// that the file system below does not have, is left out after trying.
// Pages: overlayfs.rst of the kernel, xattr(7), rename(2), open(2), getdents(2).
package conformance
