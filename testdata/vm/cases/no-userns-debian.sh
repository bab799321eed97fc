# shellcheck shell=bash
# options: --variant no-userns-debian
refused 'sysctl.*kernel\.unprivileged_userns_clone' run_root /bin/busybox true
