// Package fuseoverlay serves an overlay of directories through FUSE, for hosts
// where the kernel's own overlay cannot be mounted in a user namespace: before
// Linux 5.11, or where a policy or the file system below refuses it.
//
// What lies in the upper directory is what the kernel's overlay writes with
// userxattr (overlayfs.rst): a whiteout is a character device 0:0, or an empty
// file with user.overlay.whiteout where no such device can be made; a directory
// that hides what is below has user.overlay.opaque. So one container may be
// mounted by either. Directories of a layer are not renamed (EXDEV), as by the
// kernel without redirect_dir; an inode number outlives copy-up while the mount
// lasts; the names of a hard link of a layer part when one is changed.
//
// The server is the only one who writes below it, and needs no permission
// checks: the kernel makes them (default_permissions), and caches all it was
// told. A layer is hostile: every step of a path is one openat(2) with
// O_NOFOLLOW from the descriptor of the directory above, so a link is never
// followed, nor is a fifo or device of a layer ever opened.
//
// It leaves to the caller: the user namespace, in which the server is root and
// which /dev/fuse must be opened in; and the directories. Chown to an id that is
// not mapped fails with EINVAL, as it does with the kernel's overlay. There are
// no POSIX ACLs.
//
// It relies on fuse(4), which a user namespace may mount since Linux 4.18, on
// character devices 0:0 being free to all (5.8; else the attribute), and takes
// O_TMPFILE (6.2) where it is there.
package fuseoverlay
