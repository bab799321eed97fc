# shellcheck shell=bash
# options: --variant no-userns
# The explanation has the command that mends it.
refused 'sysctl.*user\.max_user_namespaces' run_root /bin/busybox true
./rl doctor >doctor || true
grep -q max_user_namespaces doctor || fail "rl doctor does not name it"
