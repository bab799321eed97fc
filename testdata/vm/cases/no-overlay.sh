# shellcheck shell=bash
# options: --variant no-overlay
either 'overlay' ./rl run --rm --network none builtin true
run_root /bin/busybox true || fail "--rootfs needs no overlay"
