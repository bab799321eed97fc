package storage

import (
	"os"
	"path"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// listingFile is a cache of what a list of containers needs to know of those
// that do not run. Nothing is lost with it, and nobody locks it.
const listingFile = "containers.list"

const (
	mostListing = 64 << 20         // bytes
	longMaking  = 10 * time.Second // a new one that is older was left by a killed process
)

// Stamp changes with each file that comes, goes or is replaced in a directory.
type Stamp struct{ Inode, Changed, Modified uint64 }

// Place is the directory of all containers, held open.
type Place struct {
	fd     int
	Device uint64
}

// localSystems are file systems where the attributes of a directory are what the
// kernel itself has just set. Those of a network come from a cache of some age.
var localSystems = []uint32{
	unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC,
	0x2fc12fc1, // zfs
	0xca451a4e, // bcachefs
}

// OpenPlace opens it where stamps can be trusted.
func (d Dirs) OpenPlace() (Place, bool) {
	fd, err := unix.Open(d.containers(), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return Place{}, false
	}
	var fs unix.Statfs_t
	var st unix.Stat_t
	if unix.Fstatfs(fd, &fs) != nil || !slices.Contains(localSystems, uint32(fs.Type)) || unix.Fstat(fd, &st) != nil {
		unix.Close(fd)
		return Place{}, false
	}
	return Place{fd, uint64(st.Dev)}, true
}

// Close closes it.
func (p Place) Close() { unix.Close(p.fd) }

// Stamp is that of a container's directory.
func (p Place) Stamp(name string) (s Stamp, ok bool) {
	var st unix.Stat_t
	if unix.Fstatat(p.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil || uint64(st.Dev) != p.Device || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return s, false
	}
	return Stamp{st.Ino, uint64(st.Ctim.Nano()), uint64(st.Mtim.Nano())}, true
}

// Before says whether all was done before a time, or rather before what a clock
// that ticks showed then.
func (s Stamp) Before(t time.Time) bool {
	limit := t.UnixNano()
	return int64(s.Changed) < limit && int64(s.Modified) < limit
}

// Listing reads the cache; nil: there is none.
func (d Dirs) Listing() []byte {
	fd, err := unix.Open(path.Join(d.Data, listingFile), unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size <= 0 || st.Size > mostListing {
		return nil
	}
	text := make([]byte, st.Size)
	for have := 0; have < len(text); {
		n, err := unix.Read(fd, text[have:])
		if err != nil || n == 0 {
			return nil
		}
		have += n
	}
	return text
}

// RemoveListing removes the cache, where there is nothing to be gained by it.
func (d Dirs) RemoveListing() { _ = unix.Unlink(path.Join(d.Data, listingFile)) }

// SetListing replaces the cache, if that can be done. Of two that do so at once
// one does; what they could spoil between them shows by the sum in the text.
func (d Dirs) SetListing(text []byte) {
	if len(text) > mostListing {
		return
	}
	file := path.Join(d.Data, listingFile)
	making := file + ".new"
	var st unix.Stat_t
	if unix.Lstat(making, &st) == nil {
		if time.Since(time.Unix(st.Mtim.Unix())).Abs() < longMaking {
			return
		}
		_ = unix.Unlink(making)
	}
	fd, err := unix.Open(making, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return
	}
	for len(text) > 0 && err == nil {
		var n int
		n, err = unix.Write(fd, text)
		text = text[max(n, 0):]
	}
	unix.Close(fd)
	if err == nil {
		err = os.Rename(making, file)
	}
	if err != nil {
		_ = unix.Unlink(making)
	}
}
