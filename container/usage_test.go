package container

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"containers/rl/storage"
)

func TestAccount(t *testing.T) {
	i := &Info{Entry: storage.Entry{Dir: t.TempDir()}, State: State{Init: Process{PID: 1, Start: 7}}}
	usage := func() (u Usage) { u.accounted(i); return u }
	i.account(&unix.Rusage{Utime: unix.NsecToTimeval(int64(leastUsed) - 1000)})
	if entries, _ := os.ReadDir(i.Dir); len(entries) != 0 {
		t.Errorf("a short program wrote %v", entries)
	}
	ended := &unix.Rusage{Utime: unix.NsecToTimeval(int64(time.Second)), Stime: unix.NsecToTimeval(int64(time.Second / 2)), Inblock: 2, Oublock: 4}
	i.account(ended)
	i.account(ended)
	if got, want := usage(), (Usage{CPU: 3 * time.Second, System: time.Second, BlockIn: 2048, BlockOut: 4096}); got != want {
		t.Errorf("of two programs: %+v, want %+v", got, want)
	}
	i.State.Init.Start = 8 // started anew
	if got := usage(); got != (Usage{}) {
		t.Errorf("of another run: %+v", got)
	}
	i.account(ended)
	if got := usage().CPU; got != 1500*time.Millisecond {
		t.Errorf("after the other run's first: %v", got)
	}
}

func TestIOStat(t *testing.T) {
	in, out := ioStat("8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0\n8:0 rbytes=800 wbytes=1 rios=1 wios=1 dbytes=5 dios=0\n")
	if in != 1460000 || out != 314773505 {
		t.Errorf("ioStat = %d, %d", in, out)
	}
}

func TestProcStatus(t *testing.T) {
	var p Proc
	p.status("Name:\tsh\nUid:\t1000\t1001\t1001\t1001\nGid:\t100\t101\t101\t101\nGroups:\t27 100 \nNSpid:\t4711\t12\nNSpgid:\t4700\t1\nCapEff:\t00000000a80425fb\nSeccomp:\t2\n")
	if p.HostUser != (IDs{1000, 1001, 100, 101}) || p.Inside != 12 || p.Group != 1 || p.Seccomp != 2 || p.Caps["CapEff"] != 0xa80425fb || len(p.HostGroups) != 2 || p.HostGroups[0] != 27 {
		t.Errorf("status: %+v", p)
	}
}
