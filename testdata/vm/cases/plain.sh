# shellcheck shell=bash
# options: 
# A Debian machine with systemd: the main job, its identity, nothing left in the user's session.
works
[[ $(run_root /bin/busybox id -u) == 0 ]] || fail "not root inside"
run_root /bin/busybox cat /proc/self/status >status
grep -q '^Seccomp:.2$' status || fail "no seccomp filter"
! findmnt -rn | grep -q '\.local/share/rl' || fail "a mount is left"
[[ -z $(ls -A ~/.local/share/rl/containers 2>/dev/null | grep -vE 'lock|names') ]] || fail "a container is left"
./rl doctor
