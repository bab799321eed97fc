# shellcheck shell=bash
# options: --variant no-fuse
works
