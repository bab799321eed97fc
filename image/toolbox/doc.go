// Package toolbox is the content of the built-in image: a shell and the core
// tools, all inside the one binary that runs the containers.
//
// Main runs the applet that argv[0] names; WriteRootfs lays out the root file
// system of the image, in which every tool is a symbolic link to one copy of
// the binary; ConfigJSON gives the image's OCI configuration.
//
// The shell is mvdan.cc/sh (a POSIX shell with bash's extensions, without job
// control). Most file tools are u-root's; small ones are written here. The set
// is meant for looking around and for tests, it does not replace busybox:
// there is no sed, awk or editor.
//
// Storing the image is left to package storage, choosing it to the command
// line. Nothing runs at package initialisation.
//
// Copying the binary uses FICLONE (ioctl_ficlone(2), Linux 4.5) where the file
// system shares extents, else copy_file_range(2) (Linux 4.5), else read and
// write; which of the three served makes no difference to the result.
package toolbox
