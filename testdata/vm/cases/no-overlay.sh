# shellcheck shell=bash
# options: --variant no-overlay
either 'overlay' ./rl run --rm --network none builtin echo hi
run_root /bin/busybox true || fail "--rootfs does not work"
