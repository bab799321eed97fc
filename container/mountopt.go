package container

import (
	"encoding/binary"
	"strings"

	"golang.org/x/sys/unix"
)

// order is the byte order of what the kernel reads; both targets are little endian.
var order = binary.LittleEndian

type mountFlag struct {
	clear bool
	flag  uintptr
}

// mountFlags are the options of mount(8) that are flags; all else is data.
var mountFlags = map[string]mountFlag{
	"ro": {false, unix.MS_RDONLY}, "rw": {true, unix.MS_RDONLY},
	"nosuid": {false, unix.MS_NOSUID}, "suid": {true, unix.MS_NOSUID},
	"nodev": {false, unix.MS_NODEV}, "dev": {true, unix.MS_NODEV},
	"noexec": {false, unix.MS_NOEXEC}, "exec": {true, unix.MS_NOEXEC},
	"noatime": {false, unix.MS_NOATIME}, "strictatime": {false, unix.MS_STRICTATIME}, "relatime": {false, unix.MS_RELATIME},
	"bind": {false, unix.MS_BIND}, "rbind": {false, unix.MS_BIND | unix.MS_REC},
}

// mountOptions splits options into flags and data.
func mountOptions(options []string) (flags uintptr, data string) {
	var rest []string
	for _, option := range options {
		known, ok := mountFlags[option]
		switch {
		case !ok:
			rest = append(rest, option)
		case known.clear:
			flags &^= known.flag
		default:
			flags |= known.flag
		}
	}
	return flags, strings.Join(rest, ",")
}

// mountAttr is the same set in the words of mount_setattr(2).
func mountAttr(flags uintptr) (attr uint64) {
	for _, f := range [][2]uint64{{unix.MS_RDONLY, unix.MOUNT_ATTR_RDONLY}, {unix.MS_NOSUID, unix.MOUNT_ATTR_NOSUID}, {unix.MS_NODEV, unix.MOUNT_ATTR_NODEV}, {unix.MS_NOEXEC, unix.MOUNT_ATTR_NOEXEC}} {
		if uint64(flags)&f[0] != 0 {
			attr |= f[1]
		}
	}
	return attr
}
