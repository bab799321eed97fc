package container

import (
	"encoding/binary"

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

// propagations are the options of mount(8) that say what a bind passes on.
// Whether to the mounts below it too goes by bind or rbind.
var propagations = map[string]uintptr{
	"private": unix.MS_PRIVATE, "rprivate": unix.MS_PRIVATE,
	"slave": unix.MS_SLAVE, "rslave": unix.MS_SLAVE,
	"shared": unix.MS_SHARED, "rshared": unix.MS_SHARED,
	"unbindable": unix.MS_UNBINDABLE, "runbindable": unix.MS_UNBINDABLE,
}

// options are those of a mount, split into what the kernel takes apart.
type options struct {
	flags       uintptr
	data        []string
	propagation uintptr // private when none is given
}

func mountOptions(list []string) options {
	o := options{propagation: unix.MS_PRIVATE}
	for _, option := range list {
		if known, ok := mountFlags[option]; ok && known.clear {
			o.flags &^= known.flag
		} else if ok {
			o.flags |= known.flag
		} else if kind, ok := propagations[option]; ok {
			o.propagation = kind
		} else {
			o.data = append(o.data, option)
		}
	}
	return o
}

// mountAttr is the same set in the words of mount_setattr(2).
func mountAttr(flags uintptr) (attr uint64) {
	for _, f := range [][2]uint64{{unix.MS_RDONLY, unix.MOUNT_ATTR_RDONLY}, {unix.MS_NOSUID, unix.MOUNT_ATTR_NOSUID}, {unix.MS_NODEV, unix.MOUNT_ATTR_NODEV}, {unix.MS_NOEXEC, unix.MOUNT_ATTR_NOEXEC},
		{unix.MS_NOATIME, unix.MOUNT_ATTR_NOATIME}, {unix.MS_STRICTATIME, unix.MOUNT_ATTR_STRICTATIME}} {
		if uint64(flags)&f[0] != 0 {
			attr |= f[1]
		}
	}
	return attr
}
