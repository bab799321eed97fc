# shellcheck shell=bash
# options: --variant apparmor-userns
# As on Ubuntu 24.04: the user namespace comes without capabilities.
refused '[Aa]pp[Aa]rmor|capabilit' run_root /bin/busybox true
