# shellcheck shell=bash
# options: --user nosub
# A user without subordinate ids: one id mapped.
works
[[ $(run_root /bin/busybox cat /proc/self/uid_map | wc -l) == 1 ]] || fail "more than one line mapped"
