# shellcheck shell=bash
# options: --scope --variant no-delegate
# systemd delegates cpu, memory and pids by itself: these work, and the others name the drop-in.
[[ $(./rl run --rm --network none --memory 64m --rootfs root /bin/busybox cat /sys/fs/cgroup/memory.max) == 67108864 ]] || fail "--memory"
refused 'cpuset.*Delegate=cpu cpuset io memory pids' ./rl run --rm --network none --cpuset-cpus 0 --rootfs root /bin/busybox true
refused '--device-read-bps.*Delegate=' ./rl run --rm --network none --device-read-bps /dev/vda:1mb --rootfs root /bin/busybox true
