# shellcheck shell=bash
# options: --variant no-idmap
# newuidmap without its set-user-id bit: one id is mapped, or the error names it.
either 'newuidmap' run_root /bin/busybox echo hi
