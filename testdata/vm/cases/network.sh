# shellcheck shell=bash
# options: 
# The default network starts where there is no network but loopback, too.
[[ $(./rl run --rm builtin sh -c 'cat /proc/net/dev' | grep -c -E 'eth0|tap0') == 1 ]] || fail "no interface"
