// Package image brings images: it reads references and registries.conf, finds
// credentials, talks to registries by the OCI distribution specification
// (go-containerregistry), and unpacks layers by directory descriptors.
//
// Where the layers go is left to storage/layers; progress is shown by the
// caller. Pull runs as root of a user namespace, so that files get their
// owners; with one id mapped all files belong to root, and the result says so.
//
// It relies on openat2(2) (Linux 5.6): no path of a layer is resolved outside
// its directory, and what an archive or a registry can make us read, write or
// keep is bounded. Modes are set by fchmodat2(2) (6.6), or by descriptor where
// that is missing. Whiteouts are character devices 0:0, which root of a user
// namespace may make since Linux 5.8, and stay marks of the archive where they
// cannot be made; other devices are left out.
package image
