# shellcheck shell=bash
# options: --scope
# Every limit is set and seen inside of the container, holds, is changed live, and goes with the container.

# reads FLAG... FILE WANT: a container with the flags has WANT in a file of its own cgroup.
reads() {
  local want=${*: -1} file=${*: -2:1} got
  got=$(run_root "${@:1:$#-2}" /bin/busybox cat "/sys/fs/cgroup/$file") || fail "no container: $*"
  [[ $got == "$want" ]] || fail "${*:1:$#-2}: $file is $got, want $want"
}
# The flags come before --rootfs.
run_root() {
  local flags=()
  while [[ $1 == -* ]]; do flags+=("$1" "$2"); shift 2; done
  ./rl run --rm --network none "${flags[@]}" --rootfs root "$@"
}
reads --memory 64m memory.max 67108864
reads --memory 64m memory.swap.max 67108864
reads --memory 64m --memory-swap 80m memory.swap.max 16777216
reads --memory 64m --memory-swap -1 memory.swap.max max
reads --memory 64m --memory-reservation 32m memory.low 33554432
reads --cgroup-conf memory.high=50331648 memory.high 50331648
reads --cpus 0.5 cpu.max '50000 100000'
reads --cpu-quota 20000 --cpu-period 50000 cpu.max '20000 50000'
reads --cpu-shares 1024 cpu.weight 39
reads --cpuset-cpus 1 cpuset.cpus 1
reads --cpuset-cpus 0-1 cpuset.cpus.effective 0-1
reads --cpuset-mems 0 cpuset.mems 0
reads --pids-limit 20 pids.max 20
reads --pids-limit -1 pids.max max
disk=$(stat -c '%Hr:%Lr' /dev/vda)
reads --device-read-bps /dev/vda:1mb io.max "$disk rbps=1048576 wbps=max riops=max wiops=max"
reads --device-write-iops /dev/vda:50 io.max "$disk rbps=max wbps=max riops=max wiops=50"
[[ ! -e /sys/fs/cgroup/user.slice/io.weight ]] || reads --blkio-weight 100 io.weight 'default 910'
[[ $(run_root --cpuset-cpus 1 /bin/busybox nproc) == 1 ]] || fail "--cpuset-cpus does not hold"
# The container sees its own cgroup as the root, and cannot change it.
[[ $(run_root --memory 64m /bin/busybox cat /proc/self/cgroup) == 0::/ ]] || fail "not the root of its cgroup namespace"
! run_root --memory 64m /bin/sh -c 'echo max >/sys/fs/cgroup/memory.max' || fail "a container lifted its limit"

# cgroups of containers: in ours, or in one above it that is the user's too.
cgroups() { find /sys/fs/cgroup/user.slice -type d -name 'rl-*'; }
nothing() { [[ -z $(cgroups) ]] || fail "a cgroup is left $1: $(cgroups)"; }
nothing "after containers that ended"

