# shellcheck shell=bash
# options: --variant no-tun
# Only the default network needs it, and says so.
refused '/dev/net/tun|tun' ./rl run --rm builtin true
works
