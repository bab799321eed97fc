// Package content copies what is in regular files: shared where the file system
// can (FICLONE, ioctl_ficlonerange(2)), else copied by the kernel
// (copy_file_range(2)), else read and written. Holes stay holes (lseek(2)).
//
// Modes, owners, times and names are its callers' matter.
package content

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// Copier copies by the best means that has not failed yet. It is for one caller
// at a time.
type Copier struct {
	noClone, noRange bool
	buf              []byte
}

// most is what one call copies: copy_file_range(2) takes a little less than 2 GiB.
const most = 1 << 30

// Copy puts the first size bytes of from, where all is shared also the rest, into
// the empty file to.
func (c *Copier) Copy(from, to int, size int64) error {
	if size == 0 {
		return nil
	}
	if !c.noClone {
		err := unix.IoctlFileClone(to, from)
		if err == nil || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EIO) {
			return err
		}
		c.noClone = true
	}
	for at := int64(0); at < size; {
		data, hole, err := extent(from, at, size)
		if err != nil {
			return err
		}
		if err := c.span(from, to, data, hole); err != nil {
			return err
		}
		at = hole
	}
	return unix.Ftruncate(to, size) // a hole at the end
}

// extent finds the next data: [size, size) when there is none. A file system that knows
// no holes has one extent (lseek(2)).
func extent(fd int, at, size int64) (data, hole int64, err error) {
	data, err = unix.Seek(fd, at, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return size, size, nil
	}
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		return at, size, nil
	}
	if err != nil {
		return 0, 0, err
	}
	if hole, err = unix.Seek(fd, data, unix.SEEK_HOLE); err != nil {
		return 0, 0, err
	}
	return data, min(hole, size), nil
}

// span copies the bytes [at, end).
func (c *Copier) span(from, to int, at, end int64) error {
	for at < end && !c.noRange {
		in, out := at, at
		n, err := unix.CopyFileRange(from, &in, to, &out, int(min(end-at, most)), 0)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EXDEV), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EPERM):
			c.noRange = true
		case err != nil:
			return err
		case n == 0: // some file systems give nothing by this call, where read(2) has it
			c.noRange = true
		default:
			at += int64(n)
		}
	}
	return c.readWrite(from, to, at, end)
}

func (c *Copier) readWrite(from, to int, at, end int64) error {
	if c.buf == nil && at < end {
		c.buf = make([]byte, 256<<10)
	}
	for at < end {
		n, err := unix.Pread(from, c.buf[:min(end-at, int64(len(c.buf)))], at)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		for part := c.buf[:n]; len(part) > 0; {
			n, err := unix.Pwrite(to, part, at)
			if err != nil && !errors.Is(err, unix.EINTR) {
				return err
			}
			part, at = part[max(n, 0):], at+int64(max(n, 0))
		}
	}
	return nil
}
