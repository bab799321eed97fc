// Package flat reads a stack of layers as one tree, copies that tree, and says
// what was changed in a copy since. It is for where the kernel's overlay cannot
// be mounted: before Linux 5.11 without root, and on file systems that cannot
// hold an overlay's upper directory.
//
// A layer hides what lies below it by the marks of overlay (character devices
// 0:0, files with the attribute user.overlay.whiteout, and user.overlay.opaque:
// overlayfs.rst), or by those of an image's archive (.wh.NAME and .wh..wh..opq: OCI image-spec, layer.md), which
// are what a file system without such devices or attributes can keep. A
// container's own changes have the former alone.
//
// It relies on openat2(2) (Linux 5.6) with RESOLVE_BENEATH and
// RESOLVE_NO_SYMLINKS: no name of a layer is followed anywhere. What the target
// cannot keep, owners and attributes on NFS for one, is left out, as where the
// layer was unpacked.
//
// It does not mount, lock or find anything: where the layers are and who may use
// the copy is its caller's matter, who is root of the user namespace that the
// files belong to.
package flat
