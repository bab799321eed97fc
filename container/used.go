package container

import (
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// usedFile has what programs of exec used that have ended. Nothing in the
// container waits for them, so its processes do not tell it: we who waited know
// (wait4(2), getrusage(2)). It is five numbers: the start of the container's
// first process, by which a later run finds it old, microseconds of CPU time in
// all and in the kernel, and bytes from and to storage.
const (
	usedFile    = "used"
	usedNumbers = 5
	leastUsed   = 10 * time.Millisecond // a short program writes nothing
	usageBlock  = 512                   // of ru_inblock
)

type used [usedNumbers]uint64

func readUsed(fd int) (u used) {
	text := make([]byte, 8*usedNumbers)
	if n, err := unix.Pread(fd, text, 0); err == nil && n == len(text) {
		for i := range u {
			u[i] = order.Uint64(text[8*i:])
		}
	}
	return u
}

// account adds what a program of exec used to what others did. Its directory may
// be gone, and the disk may be full: then it is not counted.
func (i *Info) account(r *unix.Rusage) {
	system := time.Duration(r.Stime.Nano())
	cpu := time.Duration(r.Utime.Nano()) + system
	if cpu < leastUsed {
		return
	}
	fd, err := unix.Open(path.Join(i.Dir, usedFile), unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if unix.Flock(fd, unix.LOCK_EX) != nil {
		return
	}
	u := readUsed(fd)
	if u[0] != i.State.Init.Start {
		u = used{i.State.Init.Start}
	}
	for n, more := range []uint64{uint64(cpu.Microseconds()), uint64(system.Microseconds()), uint64(r.Inblock) * usageBlock, uint64(r.Oublock) * usageBlock} {
		u[n+1] += more
	}
	var text []byte
	for _, n := range u {
		text = order.AppendUint64(text, n)
	}
	_, _ = unix.Pwrite(fd, text, 0)
}

// accounted adds them to what the processes tell.
func (u *Usage) accounted(i *Info) {
	fd, err := unix.Open(path.Join(i.Dir, usedFile), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if n := readUsed(fd); n[0] == i.State.Init.Start {
		u.CPU, u.System = u.CPU+microseconds(n[1]), u.System+microseconds(n[2])
		u.BlockIn, u.BlockOut = u.BlockIn+n[3], u.BlockOut+n[4]
	}
}