# Too much memory: killed, and known.
status=0
./rl run --name oom --network none --memory 16m --memory-swap 16m --rootfs root /bin/sh -c 'x=a; while :; do x=$x$x; done' || status=$?
[[ $status == 137 ]] || fail "status of a container out of memory: $status"
[[ $(./rl inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' oom) == 'true 137' ]] || fail "not known as out of memory"
./rl run --name fine --network none --memory 64m --rootfs root /bin/busybox true
[[ $(./rl inspect -f '{{.State.OOMKilled}}' fine) == false ]] || fail "known as out of memory"
./rl rm oom fine
nothing "after a container out of memory"

# Too many processes: a shell that cannot fork ends, so this bomb ends too.
# shellcheck disable=SC2016
! run_root --pids-limit 12 /bin/sh -c 'while :; do sleep 1000 & done' 2>bomb || fail "a fork bomb went off"
grep -q 'fork' bomb || fail "a fork bomb was not stopped: $(cat bomb)"
nothing "after a fork bomb"

# Changed while it runs, and read by stats; exec is in the same cgroup.
./rl run -d --name live --network none --memory 64m --pids-limit 50 --cpus 1 --rootfs root /bin/busybox sleep 1000
group=$(./rl inspect -f '{{.State.CgroupPath}}' live)
grep -qx "$(./rl inspect -f '{{.State.Pid}}' live)" "$group/cgroup.procs" || fail "the container is not in its cgroup"
./rl update --memory 32m --memory-swap 40m --pids-limit 30 --cpus 0.25 --cpu-shares 2048 --cpuset-cpus 0 live
# shellcheck disable=SC2016
got=$(./rl exec live /bin/sh -c 'cd /sys/fs/cgroup; for f in memory.max memory.swap.max pids.max cpu.max cpu.weight cpuset.cpus; do echo $(cat $f); done; cat /proc/self/cgroup')
[[ $got == $'33554432\n8388608\n30\n25000 100000\n79\n0\n0::/' ]] || fail "after update: $got"
[[ $(./rl inspect -f '{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}} {{.HostConfig.CpusetCpus}}' live) == '33554432 30 0' ]] || fail "inspect does not know of the update"
./rl stats --no-stream --format '{{.MemUsage}} {{.PIDs}}' live | grep -q ' / 33.55MB 1$' || fail "stats: $(./rl stats --no-stream live)"
# Paused by the freezer of its cgroup: no process is stopped by a signal.
./rl pause live
grep -qx 'frozen 1' "$group/cgroup.events" || fail "paused, but not frozen"
grep -q '^State:.S' "/proc/$(./rl inspect -f '{{.State.Pid}}' live)/status" || fail "paused by a signal"
[[ $(./rl inspect -f '{{.State.Status}}' live) == paused ]] || fail "frozen, but not paused"
refused 'is paused' ./rl exec live /bin/busybox true
./rl unpause live
grep -qx 'frozen 0' "$group/cgroup.events" || fail "unpaused, but frozen"
[[ $(./rl exec live /bin/busybox echo on) == on ]] || fail "it does not go on"
for end in 'stop -t 0' kill 'restart -t 0'; do
  ./rl pause live
  # shellcheck disable=SC2086
  ./rl $end live
  [[ $end == restart* ]] || { ./rl wait live; ./rl start live; }
  [[ $(./rl inspect -f '{{.State.Status}}' live) == running ]] || fail "not running after pause and $end"
done
./rl restart -t 0 live
[[ $(./rl exec live /bin/busybox cat /sys/fs/cgroup/memory.max) == 33554432 ]] || fail "the update is lost with a restart"
./rl rm -f -t 0 live
nothing "after rm -f"

# The monitor is killed: the container goes, and with the next command its cgroup.
for remove in '' --rm; do
  # shellcheck disable=SC2086
  ./rl run -d $remove --name dead --network none --memory 64m --rootfs root /bin/busybox sleep 1001
  monitor=$(./rl inspect -f '{{.State.ConmonPid}}' dead)
  [[ -n $(cgroups) ]] || fail "no cgroup"
  kill -9 "$monitor"
  for _ in $(seq 100); do [[ -z $(cat "$(cgroups | head -n 1)/cgroup.procs" 2>/dev/null) ]] && break; sleep 0.1; done
  ./rl ps -a >/dev/null
  nothing "after kill -9 of the monitor ${remove:-without --rm} and ps"
  ./rl rm -f dead 2>/dev/null || true
done
# The same in the foreground, before anybody knows of it.
./rl run --rm --network none --memory 64m --rootfs root /bin/busybox sleep 1002 &
until [[ -n $(cgroups) && -n $(cat "$(cgroups)/cgroup.procs") ]]; do sleep 0.02; done
kill -9 $!
wait $! || true
for _ in $(seq 100); do [[ -z $(cat "$(cgroups | head -n 1)/cgroup.procs" 2>/dev/null) ]] && break; sleep 0.1; done
./rl ps >/dev/null
nothing "after kill -9 of rl"
