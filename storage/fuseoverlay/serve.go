package fuseoverlay

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"containers/rl/storage/fuse"
)

// Layers are the directories of one overlay.
type Layers struct {
	Lower       []string // the topmost first; never written
	Upper, Work string   // Work is an empty directory on Upper's file system
	Volatile    bool     // fsync(2) does nothing, as with the kernel's option volatile
	// XattrWhiteouts is for tests: whiteouts are attributes, as where a device 0:0
	// cannot be made.
	XattrWhiteouts bool
}

// Options are the mount options, for mount(2) of type Type, for a descriptor of
// /dev/fuse that is number fd in the process that mounts.
func Options(fd int) string {
	return fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions,max_read=%d", fd, fuse.MaxIO)
}

// Type is the type for mount(2).
const Type = "fuse.rl"

// Mount mounts a descriptor of /dev/fuse, which is then to be served. Whoever
// touches the mount before that waits.
func Mount(dev int, target string) error {
	if err := unix.Mount("rl", target, Type, 0, Options(dev)); err != nil {
		return &os.PathError{Op: "mounting FUSE on", Path: target, Err: err}
	}
	return nil
}

// Serve answers for the mount of dev, until it is unmounted. It sets the
// process's umask to 0. opened hears when the layers have been opened, or why
// not; mounting says whether a mount is still to come, where there is none yet, and
// takes its time. Both may be nil.
func Serve(dev *os.File, l Layers, opened func(error), mounting func() bool) error {
	fs, err := open(l)
	if opened != nil {
		opened(err)
	}
	if err != nil {
		return err
	}
	defer fs.close()
	unix.Umask(0)
	for mounting != nil && !fuse.Mounted(int(dev.Fd())) && mounting() {
	}
	err = fuse.Serve(int(dev.Fd()), fs)
	runtime.KeepAlive(dev) // or the collector closes it
	if err != nil {
		return fmt.Errorf("serving the overlay %s: %w", l.Upper, err)
	}
	return nil
}

// overlay is the file system. The methods that package fuse calls run concurrently.
type overlay struct {
	layers   []layer // the upper first
	work     int     // descriptor of the work directory
	temps    atomic.Uint64
	volatile bool
	xattrs   bool // Layers.XattrWhiteouts
	tree     tree
	files    descriptors
	streams  streams
}

// layer is the top directory of a layer.
type layer struct {
	fd  int
	dev uint64 // st_dev
}

// upper is the index of the only layer that is written.
const upper = 0

func open(l Layers) (_ *overlay, err error) {
	o := &overlay{work: -1, volatile: l.Volatile, xattrs: l.XattrWhiteouts}
	defer func() {
		if err != nil {
			o.close()
		}
	}()
	for _, dir := range append([]string{l.Upper}, l.Lower...) {
		fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, &os.PathError{Op: "opening the layer", Path: dir, Err: err}
		}
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return nil, &os.PathError{Op: "fstat", Path: dir, Err: err}
		}
		o.layers = append(o.layers, layer{fd, st.Dev})
	}
	if o.work, err = unix.Open(l.Work, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return nil, &os.PathError{Op: "opening the work directory", Path: l.Work, Err: err}
	}
	if err := o.clearWork(); err != nil {
		return nil, &os.PathError{Op: "clearing the work directory", Path: l.Work, Err: err}
	}
	o.files.init()
	return o, o.plantRoot()
}

func (o *overlay) close() {
	o.files.closeAll()
	for _, l := range o.layers {
		_ = unix.Close(l.fd)
	}
	if o.work >= 0 {
		_ = unix.Close(o.work)
	}
}

// StatFs tells the room on the upper directory's file system.
func (o *overlay) StatFs(_ *fuse.InHeader, out *fuse.StatFsOut) fuse.Status {
	var st unix.Statfs_t
	if err := unix.Fstatfs(o.layers[upper].fd, &st); err != nil {
		return status(err)
	}
	*out = fuse.StatFsOut{Blocks: st.Blocks, Bfree: st.Bfree, Bavail: st.Bavail, Files: st.Files, Ffree: st.Ffree,
		Bsize: uint32(st.Bsize), NameLen: uint32(st.Namelen), Frsize: uint32(st.Frsize)}
	return fuse.OK
}

// status is the answer to an error of a system call.
func status(err error) fuse.Status {
	if err == nil {
		return fuse.OK
	}
	if errno, ok := err.(unix.Errno); ok { // nothing wraps on these paths
		return errno
	}
	return unix.EIO
}
