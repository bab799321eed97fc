# shellcheck shell=bash
# options: --variant no-apparmor
works
