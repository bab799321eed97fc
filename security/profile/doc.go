// Package profile resolves seccomp profiles in docker's file format, and
// docker's own default (github.com/moby/profiles/seccomp), to the form of the
// OCI runtime specification, which package security compiles.
//
// It is a package of its own because the usual start needs none of it: for
// docker's default capabilities the filter is compiled beforehand.
package profile
