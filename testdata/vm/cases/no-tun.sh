# shellcheck shell=bash
# options: --variant no-tun
# Only the default network needs it: a container goes without, and says so; a network that was asked for by name is refused.
[[ $(./rl run --rm builtin echo hi 2>rl.err) == hi ]] || fail "no default network, and no container"
cat rl.err >&2
grep -q 'no network.*/dev/net/tun.*modprobe' rl.err || fail "no word of the network"
refused '/dev/net/tun' ./rl run --rm --network slirp builtin true
works
