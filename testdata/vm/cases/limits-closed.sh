# shellcheck shell=bash
# options: --user nosub
# A login session is not delegated: a limit is an error with what mends it, and nothing is made; without a limit all is well.
refused 'cgroup controller .*memory.*systemd-run --user --scope -p Delegate=yes' ./rl run --rm --network none --memory 64m --rootfs root /bin/busybox true
refused '--pids-limit' ./rl create --network none --pids-limit 10 --rootfs root /bin/busybox true
refused '--cpuset-cpus' ./rl run --rm --network none --cpuset-cpus 0 --rootfs root /bin/busybox true
[[ -z $(./rl ps -aq) ]] || fail "a container was made"
works
# The hint is true.
[[ $(systemd-run --user --scope -q -p Delegate=yes ./rl run --rm --network none --memory 64m --rootfs root /bin/busybox cat /sys/fs/cgroup/memory.max) == 67108864 ]] ||
  fail "not in the scope that the hint names either"
