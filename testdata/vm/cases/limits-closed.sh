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
# A container of such a scope can be stopped and inspected from the session; a program joins it, and its limits, from a scope alone.
systemd-run --user --scope -q -p Delegate=yes ./rl run -d --name limited --network none --memory 64m --rootfs root /bin/busybox sleep 1003
refused 'systemd-run --user --scope rl' ./rl exec limited /bin/busybox true
[[ $(systemd-run --user --scope -q ./rl exec limited /bin/busybox cat /proc/self/cgroup) == 0::/ ]] || fail "exec from a scope"
./rl update --memory 32m limited
[[ $(cat "$(./rl inspect -f '{{.State.CgroupPath}}' limited)/memory.max") == 33554432 ]] || fail "update from the session"
./rl rm -f -t 0 limited
[[ -z $(find /sys/fs/cgroup/user.slice -type d -name 'rl-*') ]] || fail "a cgroup is left"
